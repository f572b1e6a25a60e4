import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.accumulation import Sum, hourly, runs_on

_BASE = np.datetime64("2022-06-01T06", "s")


def _hour(hours):
    return _BASE + np.timedelta64(int(hours * 3600), "s")


def _sum(start, end, rain):
    return Sum(_hour(start), _hour(end), np.float32(rain), f"{start}-{end}")


def test_running_sums_give_their_hours():
    rain = np.random.default_rng(0).gamma(1.0, 2.0, (12, 2, 3)).astype(np.float32)
    running = np.cumsum(rain, axis=0)
    sums = [_sum(0, hour + 1, running[hour]) for hour in range(12)]
    hours = hourly([*sums[::-1], _sum(0, 0, np.zeros((2, 3)))])
    assert sorted(hours) == [_hour(hour + 1) for hour in range(12)]
    for hour in range(12):
        np.testing.assert_allclose(hours[_hour(hour + 1)], rain[hour], atol=1e-5)


def test_hours_are_taken_as_they_are():
    field = np.array([[-0.001, 2.0]])
    np.testing.assert_array_equal(hourly([_sum(4, 5, field)])[_hour(5)], np.float32(field))


def test_long_window_alone_is_refused():
    with pytest.raises(InputError, match="0-12: tp is a sum over 12 hours that ends at"):
        hourly([_sum(0, 12, [[1.0]])])


def test_falling_sum_is_refused():
    with pytest.raises(InputError, match=r"falls by 1\.00 mm"):
        hourly([_sum(0, 1, [[2.0]]), _sum(0, 2, [[1.0]])])


def test_forecasts_that_disagree_are_refused():
    assert len(hourly([_sum(4, 5, [[1.0]]), _sum(3, 4, [[1.0]]), _sum(3, 5, [[2.0]])])) == 2
    with pytest.raises(InputError, match="different rain for the hour"):
        hourly([_sum(4, 5, [[1.0]]), _sum(3, 4, [[1.0]]), _sum(3, 5, [[3.0]])])


def test_window_that_cannot_be_differenced_is_left_out_and_told(caplog):
    hours = hourly([_sum(0, 1, [[1.0]]), _sum(0, 3, [[4.0]])])
    assert list(hours) == [_hour(1)]
    assert "0-3: tp is a sum over 3 hours that ends at 2022-06-01T09" in caplog.text


def test_buckets_of_six_hours_beside_sums_from_the_start():
    # GFS: at every step the sum since the start, and the sum since the last sixth hour.
    rain = np.random.default_rng(1).gamma(1.0, 2.0, (14, 2, 3))
    sums = []
    for hour in range(1, 15):
        bucket = 6 * ((hour - 1) // 6)
        sums += [
            _sum(0, hour, rain[:hour].sum(axis=0).round(2)),
            _sum(bucket, hour, rain[bucket:hour].sum(axis=0).round(3)),
        ]
    hours = hourly(sums)
    assert sorted(hours) == [_hour(hour + 1) for hour in range(14)]
    for hour in range(14):
        np.testing.assert_allclose(hours[_hour(hour + 1)], rain[hour], atol=1e-2)


def test_one_window_twice_must_hold_the_same():
    assert len(hourly([_sum(0, 1, [[1.0]]), _sum(0, 1, [[1.0]])])) == 1
    with pytest.raises(InputError, match="another message holds other rain from 2022-06-01T06"):
        hourly([_sum(0, 1, [[1.0]]), _sum(0, 1, [[2.0]])])


def test_sums_that_run_on_are_told_from_hours_by_their_looks():
    rng = np.random.default_rng(2)
    rain = np.where(rng.random((48, 6, 7)) < 0.3, rng.gamma(1.0, 1.0, (48, 6, 7)), 0.0)
    ends = np.datetime64("2022-06-01T01") + np.arange(48).astype("timedelta64[h]")
    days = (ends - np.timedelta64(1, "h")).astype("datetime64[D]")
    running = np.concatenate([rain[:24].cumsum(axis=0), rain[24:].cumsum(axis=0)])
    shuffled = rng.permutation(48)
    assert runs_on(running, days, ends)
    assert runs_on(running[shuffled], days[shuffled], ends[shuffled])
    assert runs_on(rain, days, ends) is False
    assert runs_on(np.zeros_like(rain), days, ends) is None  # a dry file says nothing
    assert runs_on(running[:1], days[:1], ends[:1]) is None
