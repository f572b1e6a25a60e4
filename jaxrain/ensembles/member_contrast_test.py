import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jaxrain.ensembles.consistency import MOST_FACTOR
from jaxrain.ensembles.member_contrast import FORM, power, powers, sharpened

SIDES = (6, 4)


def rain(shape=(60, 48), seed=0):
    field = np.random.default_rng(seed).gamma(0.4, 4.0, shape)
    return np.where(field < 0.3, 0, field).astype(np.float32)


def one(field, exponent, sides, most_mm=np.inf):
    """Of one field [H, W], NaN where missing."""
    known = np.isfinite(field)
    filled = jnp.asarray(np.where(known, field, 7.0))[None]  # what is there must not matter
    exponents = jnp.array([exponent], "float32")
    found = sharpened(filled, jnp.asarray(known)[None], exponents, sides, most_mm)
    return np.where(known, np.asarray(found[0]), np.nan)


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
    pairs = shares(0, 2, hours)
    assert (
        abs(pairs.sum(axis=1)).max() < 0.01
    )  # one as sharp as the other is dull, if only a little
    assert abs(pairs).max(axis=1).min() < 0.1


def test_a_power_lasts_about_a_day_and_never_jumps():
    hours = np.datetime64("2020-07-01T00", "s") + np.arange(48) * np.timedelta64(1, "h")
    found = np.stack([shares(seed, 1, hours)[:, 0] for seed in range(300)])
    assert abs(np.diff(found)).max() < 0.5  # of the two that the whole range is
    lags = [np.corrcoef(found[:, 0], found[:, lag])[0, 1] for lag in (1, 12, 24, 30)]
    assert lags[0] > 0.9
    assert max(map(abs, lags[2:])) < 0.25
    assert found.std(0).min() > 0.5


def test_powers_are_those_of_each_fields_member_and_hour():
    hours = np.datetime64("2020-07-01T09", "s") + np.array([0, 6, 6]) * np.timedelta64(1, "h")
    members = np.array([4, 4, 1])
    expected = [power(5, member, hour, 3.0) for member, hour in zip(members, hours, strict=True)]
    np.testing.assert_allclose(powers(hours, members, 3.0, seed=5), expected, rtol=1e-6)
    assert powers(hours, members, 1.0, seed=5) is None


def test_spots_alone_in_what_is_around_go_to_their_power():
    # Of 1 and 3 in turn, one of each in what is around any point: its mean is one everywhere.
    field = np.zeros((2, 2460), np.float32)
    field[:, ::123], field[:, 61::123] = 1.0, 3.0
    inner = slice(738, -738)  # beyond the reach of the edges
    near = (3 * 41**2 + 1) / 4 / 41**3  # weight of a point in what is around it
    around = np.array([1.0, 3.0]) * near / (4 / 123)
    for exponent in (2.0, 0.5):
        spots = np.array([1.0, 3.0]) * (0.25 + 0.75 * around ** (exponent - 1))
        least, most = spots * 4 / spots.sum()
        expected = np.select([field == 1, field == 3], [least, most])
        found = one(field, exponent, (1, 82))
        np.testing.assert_allclose(found[:, inner], expected[:, inner], rtol=1e-4)


@pytest.mark.parametrize("exponent", [1 / 9, 1.0, 3.0, 9.0])
def test_dry_stays_dry_missing_stays_missing_and_the_total_is_kept(exponent):
    rough = gaussian_filter(np.random.default_rng(0).standard_normal((60, 48)), 2)
    field = np.maximum(np.exp(4 * rough / rough.std() / 2) - 1, 0).astype(np.float32)
    field[10:14, 20:30] = np.nan
    found = one(field, exponent, SIDES)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(field))
    assert (found[field == 0] == 0).all()
    assert (np.nan_to_num(found) <= MOST_FACTOR * np.nan_to_num(field) * (1 + 1e-6)).all()
    cut = 0.05 if exponent == 9 else 1e-3  # by the limit
    assert np.nansum(found) == pytest.approx(np.nansum(field), rel=cut)
    spread = np.nanstd(found) / np.nanstd(field)
    assert (spread < 0.95, spread > 1.05) == (exponent < 1, exponent > 1)
    if exponent == 1:
        np.testing.assert_allclose(found, field, rtol=1e-5)


@pytest.mark.parametrize(("exponent", "lost", "least"), [(5.0, 0.001, 1.6), (12.0, 0.03, 2.2)])
def test_what_is_gathered_comes_from_around_and_something_stays(exponent, lost, least):
    rough = gaussian_filter(np.random.default_rng(0).standard_normal((120, 90)), 2)
    field = np.exp(1.2 * rough / rough.std()).astype(np.float32)
    found = one(field, exponent, (4, 4))
    assert found.sum() == pytest.approx(field.sum(), rel=lost)
    # Means are brought back before the limit cuts off, or little would be gathered.
    assert found.std() > least * field.std()
    if exponent == 5:
        assert np.quantile(found / field, 0.1) > 0.03


def test_one_point_beside_what_is_missing_does_not_take_the_field_with_it():
    field = np.zeros((201, 201), np.float32)
    field[20:60, 20:60] = 2 + np.random.default_rng(0).random((40, 40))
    field[131:170, 131:170] = np.nan  # farther than what is near it reaches
    field[150, 150] = 50.0
    found = one(field, 20.0, (25, 25))
    assert np.isfinite(found[np.isfinite(field)]).all()
    shower = (slice(0, 100),) * 2
    assert found[shower].sum() == pytest.approx(field[shower].sum(), rel=0.05)


def test_a_shower_leaves_nothing_behind_and_the_grids_direction_does_not_matter():
    # Running sums would leave 1e-7 of it to its right, and nothing where a trace is.
    rng = np.random.default_rng(0)
    field = np.zeros((120, 120), np.float32)
    field[:, :50] = np.where(rng.random((120, 50)) < 0.3, rng.gamma(0.5, 8, (120, 50)), 0)
    field[60, 110] = 1e-16
    for exponent in (1 / 3, 3.0, 10.0):
        found = one(field, exponent, (8, 8))
        assert np.isfinite(found).all()
        assert found[60, 110] == pytest.approx(1e-16, rel=0.01)
        turned = one(field[::-1, ::-1], exponent, (8, 8))[::-1, ::-1]
        np.testing.assert_allclose(turned, found, rtol=1e-3, atol=1e-5)


def test_what_is_missing_or_beyond_an_edge_counts_for_nothing():
    field = np.full((30, 30), 2.0, np.float32)
    field[5:9, 5:20] = np.nan
    np.testing.assert_allclose(one(field, 3.0, SIDES)[field == 2], 2.0, rtol=1e-5)
    for nothing in (np.zeros((9, 9), np.float32), np.full((9, 9), np.nan, np.float32)):
        np.testing.assert_array_equal(one(nothing, 3.0, SIDES), nothing)


def test_a_part_of_a_domain_is_what_it_is_in_the_whole():
    whole = rain((220, 220))
    part = one(whole[10:210, 10:210], 2.5, SIDES)
    reach = 6 * 14  # of eight means one inside the other nearly all: their weights fall off
    inner = (slice(reach, -reach),) * 2
    expected = one(whole, 2.5, SIDES)[10:210, 10:210]
    np.testing.assert_allclose(part[inner], expected[inner], rtol=1e-4)


@pytest.mark.parametrize("sides", [(7, 4), (11, 3)])
def test_rows_and_columns_have_a_cell_of_their_own_width(sides):
    field = rain((50, 70))
    found = one(field, 4.0, sides)
    np.testing.assert_allclose(one(field.T, 4.0, sides[::-1]).T, found, rtol=1e-3, atol=1e-5)
    assert np.abs(found - one(field, 4.0, sides[::-1])).max() > 1


def test_each_field_goes_to_its_own_power():
    fields, exponents = np.stack([rain(), rain(seed=1)]), (0.4, 5.0)
    known = jnp.ones(fields.shape, bool)
    found = sharpened(jnp.asarray(fields), known, jnp.asarray(exponents, "float32"), SIDES)
    for field, exponent, each in zip(fields, exponents, found, strict=True):
        np.testing.assert_allclose(each, one(field, exponent, SIDES), rtol=1e-5)


def test_no_point_gets_more_than_the_most_unless_it_had_it():
    field = rain((80, 80), seed=2)
    free = one(field, 12.0, SIDES)
    most = float(np.quantile(free, 0.98))
    assert (field > most).any()
    assert ((free > most) & (field < most)).sum() > 20
    found = one(field, 12.0, SIDES, most)
    np.testing.assert_array_less(found, np.maximum(field, most) * (1 + 1e-6))
    # What is cut off falls elsewhere.
    assert found.sum() > 0.9 * free.sum()
    assert (found > free * 1.01).mean() > 0.1


def test_another_outcome_is_another_form():
    # Fields of one ensemble are told apart by it: where this fails on purpose, raise FORM.
    found = [np.sqrt(np.square(one(rain(), 5.0, (11, 7), mm)).mean()) for mm in (np.inf, 12.0)]
    assert (FORM, found) == (4, pytest.approx([4.336013, 3.217372], rel=1e-4))
    hour = np.datetime64("2020-07-01T06", "s")
    assert power(1, 5, hour, 9.0) == pytest.approx(1.73033375, rel=1e-6)
