from dataclasses import replace

import numpy as np
import pytest

from jaxrain.ensembles.contrast import MOST_FACTOR, contrasting, power, sharpened
from jaxrain.grids.grid import Grid
from jaxrain.pairs.cases import Case

HOUR = np.datetime64("2020-07-01T09", "s")
SIDES = (6, 4)


def rain(shape=(60, 48), seed=0):
    field = np.random.default_rng(seed).gamma(0.4, 4.0, shape)
    return np.where(field < 0.3, 0, field).astype(np.float32)


@pytest.mark.parametrize("hours", [0, 9, 12, 23])
def test_powers_are_even_by_their_logarithm_and_few_members_have_all(hours):
    hour = HOUR.astype("datetime64[D]").astype("datetime64[s]") + np.timedelta64(hours, "h")
    drawn = [power(3, member, hour, 4.0) for member in range(2000)]
    shares = np.log(drawn) / np.log(4.0)
    assert abs(shares).max() < 1
    deciles = np.quantile(shares, np.arange(0.1, 1, 0.1))
    np.testing.assert_allclose(deciles, np.arange(-0.8, 0.9, 0.2), atol=0.02)
    # The means of sixteen independent ones would differ by 0.14.
    assert np.std([shares[first : first + 16].mean() for first in range(0, 2000, 16)]) < 0.07
    assert power(3, 7, hour, 4.0) == drawn[7]
    assert power(4, 7, hour, 4.0) != drawn[7]


@pytest.mark.parametrize("start", ["1969-12-31T00", "2020-07-01T00"])
def test_a_power_lasts_about_a_day_and_never_jumps(start):
    hours = np.datetime64(start, "s") + np.arange(48) * np.timedelta64(1, "h")
    shares = np.log([[power(0, m, hour, 3.0) for hour in hours] for m in range(300)]) / np.log(3.0)
    assert abs(np.diff(shares)).max() < 0.35  # of the two that the whole range is
    lags = [np.corrcoef(shares[:, 0], shares[:, lag])[0, 1] for lag in (1, 12, 24, 30)]
    assert lags[0] > 0.98
    assert 0.5 < lags[1] < 0.85  # cos 45 degrees
    assert max(map(abs, lags[2:])) < 0.25
    assert shares.std(0).min() > 0.5  # 0.58 at every hour


def test_a_lattice_goes_to_its_power_with_its_mean():
    field = np.where(np.indices((40, 40)).sum(0) % 2, 3.0, 1.0).astype(np.float32)
    inner = (slice(14, -14),) * 2  # beyond the reach of the edges
    low = 4 / (1 + np.sqrt(3))
    for exponent, least, most in ((2.0, 0.4, 3.6), (0.5, low, 4 - low)):
        expected = np.where(field == 1, least, most)
        found = sharpened(field, exponent, (8, 8))
        np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-5)


@pytest.mark.parametrize("exponent", [1 / 3, 1.0, 3.0])
def test_dry_stays_dry_missing_stays_missing_and_means_stay_near(exponent):
    field = rain()
    field[10:14, 20:30] = np.nan
    found = sharpened(field, exponent, SIDES)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(field))
    np.testing.assert_array_equal(found == 0, field == 0)
    assert (np.nan_to_num(found) <= MOST_FACTOR * np.nan_to_num(field) * (1 + 1e-6)).all()
    assert np.nanmean(found) == pytest.approx(np.nanmean(field), rel=0.15)
    spread = np.nanstd(found) / np.nanstd(field)
    assert (spread < 0.95, spread > 1.05) == (exponent < 1, exponent > 1)
    if exponent == 1:
        np.testing.assert_allclose(found, field, rtol=1e-6)


def test_what_is_missing_or_beyond_an_edge_counts_for_nothing():
    field = np.full((30, 30), 2.0, np.float32)
    field[5:9, 5:20] = np.nan
    np.testing.assert_allclose(sharpened(field, 3.0, SIDES)[field == 2], 2.0, rtol=1e-6)
    alone = np.zeros((30, 30), np.float32)
    alone[15, 15] = 7.0  # to any power one point among dry ones is what its mean makes it
    np.testing.assert_allclose(sharpened(alone, 3.0, SIDES), alone, rtol=1e-5)
    dry = np.zeros((9, 9), np.float32)
    np.testing.assert_array_equal(sharpened(dry, 3.0, SIDES), dry)


def test_a_part_of_a_domain_is_what_it_is_in_the_whole():
    whole = rain((90, 90))
    reach = 3 * max(SIDES)
    part = sharpened(whole[20:80, 10:70], 2.5, SIDES)
    inner = (slice(reach, -reach),) * 2
    expected = sharpened(whole, 2.5, SIDES)[20:80, 10:70]
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
