import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.encodings import encode_position, encode_time

HALF = np.sqrt(0.5)
minutes = st.integers(0, 60 * 366 * 24 * 60)  # sixty years from 1970 on


def _times(*texts):
    return np.asarray(texts, "datetime64[s]")


def test_hours_of_the_day_are_a_circle_that_starts_at_midnight_utc():
    times = _times("2022-03-01T00", "2022-03-01T06", "2022-03-01T12", "2022-03-01T18")
    expected = [[0, 1], [1, 0], [0, -1], [-1, 0]]
    np.testing.assert_allclose(encode_time(["hour_of_day"], times), expected, atol=1e-6)
    quarter = encode_time(["hour_of_day"], _times("2022-03-01T03:00", "2022-03-01T02:50"))
    np.testing.assert_allclose(quarter[0], [HALF, HALF], atol=1e-6)
    assert quarter[1, 0] < HALF  # an hour that ends at ten to three is not one that ends at three


@pytest.mark.parametrize(("year", "days"), [(2021, 365), (2020, 366), (2000, 366), (1900, 365)])
def test_days_of_the_year_are_a_circle_of_just_that_years_length(year, days):
    start = np.datetime64(f"{year}-01-01T00", "s")
    quarters = start + np.arange(4) * np.timedelta64(days * 24 * 3600 // 4, "s")
    expected = [[0, 1], [1, 0], [0, -1], [-1, 0]]
    np.testing.assert_allclose(encode_time(["day_of_year"], quarters), expected, atol=1e-6)
    last = encode_time(["day_of_year"], start + np.asarray([days - 1], "timedelta64[D]"))
    angle = 2 * np.pi * (days - 1) / days
    np.testing.assert_allclose(last, [[np.sin(angle), np.cos(angle)]], atol=1e-6)


@given(minutes)
def test_no_minute_is_a_jump(minute):
    times = np.asarray([minute, minute + 1], "datetime64[m]")
    for name, step in [("hour_of_day", 2 * np.pi / 1440), ("day_of_year", 2 * np.pi / 1440 / 365)]:
        before, after = encode_time([name], times).astype(np.float64)
        assert np.hypot(*(after - before)) <= step * (1 + 1e-3) + 2e-7
        assert np.hypot(*after) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("seam", ["2021-12-31T23:59", "2020-02-28T23:59", "2020-12-31T23:59"])
def test_midnight_and_new_year_are_no_seams(seam):
    times = np.datetime64(seam, "m") + np.arange(3)
    before, at, after = encode_time(["hour_of_day", "day_of_year"], times).astype(np.float64)
    np.testing.assert_allclose(at - before, after - at, atol=1e-4)


def test_any_unit_of_time_and_the_order_of_names():
    time = np.datetime64("2020-05-17T05:00")
    expected = encode_time(["hour_of_day", "day_of_year"], np.asarray([time], "datetime64[s]"))
    for unit in ("h", "m", "ns"):
        same = encode_time(["hour_of_day", "day_of_year"], time.astype(f"datetime64[{unit}]")[None])
        np.testing.assert_array_equal(same, expected)
    turned = encode_time(["day_of_year", "latitude", "hour_of_day"], time[None])
    np.testing.assert_array_equal(turned, expected[:, [2, 3, 0, 1]])
    assert encode_time(["latitude"], time[None]).shape == (1, 0)


def test_positions_are_angles_whatever_the_turn_of_the_globe():
    grid = Grid(y=np.asarray([90.0, 30.0, -30.0]), x=np.asarray([0.0, 90.0, 180.0, 270.0]))
    codes = encode_position(["latitude", "longitude", "hour_of_day"], grid, "area0")
    assert codes.shape == (3, 4, 4)
    np.testing.assert_allclose(codes[:, 2, 0], [1, 0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(codes[:, 2, 1], [0, 3**0.5 / 2, 3**0.5 / 2], atol=1e-6)
    np.testing.assert_allclose(codes[1, :, 2], [0, 1, 0, -1], atol=1e-6)
    np.testing.assert_allclose(codes[1, :, 3], [1, 0, -1, 0], atol=1e-6)
    turned = Grid(y=grid.y, x=grid.x - 360)
    np.testing.assert_allclose(
        encode_position(["longitude"], turned, ""), codes[..., 2:], atol=1e-6
    )


def test_a_projected_area_has_its_own_latitudes_or_is_refused():
    axes = {"y": np.arange(2.0), "x": np.arange(3.0), "projected": True}
    latitude, longitude = np.arange(6.0).reshape(2, 3), 10 * np.arange(6.0).reshape(2, 3)
    codes = encode_position(
        ["latitude", "longitude"], Grid(**axes, latitude=latitude, longitude=longitude), "area0"
    )
    np.testing.assert_allclose(codes[..., 0], np.sin(np.deg2rad(latitude)), atol=1e-6)
    np.testing.assert_allclose(codes[..., 3], np.cos(np.deg2rad(longitude)), atol=1e-6)
    assert encode_position(["hour_of_day"], Grid(**axes), "area0").shape == (2, 3, 0)
    with pytest.raises(InputError, match=r"data\.encodings has longitude, but area7 .* lack it:"):
        encode_position(["longitude"], Grid(**axes), "area7")
    latitude[1, 1] = np.nan
    with pytest.raises(InputError, match="lack it at some points"):
        encode_position(["latitude"], Grid(**axes, latitude=latitude, longitude=longitude), "area7")
