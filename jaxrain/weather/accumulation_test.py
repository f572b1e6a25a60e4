import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.accumulation import Sum, hourly

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
