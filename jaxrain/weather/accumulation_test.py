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
        np.testing.assert_allclose(hours[_hour(hour + 1)].rain_mm, rain[hour], atol=1e-5)


def test_hours_are_taken_as_they_are():
    field = np.array([[-0.001, 2.0]])
    np.testing.assert_array_equal(hourly([_sum(4, 5, field)])[_hour(5)].rain_mm, np.float32(field))


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
        np.testing.assert_allclose(hours[_hour(hour + 1)].rain_mm, rain[hour], atol=1e-2)


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


def test_means_stand_for_hours_only_where_asked_and_nothing_truer_is_there():
    rain = np.random.default_rng(3).gamma(1.0, 2.0, (12, 2, 3))
    # Hourly to hour 3, then steps of three, then one of six: sums from the start, in any order.
    sums = [_sum(0, end, rain[:end].sum(axis=0)) for end in (6, 1, 2, 12, 3)]
    exact = hourly(sums)
    assert sorted(exact) == [_hour(1), _hour(2), _hour(3)]
    three, six = (hourly(sums, spread_hours=longest) for longest in (3, 6))
    assert sorted(three) == [_hour(end) for end in range(1, 7)]
    assert sorted(six) == [_hour(end) for end in range(1, 13)]
    assert [six[_hour(end)].window_hours for end in range(1, 13)] == [1] * 3 + [3] * 3 + [6] * 6
    for end in range(1, 13):
        first, last = (end - 1, end) if end <= 3 else (3, 6) if end <= 6 else (6, 12)
        np.testing.assert_allclose(
            six[_hour(end)].rain_mm, rain[first:last].mean(axis=0), rtol=1e-5
        )
    total = sum(hour.rain_mm for hour in six.values())
    np.testing.assert_allclose(total, rain.sum(axis=0), rtol=1e-5)


def test_windows_of_their_own_are_spread_too_and_give_way_to_shorter_ones():
    hours = hourly([_sum(0, 6, [[12.0]]), _sum(0, 3, [[3.0]]), _sum(4, 5, [[7.0]])], spread_hours=6)
    told = {
        end: (float(hours[_hour(end)].rain_mm[0, 0]), hours[_hour(end)].window_hours)
        for end in range(1, 7)
    }
    assert told == {1: (1, 3), 2: (1, 3), 3: (1, 3), 4: (1, 3), 5: (7, 1), 6: (1, 3)}


@pytest.mark.parametrize(("ends", "least"), [([3, 6], 3), ([6], 6), ([12], None), ([4], 6)])
def test_who_refuses_long_windows_names_the_choice_that_is_left(ends, least):
    choice = f", or let `sample` take means over up to {least} hours with --spread-sums {least}"
    with pytest.raises(InputError) as refused:
        hourly([_sum(0, end, [[float(end)]]) for end in ends])
    assert str(refused.value).endswith(f"; fetch hourly steps{choice if least else ''}")


def test_means_of_forecasts_that_disagree_or_fall_are_refused():
    with pytest.raises(InputError, match="different rain for the 3 hours up to 2022-06-01T12"):
        hourly([_sum(0, 3, [[1.0]]), _sum(0, 6, [[2.0]]), _sum(3, 6, [[3.0]])], spread_hours=3)
    with pytest.raises(InputError, match=r"falls by 1\.00 mm in 3 hours"):
        hourly([_sum(0, 3, [[2.0]]), _sum(0, 6, [[1.0]])], spread_hours=3)


def test_hours_that_are_known_are_taken_off_what_is_spread():
    """What a longer window holds is neither more nor less for an hour that another start tells."""
    found = hourly([_sum(0, 3, [[30.0]]), _sum(1, 2, [[24.0]])], spread_hours=3)
    told = {end: (float(hour.rain_mm[0, 0]), hour.window_hours) for end, hour in found.items()}
    assert told == {_hour(1): (3.0, 3), _hour(2): (24.0, 1), _hour(3): (3.0, 3)}


def test_a_long_sum_below_zero_is_refused():
    with pytest.raises(InputError, match=r"3 hours up to 2022-06-01T09\S+ is -3\.00 mm somewhere"):
        hourly([_sum(0, 3, [[2.0, -3.0]])], spread_hours=3)
