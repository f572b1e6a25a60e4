import numpy as np
import pytest
import xarray as xr
from scores.continuous.correlation import pearsonr

from jaxrain.verification.sequences import autocorrelation, consecutive, lag_sums


def test_correlation_agrees_with_the_scores_library():
    rng = np.random.default_rng(0)
    before = rng.gamma(0.4, 6, (40, 50))
    now = 0.6 * before + rng.gamma(0.4, 3, (40, 50))
    sums = lag_sums(now[None], now, before[None], before)
    theirs = float(pearsonr(xr.DataArray(before), xr.DataArray(now)))
    assert autocorrelation(sums["lag_moments"]) == pytest.approx(theirs, rel=1e-9)
    assert autocorrelation(sums["truth_lag_moments"]) == pytest.approx(theirs, rel=1e-9)
    assert sums["lag_pairs"] == 1


def test_members_that_flicker_have_none_and_those_that_stay_have_it_all():
    rng = np.random.default_rng(1)
    first, second = rng.random((2, 3, 200, 200))
    truth = first[0]
    flicker = lag_sums(second, truth, first, truth)
    assert autocorrelation(flicker["lag_moments"]) == pytest.approx(0, abs=0.01)
    assert autocorrelation(flicker["truth_lag_moments"]) == pytest.approx(1)
    # Members swapped between the hours: the mean is as before, but none stays itself.
    swapped = lag_sums(first[::-1], truth, first, truth)
    assert autocorrelation(swapped["lag_moments"]) == pytest.approx(1 / 3, abs=0.02)


def test_only_points_known_in_both_hours_count():
    rng = np.random.default_rng(2)
    members, truth, earlier = rng.random((2, 9, 9)), rng.random((9, 9)), rng.random((9, 9))
    truth[0], earlier[1] = np.nan, np.nan
    sums = lag_sums(members, truth, members, earlier)
    assert sums["lag_moments"][0] == 7 * 9
    assert autocorrelation(sums["lag_moments"]) == pytest.approx(1)
    nothing = lag_sums(members, np.full((9, 9), np.nan), members, earlier)
    assert nothing["lag_pairs"] == 0
    assert np.isnan(autocorrelation(nothing["lag_moments"]))


def test_dry_hours_have_no_correlation():
    dry = np.zeros((1, 5, 5))
    assert np.isnan(autocorrelation(lag_sums(dry, dry[0], dry, dry[0])["lag_moments"]))


def test_hours_are_consecutive_where_the_next_ends_an_hour_later():
    hours = np.array(["2022-01-01T01", "2022-01-01T02", "2022-01-01T04"], "datetime64[s]")
    assert [consecutive(hours, index) for index in range(3)] == [False, True, False]
