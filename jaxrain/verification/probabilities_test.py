import numpy as np
import pytest
import xarray as xr
from scores.probability import roc_curve_data

from jaxrain.verification.probabilities import brier_parts, rank_flatness, roc_area, roc_curve

MEMBERS = 6


@pytest.fixture(scope="module")
def drawn():
    """How many of the members say yes at each point, and whether it came; not quite reliable."""
    rng = np.random.default_rng(0)
    chance = rng.beta(0.5, 1.5, 4000)
    return rng.binomial(MEMBERS, chance**0.7), rng.random(4000) < chance


def counts(said, came, members=MEMBERS):
    return (
        np.bincount(said, minlength=members + 1).astype(float),
        np.bincount(said[came], minlength=members + 1).astype(float),
    )


def test_the_parts_add_up_to_the_mean_square(drawn):
    said, came = drawn
    reliability, resolution, uncertainty = brier_parts(*counts(said, came))
    assert reliability - resolution + uncertainty == pytest.approx(
        np.mean((said / MEMBERS - came) ** 2), rel=1e-12
    )
    assert uncertainty == pytest.approx(came.mean() * (1 - came.mean()))
    assert 0 < reliability < resolution


def test_parts_of_climatology_and_of_a_perfect_forecast():
    # Half the members always, and it comes every other time: reliable, and tells nothing apart.
    assert brier_parts(np.array([0.0, 10, 0]), np.array([0.0, 5, 0])) == (0, 0, 0.25)
    assert brier_parts(np.array([6.0, 0, 2]), np.array([0.0, 0, 2])) == (0, 0.1875, 0.1875)
    # 30 % is said, 80 % comes: off by a half.
    reliability, _, _ = brier_parts(np.array([0, 10.0, 0, 0]), np.array([0, 10 / 3 + 5, 0, 0]))
    assert reliability == pytest.approx(0.25)


def test_the_roc_agrees_with_the_scores_library(drawn):
    said, came = drawn
    thresholds = np.arange(MEMBERS + 1) / MEMBERS
    theirs = roc_curve_data(
        xr.DataArray(said / MEMBERS, dims="n"), xr.DataArray(came * 1.0, dims="n"), thresholds
    )
    false_alarms, hits = roc_curve(*counts(said, came))
    # Theirs starts at 'any probability', ours at 'more than all members'.
    np.testing.assert_allclose(theirs.POFD.values[1:][::-1], false_alarms[:-1][-MEMBERS - 1 :])
    np.testing.assert_allclose(theirs.POD.values[1:][::-1], hits[:-1][-MEMBERS - 1 :])
    assert roc_area(*counts(said, came)) == pytest.approx(float(theirs.AUC), rel=1e-9)


def test_the_roc_area_is_the_chance_of_telling_two_points_apart(drawn):
    said, came = drawn
    yes, no = said[came][:, None], said[~came][None]
    apart = np.mean((yes > no) + 0.5 * (yes == no))
    assert roc_area(*counts(said, came)) == pytest.approx(apart)


def test_a_deterministic_forecast_has_one_point_of_the_roc():
    # 3 hits, 1 miss, 2 false alarms, 4 quiet: (1 + 3/4 - 2/6) / 2.
    found = roc_area(np.array([5.0, 5.0]), np.array([1.0, 3.0]))
    assert found == pytest.approx((1 + 3 / 4 - 2 / 6) / 2)


def test_flatness_of_ranks():
    assert rank_flatness(np.full(5, 7.0)) == 0
    assert rank_flatness(np.array([0, 0, 9.0, 0])) == pytest.approx(3 / 4)
    assert rank_flatness(np.array([3.0, 1, 1, 3])) == pytest.approx(1 / 4)


def test_batches_are_apart_and_nothing_counted_is_unknown(drawn):
    forecasts, events = counts(*drawn)
    none = np.zeros_like(forecasts)
    both = np.stack([forecasts, none]), np.stack([events, none])
    assert roc_area(*both)[0] == roc_area(forecasts, events)
    for found in (*brier_parts(*both), roc_area(*both), rank_flatness(both[0])):
        assert np.isfinite(found[0])
        assert np.isnan(found[1])
