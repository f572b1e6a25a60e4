from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jaxrain.ensembles.consistency import MOST_FACTOR
from jaxrain.ensembles.drawing import Item, finishing
from jaxrain.ensembles.member_contrast import contrasting, power, sharpened
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.grids.grid import Grid
from jaxrain.pairs.cases import Case

HOUR = np.datetime64("2020-07-01T09", "s")
SIDES = (6, 4)


def rain(shape=(60, 48), seed=0):
    field = np.random.default_rng(seed).gamma(0.4, 4.0, shape)
    return np.where(field < 0.3, 0, field).astype(np.float32)


def shares(seed, members, hours, most=4.0):
    """ln(power), of what it is at most, [hours, members]."""
    drawn = [[power(seed, member, hour, most) for member in range(members)] for hour in hours]
    return np.log(drawn) / np.log(most)


@pytest.mark.parametrize("start", ["1969-12-31T00", "2020-07-01T00"])
def test_powers_are_even_by_their_logarithm_at_every_hour(start):
    hours = np.datetime64(start, "s") + np.arange(0, 60, 7) * np.timedelta64(1, "h")
    found = shares(3, 512, hours)
    assert abs(found).max() <= 1
    deciles = np.quantile(found, np.arange(0.1, 1, 0.1), axis=1)
    np.testing.assert_allclose(deciles.T - np.arange(-0.8, 0.9, 0.2), 0, atol=0.02)
    assert power(3, 7, hours[2], 4.0) == pytest.approx(4.0 ** found[2, 7])
    assert abs(shares(4, 8, hours) - found[:, :8]).max() > 0.1


def test_a_few_members_have_sharp_and_dull_ones_at_every_hour():
    hours = np.datetime64("2020-07-01T00", "s") + np.arange(200) * np.timedelta64(5, "h")
    for members, least in ((4, 0.4), (16, 0.56)):  # 0.58 is even
        found = shares(0, members, hours)
        assert found.std(axis=1).min() > least
        assert abs(found.mean(axis=1)).max() < 0.01


def test_a_power_lasts_about_a_day_and_never_jumps():
    hours = np.datetime64("2020-07-01T00", "s") + np.arange(48) * np.timedelta64(1, "h")
    found = np.stack([shares(seed, 1, hours)[:, 0] for seed in range(300)])
    assert abs(np.diff(found)).max() < 0.5  # of the two that the whole range is
    lags = [np.corrcoef(found[:, 0], found[:, lag])[0, 1] for lag in (1, 12, 24, 30)]
    assert lags[0] > 0.9
    assert max(map(abs, lags[2:])) < 0.25
    assert found.std(0).min() > 0.5


def test_a_lattice_goes_to_its_power_with_its_mean():
    field = np.where(np.indices((60, 60)).sum(0) % 2, 3.0, 1.0).astype(np.float32)
    inner = (slice(24, -24),) * 2  # twice beyond the reach of the edges
    low = 4 / (1 + np.sqrt(3))
    for exponent, least, most in ((2.0, 0.4, 3.6), (0.5, low, 4 - low)):
        expected = np.where(field == 1, least, most)
        found = sharpened(field, exponent, (7, 7))
        np.testing.assert_allclose(found[inner], expected[inner], rtol=0.02)


@pytest.mark.parametrize("exponent", [1 / 3, 1.0, 3.0, 10.0])
def test_dry_stays_dry_and_missing_stays_missing(exponent):
    field = rain()
    field[10:14, 20:30] = np.nan
    found = sharpened(field, exponent, SIDES)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(field))
    assert (found[field == 0] == 0).all()
    assert (np.nan_to_num(found) <= MOST_FACTOR * np.nan_to_num(field) * (1 + 1e-6)).all()
    spread = np.nanstd(found) / np.nanstd(field)
    assert (spread < 0.95, spread > 1.05) == (exponent < 1, exponent > 1)
    if exponent == 1:
        np.testing.assert_allclose(found, field, rtol=1e-6)


@pytest.mark.parametrize("pick", [min, max])
def test_the_means_of_cells_are_kept(pick):
    rough = gaussian_filter(np.random.default_rng(0).standard_normal((60, 48)), 2)
    field = np.maximum(np.exp(4 * rough / rough.std() / 2) - 1, 0).astype(np.float32)
    fine = Grid(np.arange(60.0), np.arange(48.0), projected=True)
    coarse = Grid(np.arange(2.5, 60, 6), np.arange(1.5, 48, 4), projected=True)
    predictors = np.ones((1, 1, 10, 12), np.float32)
    case = Case("w", "a", fine, (0, 0), np.array([HOUR]), coarse, ["t"], predictors)
    config = SampleConfig(contrast=3.0)
    member = pick(range(16), key=lambda member: power(0, member, HOUR, 3.0))
    found = finishing(case, config)(field, Item(0, member))

    def means(field):
        return field.reshape(10, 6, 12, 4).mean((1, 3))

    np.testing.assert_allclose(means(found), means(field), rtol=1e-4, atol=1e-6)
    assert abs(found - field).max() > 1


def test_a_shower_leaves_nothing_behind_and_the_grids_direction_does_not_matter():
    # Running sums would leave 1e-14 of it to its right, and nothing where a trace is.
    rng = np.random.default_rng(0)
    field = np.zeros((120, 120), np.float32)
    shower = np.where(rng.random((120, 50)) < 0.3, rng.gamma(0.5, 8, (120, 50)), 0)
    field[:, :50] = shower
    field[60, 110] = 1e-16
    for exponent in (1 / 3, 3.0, 10.0):
        found = sharpened(field, exponent, (8, 8))
        assert np.isfinite(found).all()
        assert found[60, 110] == pytest.approx(1e-16, rel=0.01)
        turned = sharpened(field[::-1, ::-1], exponent, (8, 8))[::-1, ::-1]
        np.testing.assert_allclose(turned, found, rtol=1e-5, atol=1e-7)


def test_what_is_missing_or_beyond_an_edge_counts_for_nothing():
    field = np.full((30, 30), 2.0, np.float32)
    field[5:9, 5:20] = np.nan
    np.testing.assert_allclose(sharpened(field, 3.0, SIDES)[field == 2], 2.0, rtol=1e-6)
    dry = np.zeros((9, 9), np.float32)
    np.testing.assert_array_equal(sharpened(dry, 3.0, SIDES), dry)


def test_a_part_of_a_domain_is_what_it_is_in_the_whole():
    whole = rain((90, 90))
    reach = 3 * max(SIDES) + 3  # of a mean of means, each of one and a half sides
    part = sharpened(whole[15:75, 15:75], 2.5, SIDES)
    inner = (slice(reach, -reach),) * 2
    expected = sharpened(whole, 2.5, SIDES)[15:75, 15:75]
    np.testing.assert_allclose(part[inner], expected[inner], rtol=1e-5)


def test_a_cases_members_differ_by_the_power_of_their_hour():
    fine = Grid(np.arange(60.0), np.arange(48.0), projected=True)
    coarse = Grid(np.arange(2.5, 60, 6), np.arange(1.5, 48, 4), projected=True)
    hours = np.array([HOUR, HOUR + np.timedelta64(6, "h")])
    case = Case("w", "a", fine, (0, 0), hours, coarse, ["tp"], np.ones((2, 1, 10, 12), np.float32))
    assert contrasting(case, 1.0, seed=5) is None
    contrast = contrasting(case, 3.0, seed=5)
    for hour, member in ((0, 0), (1, 0), (0, 2)):
        exponent = power(5, member, hours[hour], 3.0)
        expected = sharpened(rain(), exponent, SIDES)
        np.testing.assert_array_equal(contrast(rain(), hour, member), expected)
    later = contrasting(replace(case, hours=hours[1:]), 3.0, seed=5)
    np.testing.assert_array_equal(later(rain(), 0, 4), contrast(rain(), 1, 4))
