import warnings

import numpy as np
import pytest
import scores.probability
import xarray as xr
from scipy import stats

from jaxrain.verification import points
from jaxrain.verification.points import THRESHOLDS_MM, fair_brier, fair_crps, point_sums


def rain(rng, *shape):
    """Intermittent and skewed, as rain is."""
    return (rng.gamma(0.4, 6, shape) * (rng.random(shape) < 0.6)).astype(np.float32)


def test_crps_of_two_members_by_hand():
    # |1 - 2| and |4 - 2|: mean 1.5; the pair is 3 apart, fair share 3 * 2 / (2 * 2 * 1) = 1.5.
    assert fair_crps(np.array([[1.0], [4.0]]), np.array([2.0])) == pytest.approx(0.0)


def test_crps_is_unbiased_for_the_normal_distribution():
    # CRPS(N(0, 1), y) = y (2 Phi(y) - 1) + 2 phi(y) - 1 / sqrt(pi), whatever the member count.
    y = 0.7
    exact = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    rng = np.random.default_rng(0)
    for count in (2, 5):
        each = fair_crps(rng.normal(size=(count, 200_000)), np.full(200_000, y))
        assert each.mean() == pytest.approx(exact, abs=4 * each.std() / 200_000**0.5)


def test_crps_of_a_single_forecast_is_its_absolute_error():
    rng = np.random.default_rng(1)
    x, y = rain(rng, 1, 50), rain(rng, 50)
    np.testing.assert_allclose(fair_crps(x, y), np.abs(x[0] - y))


def test_crps_is_the_double_sum_of_its_definition():
    rng = np.random.default_rng(2)
    x, y = rain(rng, 7, 300), rain(rng, 300)
    spread = np.abs(x[:, None] - x[None]).sum((0, 1)) / (2 * 7 * 6)
    np.testing.assert_allclose(fair_crps(x, y), np.abs(x - y).mean(0) - spread, atol=1e-5)


def test_brier_agrees_with_the_scores_library():
    rng = np.random.default_rng(2)
    x, y = rain(rng, 7, 300), rain(rng, 300)
    forecast, observed = xr.DataArray(x, dims=("member", "n")), xr.DataArray(y, dims=("n",))
    for threshold in THRESHOLDS_MM:
        theirs = scores.probability.brier_score_for_ensemble(
            forecast, observed, "member", threshold, preserve_dims="all", fair_correction=True
        )
        ours = fair_brier((x >= threshold).sum(0), 7, y >= threshold)
        np.testing.assert_allclose(ours, theirs.squeeze(), atol=1e-12)


def test_crps_is_the_integral_of_brier_over_all_thresholds():
    rng = np.random.default_rng(3)
    x, y = np.round(rain(rng, 5, 40), 1), np.round(rain(rng, 40), 1)
    edges = np.arange(0, max(x.max(), y.max()) + 0.1, 0.1)
    brier = [fair_brier((x > edge + 0.05).sum(0), 5, y > edge + 0.05) for edge in edges]
    np.testing.assert_allclose(0.1 * np.sum(brier, 0), fair_crps(x, y), atol=1e-4)


def test_ranks_by_hand():
    members = np.array([[1.0, 5.0, 9.0], [3.0, 4.0, 8.0]])
    np.testing.assert_array_equal(points.rank_counts(members, np.array([2.0, 6, 7])), [1, 1, 1])


def test_ties_are_shared_as_in_the_scores_library():
    rng = np.random.default_rng(5)
    x, y = np.round(rain(rng, 5, 500)), np.round(rain(rng, 500))
    wet = (y > 0) | (x > 0).any(0)
    theirs = scores.probability.rank_histogram(
        xr.DataArray(x[:, wet], dims=("member", "n")), xr.DataArray(y[wet], dims="n"), "member"
    )
    np.testing.assert_allclose(points.rank_counts(x, y) / wet.sum(), theirs, atol=1e-12)


def test_a_perfect_ensemble_has_flat_ranks_and_dry_points_say_nothing():
    rng = np.random.default_rng(6)
    fields = rain(rng, 5, 100_000)
    counts = points.rank_counts(fields[1:], fields[0])
    np.testing.assert_allclose(counts / counts.sum(), 0.2, atol=0.005)
    assert points.rank_counts(np.full((4, 9), 0.05), np.zeros(9)).sum() == 0


def test_sums_by_hand():
    members = np.array([[[0.0, 2.0, 6.0]], [[0.0, 0.0, 8.0]]], np.float32)
    sums = point_sums(members, np.array([[0.0, 1.5, np.nan]]))
    assert sums["points"] == 2
    assert sums["error"] == pytest.approx(1 - 1.5)
    assert sums["squared_error"] == pytest.approx(0.25)
    assert sums["variance"] == pytest.approx(2.0)  # of 0 and 2
    one_mm = THRESHOLDS_MM.index(1.0)
    assert sums["observed"][one_mm] == 1
    assert sums["mean_hits"][one_mm] == 1  # the mean is exactly 1
    assert sums["mean_yes"][one_mm] == 1
    assert sums["member_hits"][one_mm] == 0.5
    np.testing.assert_array_equal(sums["forecasts"][one_mm], [1, 1, 0])
    np.testing.assert_array_equal(sums["events"][one_mm], [0, 1, 0])


def test_chunks_do_not_change_sums(monkeypatch):
    rng = np.random.default_rng(7)
    members, truth = rain(rng, 3, 20, 30), rain(rng, 20, 30)
    truth[:4] = np.nan
    whole = point_sums(members, truth)
    monkeypatch.setattr(points, "_CHUNK", 37)
    for name, value in point_sums(members, truth).items():
        np.testing.assert_allclose(value, whole[name], rtol=1e-6, err_msg=name)


def test_nothing_known_sums_to_nought():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sums = point_sums(np.ones((3, 2, 2), np.float32), np.full((2, 2), np.nan))
    assert all(not np.any(value) for value in sums.values())
