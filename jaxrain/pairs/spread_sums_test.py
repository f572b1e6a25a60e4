"""Forecasts whose rain is summed from the start, in steps of three hours, as IFS open data."""

import eccodes
import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.pairs.inputs import hours_left_out, predictors, read_inputs
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.spread_sums import hours_spread, spread_attribute
from jaxrain.weather.made_grib_test import message, pressure_message

RAIN_ALONE = DataConfig(variables=["tp"], levels=[])
BOTH = DataConfig(variables=["t", "tp"], levels=[850])
_RNG = np.random.default_rng(0)
_SHAPE = (9, 9)
_BASE = {"dataDate": 20240501, "dataTime": 0}
_START = np.datetime64("2024-05-01T00", "ns")


def every(hours):
    return np.ones(len(hours), bool)


def _hours(*ends):
    return _START + np.array(ends, "timedelta64[h]").astype("timedelta64[ns]")


def _tp(end, running_mm, start=0):
    """As ECMWF's open data has it: metres since the forecast's start, CCSDS."""
    return message(
        running_mm / 1000,
        centre="ecmf",
        productDefinitionTemplateNumber=8,
        shortName="tp",
        packingType="grid_ccsds",
        **_BASE,
        stepRange=f"{start}-{end}",  # last: the window's end is reckoned from the base
    )


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Files of the steps 0, 3, 6, 9; all in one file; rain of the steps, mm; temperatures."""
    folder = tmp_path_factory.mktemp("steps")
    rain = _RNG.gamma(1.0, 2.0, (3, *_SHAPE))
    fields = _RNG.normal(280, 5, (4, *_SHAPE))
    paths = []
    for number, end in enumerate((0, 3, 6, 9)):
        parts = [pressure_message("t", 850, fields[number], stepRange=end, **_BASE)]
        if end:
            parts.append(_tp(end, rain[:number].sum(axis=0)))
        paths.append(folder / f"{end}h.grib2")
        paths[-1].write_bytes(b"".join(parts))
    whole = folder / "all.grib2"
    whole.write_bytes(b"".join(path.read_bytes() for path in paths))
    return paths, whole, rain, fields


@pytest.mark.parametrize("apart", [False, True])
def test_hours_of_the_steps_come_out_with_the_means_of_their_rain(steps, apart):
    paths, whole, rain, fields = steps
    dataset = read_inputs(paths[::-1] if apart else [whole], BOTH, spread_hours=3)
    np.testing.assert_array_equal(dataset["time"], _hours(3, 6, 9))
    np.testing.assert_array_equal(dataset["window_hours"], [3, 3, 3])
    np.testing.assert_allclose(dataset["tp"], rain / 3, atol=1e-3)
    np.testing.assert_allclose(predictors(dataset, BOTH)[:, 1], rain / 3, atol=1e-3)
    np.testing.assert_allclose(dataset["t"][:, 0], fields[1:], atol=1e-3)
    assert hours_left_out(dataset, every) == [
        "1 of 10 hours are left out, for the input does not hold all of tp then: 2024-05-01T00:00",
        "6 of 10 hours are left out, for the input does not hold all of t then: 2024-05-01T01:00, "
        "2024-05-01T02:00, 2024-05-01T04:00, 2024-05-01T05:00 and 2 more",
    ]
    (line,) = hours_spread(dataset, every)
    assert line.startswith("the coarse rain of 3 of 3 hours is a mean over 3 hours (--spread-sums)")
    told = spread_attribute(dataset, lambda hours: hours > _hours(3)[0])
    assert told == {"jaxrain_spread_sums": "3 hours: 2024-05-01T06:00 2024-05-01T09:00"}


def test_rain_alone_comes_out_at_every_hour(steps):
    _, whole, rain, _ = steps
    dataset = read_inputs([whole], RAIN_ALONE, spread_hours=6)
    np.testing.assert_array_equal(dataset["time"], _hours(*range(1, 10)))
    np.testing.assert_allclose(dataset["tp"], np.repeat(rain / 3, 3, axis=0), atol=1e-3)


def test_without_being_asked_no_mean_stands_for_an_hour(steps):
    paths, whole, _, _ = steps
    for given in ([whole], paths):
        with pytest.raises(InputError, match=r"sum over 3 hours .* with --spread-sums 3$"):
            read_inputs(given, BOTH)


def test_steps_of_an_hour_in_files_of_their_own_are_differenced_exactly(tmp_path):
    rain = _RNG.gamma(1.0, 2.0, (3, *_SHAPE))
    paths = [tmp_path / f"{end}.grib2" for end in (1, 2, 3)]
    for number, path in enumerate(paths):
        path.write_bytes(_tp(number + 1, rain[: number + 1].sum(axis=0)))
    dataset = read_inputs(paths, RAIN_ALONE)
    np.testing.assert_array_equal(dataset["time"], _hours(1, 2, 3))
    np.testing.assert_allclose(dataset["tp"], rain, atol=1e-3)
    spread = read_inputs(paths, RAIN_ALONE, spread_hours=6)
    np.testing.assert_array_equal(spread["tp"], dataset["tp"])
    assert hours_spread(spread, every) == []
    assert spread_attribute(spread, every) == {}


def test_sums_that_are_too_long_are_left_out_and_told(tmp_path, caplog):
    path = tmp_path / "a.grib2"
    fields = np.full((3, *_SHAPE), [[[1.0]], [[3.0]], [[9.0]]])
    path.write_bytes(b"".join(map(_tp, (3, 6, 12), fields)))
    dataset = read_inputs([path], RAIN_ALONE, spread_hours=3)
    np.testing.assert_array_equal(dataset["time"], _hours(*range(1, 7)))
    assert "12 hours that ends at 2024-05-01T12:00:00" in caplog.text
    assert "--spread-sums 6; 1 such hours are left out" in caplog.text
    (line,) = hours_left_out(dataset, every)
    assert line.startswith("1 of 7 hours are left out")
    longer = read_inputs([path], RAIN_ALONE, spread_hours=6)
    assert [line.split(" hours")[0] for line in hours_spread(longer, every)] == [
        "the coarse rain of 6 of 12",
        "the coarse rain of 6 of 12",
    ]
    np.testing.assert_allclose(longer["tp"].sum("time"), 9.0, atol=1e-3)


def test_netcdf_of_the_same_steps_is_read_alike(tmp_path):
    rain = _RNG.gamma(1.0, 0.002, (4, 12, 13))
    axes = {"latitude": np.linspace(24, 22, 12), "longitude": np.linspace(112, 114, 13)}
    dims = ("step", "latitude", "longitude")
    step = np.array([3, 6, 9, 12], "timedelta64[h]").astype("timedelta64[ns]")
    xr.Dataset(
        {"tp": (dims, rain.cumsum(axis=0), {"units": "m"})},
        {"time": _START, "step": step, **axes},
    ).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match=r"a sum over 3 hours .* with --spread-sums 3$"):
        read_inputs([tmp_path / "a.nc"], RAIN_ALONE)
    dataset = read_inputs([tmp_path / "a.nc"], RAIN_ALONE, spread_hours=3)
    np.testing.assert_array_equal(dataset["time"], _hours(*range(1, 13)))
    np.testing.assert_allclose(dataset["tp"], np.repeat(rain * 1000 / 3, 3, axis=0), rtol=1e-4)


@pytest.mark.parametrize("forecast", [True, False])
def test_netcdf_steps_in_files_of_their_own_are_told_by_all_of_them(tmp_path, forecast):
    rain = _RNG.gamma(1.0, 2.0, (4, 12, 13))
    paths = [tmp_path / f"{end}.nc" for end in (3, 6, 9, 12)]
    for path, end, running in zip(paths, (3, 6, 9, 12), rain.cumsum(axis=0), strict=True):
        time = {"time": _START, "step": np.timedelta64(end, "h").astype("timedelta64[ns]")}
        time = time if forecast else {"time": _hours(end)[0]}
        axes = {"latitude": np.linspace(24, 22, 12), "longitude": np.linspace(112, 114, 13)}
        tp = (("latitude", "longitude"), running, {"units": "mm"})
        xr.Dataset({"tp": tp}, {**time, **axes}).to_netcdf(path)
    dataset = read_inputs(paths, RAIN_ALONE, spread_hours=3)
    np.testing.assert_array_equal(dataset["window_hours"], 3)
    np.testing.assert_allclose(dataset["tp"], np.repeat(rain / 3, 3, axis=0), atol=1e-4)
    with pytest.raises(InputError, match="with --spread-sums 3"):
        read_inputs(paths, RAIN_ALONE)
    if forecast:  # an hour's, or the sum since the start? of a day without a start, an hour's
        with pytest.raises(
            InputError, match=r"up to 2024-05-01T06\S+, an hour or since 2024-05-01T00"
        ):
            read_inputs(paths[1:2], RAIN_ALONE)


def test_netcdf_whose_steps_are_long_and_not_running_is_refused(tmp_path):
    rain = _RNG.gamma(1.0, 2.0, (4, 12, 13))
    axes = {"latitude": np.linspace(24, 22, 12), "longitude": np.linspace(112, 114, 13)}
    coordinates = {"time": _hours(3, 6, 9, 12), **axes}
    tp = (tuple(coordinates), rain, {"units": "mm"})
    xr.Dataset({"tp": tp}, coordinates).to_netcdf(tmp_path / "a.nc")
    assert read_inputs([tmp_path / "a.nc"], RAIN_ALONE)["tp"].shape == (4, 12, 13)
    with pytest.raises(InputError, match="nothing says over what tp is summed"):
        read_inputs([tmp_path / "a.nc"], RAIN_ALONE, spread_hours=3)


def test_six_hours_of_a_real_gfs_file(shared_data):
    path = shared_data / "grib" / "gfs_other" / "gfs.grb"
    config = DataConfig(variables=["u", "tp"], levels=[850])
    with pytest.raises(InputError, match=r"with --spread-sums 6$"):
        read_inputs([path], config, spread_hours=3)
    dataset = read_inputs([path], config, spread_hours=6)
    assert spread_attribute(dataset, every) == {"jaxrain_spread_sums": "6 hours: 2011-10-11T00:00"}
    assert hours_left_out(dataset, every)[0].startswith("5 of 6 hours are left out")
    with path.open("rb") as file:
        for _ in range(200):
            handle = eccodes.codes_grib_new_from_file(file)
            values = eccodes.codes_get_values(handle)
            eccodes.codes_release(handle)
    assert values.max() > 10  # mm, in six hours
    np.testing.assert_allclose(
        np.sort(dataset["tp"].values, axis=None), np.sort(values) / 6, atol=1e-4
    )
