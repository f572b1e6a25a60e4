import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from jaxrain.verification.fractions import (
    WINDOWS_KM,
    fraction_sums,
    skilful_scale_km,
    window_points,
)
from jaxrain.verification.points import THRESHOLDS_MM


def score(sums, prefix=""):
    with np.errstate(invalid="ignore"):
        difference = sums[f"{prefix}fraction_difference"]
        return 1 - difference / sums[f"{prefix}fraction_reference"]


def rain(seed, *shape):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = uniform_filter(noise, (0,) * (len(shape) - 2) + (5, 5))
    return np.maximum(smooth * 40, 0)


def test_a_shifted_point_by_hand():
    # One wet point each, one apart: with a window of 3, two of three columns overlap.
    forecast, truth = np.zeros((1, 9, 9)), np.zeros((9, 9))
    forecast[0, 4, 4], truth[4, 5] = 2, 2
    found = score(fraction_sums(forecast, truth, 1.0))
    one_mm = THRESHOLDS_MM.index(1.0)
    assert found[one_mm, 0] == 0
    assert found[one_mm, 1] == pytest.approx(2 / 3)


def test_a_perfect_forecast_scores_one_and_dry_hours_say_nothing():
    truth = rain(2, 70, 70)
    found = score(fraction_sums(truth[None], truth, 1.0))
    assert found[0] == pytest.approx(1)
    empty = score(fraction_sums(np.zeros((2, 70, 70)), np.zeros((70, 70)), 1.0))
    assert np.isnan(empty).all()


def test_probability_is_the_mean_of_the_members_fractions():
    members, truth = rain(3, 2, 64, 64), rain(4, 64, 64)
    sums = fraction_sums(members, truth, 1.0)
    fractions = [uniform_filter((m >= 1.0) * 1.0, 7, mode="constant") for m in members]
    observed = uniform_filter((truth >= 1.0) * 1.0, 7, mode="constant")
    difference = np.square(np.mean(fractions, 0) - observed).sum()
    assert sums["fraction_difference"][1, 2] == pytest.approx(difference, rel=1e-4)
    each = [np.square(fraction - observed).sum() for fraction in fractions]
    assert sums["member_fraction_difference"][1, 2] == pytest.approx(np.mean(each), rel=1e-4)


def test_unknown_points_change_nothing_whatever_is_forecast_there():
    members, truth = rain(5, 2, 64, 64), rain(6, 64, 64)
    truth[10:20] = np.nan
    other = members.copy()
    other[:, 10:20] = 99
    for name, value in fraction_sums(members, truth, 1.0).items():
        np.testing.assert_array_equal(value, fraction_sums(other, truth, 1.0)[name])


def test_windows_follow_the_grid_and_too_wide_ones_are_left_out():
    assert [window_points(w, 1.0) for w in WINDOWS_KM] == list(WINDOWS_KM)
    assert window_points(31, 2.0) == 15
    assert window_points(1, 25.0) == 1
    sums = fraction_sums(rain(7, 1, 20, 20), rain(8, 20, 20), 1.0)
    assert sums["fraction_reference"][0, :4].all()
    assert not sums["fraction_reference"][:, 4:].any()


def test_the_skilful_scale_is_the_first_window_halfway_to_perfect():
    skill = np.array([0.1, 0.3, 0.54, 0.56, 0.7, np.nan])
    assert skilful_scale_km(skill, np.array(0.1)) == WINDOWS_KM[3]  # 0.55 is asked for
    assert skilful_scale_km(skill, np.array(0.5)) == np.inf
    assert np.isnan(skilful_scale_km(skill, np.array(0.0)))
    assert np.isnan(skilful_scale_km(np.full(6, np.nan), np.array(0.1)))
    both = skilful_scale_km(np.stack([skill, skill]), np.array([0.0, 0.01]))
    np.testing.assert_array_equal(both, [np.nan, 7])
