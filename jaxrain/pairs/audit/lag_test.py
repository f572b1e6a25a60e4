import numpy as np
import pytest

from jaxrain.pairs.audit.lag import LAGS, compare_rain, lag_hint
from jaxrain.pairs.audit.survey import BoxRain

HOUR = np.timedelta64(3600, "s")


def rain(count, boxes=9, seed=0):
    """Rain that stays for some hours, as rain does; mm [T, R]."""
    rng = np.random.default_rng(seed)
    wave = np.zeros((count, boxes))
    for hour in range(1, count):
        wave[hour] = 0.7 * wave[hour - 1] + rng.normal(size=boxes)
    return np.maximum(wave, 0.0)


def series(count, late, noise=0.3, seed=0):
    """Fine rain whose times are `late` hours later than those of the same coarse rain."""
    times = np.datetime64("2020-01-01", "s") + np.arange(count) * HOUR
    every = rain(count + 40, seed=seed)
    coarse = every[20 : 20 + count]
    fine = every[20 - late : 20 - late + count]
    fine = fine * np.random.default_rng(seed + 1).gamma(1 / noise, noise, fine.shape)
    return BoxRain(times, fine.astype(np.float32), coarse.astype(np.float32))


@pytest.mark.parametrize("late", [-8, -1, 0, 1, 3, 8, 12])
def test_the_lag_of_late_files_is_found_with_its_sign(late):
    found = compare_rain([series(120, late)])
    assert found["best"] == late
    assert found["clear"]
    assert found["correlation"][LAGS.index(late)] == max(found["correlation"])
    assert found["hours"][LAGS.index(late)] == 120 - abs(late)


def test_the_correlation_is_pearsons():
    one = series(90, 0)
    found = compare_rain([one])
    x, y = np.log1p(one.fine[3:].astype(float)), np.log1p(one.coarse[:-3].astype(float))
    expected = np.corrcoef(x.ravel(), y.ravel())[0, 1]
    assert found["correlation"][LAGS.index(3)] == pytest.approx(expected, abs=1e-6)


def test_areas_count_together_and_never_across():
    early, late = series(60, 8), series(60, 8, seed=5)
    late = late._replace(times=late.times + 60 * HOUR)
    found = compare_rain([early, late])
    assert found["best"] == 8
    assert found["hours"][LAGS.index(8)] == 2 * (60 - 8)


def test_gaps_in_time_and_missing_boxes_do_not_shift_it():
    whole = series(200, 8)
    kept = np.random.default_rng(3).random(200) > 0.25
    fine = whole.fine[kept].copy()
    fine[::7, :4] = np.nan
    found = compare_rain([BoxRain(whole.times[kept], fine, whole.coarse[kept])])
    assert (found["best"], found["clear"]) == (8, True)


def test_chance_is_not_taken_for_a_lag():
    clear = 0
    for seed in range(20):
        one = series(96, 0, seed=seed)
        other = rain(96, seed=seed + 100).astype(np.float32)
        found = compare_rain([one._replace(coarse=other)])
        clear += found["clear"] and found["best"] != 0
    assert clear <= 1


@pytest.mark.parametrize(
    ("given", "reason"),
    [([], "there is no tp"), ([series(30, 8)], "30 hours are too few"),
     ([series(80, 0)._replace(coarse=np.zeros((80, 9), np.float32))], "never rains")],
)  # fmt: skip
def test_where_nothing_can_be_said_the_reason_is(given, reason):
    found = compare_rain(given, None if given else "there is no tp among the predictors")
    assert found["best"] is None
    assert not found["clear"]
    assert reason in found["reason"]


def test_hints_name_the_usual_cause():
    assert "Beijing time (UTC+8)" in lag_hint(8)
    assert "predictors look like Beijing" in lag_hint(-8)
    assert "predictors may name an hour's sum by its start" in lag_hint(1)
    assert "fine files may name an hour's sum by its start" in lag_hint(-1)
    assert "time zone" in lag_hint(5)
