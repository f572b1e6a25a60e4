"""NetCDF in the forms that people have: both stores', cfgrib's, with and without windows."""

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.era5 import inventory, read_coarse
from jaxrain.weather.variables import STANDARD_GRAVITY

_RNG = np.random.default_rng(0)
_LATITUDE, _LONGITUDE = np.linspace(24, 22, 6), np.linspace(112, 114, 7)
_GRID = {"latitude": _LATITUDE, "longitude": _LONGITUDE}
_DAY = np.datetime64("2022-06-01T00", "ns")


def _hours(*hours):
    return _DAY + np.array(hours, "timedelta64[h]").astype("timedelta64[ns]")


def _rain(count):
    """Hourly rain in metres that comes and goes."""
    wet = _RNG.random((count, 6, 7)) < 0.5
    return np.where(wet, _RNG.gamma(1.0, 0.002, (count, 6, 7)), 0.0)


def _read(dataset, tmp_path, **keys):
    path = tmp_path / "a.nc"
    dataset.to_netcdf(path)
    return read_coarse(path, **{"variables": ["tp"], "levels": [], **keys})


def _tp(rain, dims=("time", "latitude", "longitude"), **coords):
    return xr.Dataset({"tp": (dims, rain, {"units": "m"})}, coords={**_GRID, **coords})


def test_new_form_of_the_data_store_with_its_scalars_and_strings(tmp_path):
    field = _RNG.normal(280, 5, (3, 2, 6, 7)).astype(np.float32)
    dataset = xr.Dataset(
        {
            "t": (
                ("valid_time", "pressure_level", "latitude", "longitude"),
                field,
                {"units": "K"},
            ),
            "tp": (("valid_time", "latitude", "longitude"), _rain(3), {"units": "m"}),
        },
        coords={
            "valid_time": _hours(0, 1, 2),
            "pressure_level": ("pressure_level", [850.0, 500.0], {"units": "hPa"}),
            **_GRID,
            "number": 0,
            "expver": ("valid_time", ["0001", "0001", "0005"]),
        },
    )
    got = _read(dataset, tmp_path, variables=["t", "tp"], levels=[500, 850])
    np.testing.assert_array_equal(got.t, field[:, ::-1])
    np.testing.assert_allclose(got.tp, 1000 * dataset.tp, rtol=1e-6)
    np.testing.assert_array_equal(got.time, _hours(0, 1, 2))
    assert set(got.coords) == {"time", "level", "latitude", "longitude"}


@pytest.mark.parametrize("streams", [[1, 5], [5, 1], ["0001", "0005"]])
def test_preliminary_stream_fills_the_hours_that_the_final_one_lacks(tmp_path, streams):
    rain = _rain(4)
    both = np.stack([rain, rain])
    final = [each in (1, "0001") for each in streams].index(True)
    both[final, 2:] = np.nan
    both[1 - final, :2] = np.nan
    dims = ("expver", "time", "latitude", "longitude")
    got = _read(_tp(both, dims, expver=streams, time=_hours(1, 2, 3, 4)), tmp_path)
    np.testing.assert_allclose(got.tp, 1000 * rain, rtol=1e-6)


def test_forecasts_lie_at_their_valid_times_not_at_their_start(tmp_path):
    field = _RNG.normal(280, 5, (2, 3, 6, 7)).astype(np.float32)
    steps = np.array([0, 1, 2], "timedelta64[h]").astype("timedelta64[ns]")
    dims = ("time", "step", "latitude", "longitude")
    dataset = xr.Dataset(
        {"t": (dims, field, {"units": "K"})},
        coords={"time": _hours(0, 6), "step": steps, **_GRID, "isobaricInhPa": 850.0},
    )
    dataset = dataset.assign_coords(valid_time=dataset.time + dataset.step)
    asked = {"variables": ["t"], "levels": [850]}
    got = _read(dataset, tmp_path, **asked)
    np.testing.assert_array_equal(got.time, _hours(0, 1, 2, 6, 7, 8))
    np.testing.assert_array_equal(got.t[:, 0], field.reshape(6, 6, 7))
    one = _read(dataset.isel(time=0, step=2), tmp_path, **asked)
    np.testing.assert_array_equal(one.time, _hours(2))
    one = _read(dataset.isel(step=1).drop_vars(["valid_time"]), tmp_path, **asked)
    np.testing.assert_array_equal(one.time, _hours(1, 7))
    np.testing.assert_array_equal(one.t[:, 0], field[:, 1])
    new = dataset.rename(time="forecast_reference_time", step="forecast_period")
    np.testing.assert_array_equal(_read(new, tmp_path, **asked).time, got.time)


def test_hours_of_forecasts_with_steps_are_taken_as_they_are(tmp_path):
    rain = _rain(24).reshape(2, 12, 6, 7)
    rain[0, :2] = np.nan  # no forecast had these: the file is padded
    steps = np.arange(1, 13).astype("timedelta64[h]").astype("timedelta64[ns]")
    dims = ("time", "step", "latitude", "longitude")
    got = _read(_tp(rain, dims, time=_hours(6, 18), step=steps), tmp_path)
    np.testing.assert_array_equal(got.time, _hours(*range(9, 19), *range(19, 31)))
    np.testing.assert_allclose(got.tp, 1000 * rain.reshape(24, 6, 7)[2:], rtol=1e-6)


def test_sums_that_run_for_twelve_hours_are_differenced(tmp_path):
    rain = _rain(24).reshape(2, 12, 6, 7)
    steps = np.arange(1, 13).astype("timedelta64[h]").astype("timedelta64[ns]")
    dims = ("time", "step", "latitude", "longitude")
    dataset = _tp(rain.cumsum(axis=1), dims, time=_hours(6, 18), step=steps)
    got = _read(dataset, tmp_path)
    np.testing.assert_array_equal(got.time, _hours(*range(7, 31)))
    np.testing.assert_allclose(got.tp, 1000 * rain.reshape(24, 6, 7), atol=1e-4)
    assert got.tp.attrs["summed"] == "made from longer sums"


def test_sums_of_era5_land_that_run_from_midnight_are_differenced(tmp_path):
    rain = _rain(48)
    running = rain.reshape(2, 24, 6, 7).cumsum(axis=1).reshape(48, 6, 7)
    got = _read(_tp(running, time=_hours(*range(1, 49))), tmp_path)
    np.testing.assert_allclose(got.tp, 1000 * rain, atol=1e-4)
    # A file of one day ends at 23 UTC and begins with the whole of the day before.
    dataset = _tp(running[23:47], time=_hours(*range(24, 48)))
    got = _read(dataset, tmp_path)
    np.testing.assert_array_equal(got.time, _hours(*range(25, 48)))
    np.testing.assert_allclose(got.tp, 1000 * rain[24:47], atol=1e-4)
    assert got.attrs["incomplete_hours"] == "2022-06-02T00:00"


def test_one_hour_on_the_grid_of_era5_land_is_refused(tmp_path):
    dataset = _tp(_rain(1), time=_hours(5)).assign_coords(latitude=np.linspace(24, 23.5, 6))
    with pytest.raises(InputError, match="tp is a sum over 5 hours that ends at"):
        _read(dataset, tmp_path)
    got = _read(dataset.assign_coords(latitude=_LATITUDE), tmp_path)
    assert got.sizes["time"] == 1


def test_windows_that_the_file_says_are_believed(tmp_path):
    rain = _rain(3)
    dataset = _tp(rain.cumsum(axis=0), time=_hours(7, 8, 9))
    dataset["time"].attrs["bounds"] = "time_bnds"
    dataset["time"].encoding["units"] = "hours since 2022-06-01"
    dataset["time_bnds"] = (("time", "nv"), np.stack([_hours(6, 6, 6), _hours(7, 8, 9)], axis=1))
    np.testing.assert_allclose(_read(dataset, tmp_path).tp, 1000 * rain, atol=1e-4)
    dataset["time_bnds"] = (("time", "nv"), np.stack([_hours(1, 2, 3), _hours(7, 8, 9)], axis=1))
    with pytest.raises(InputError, match="tp is a sum over 6 hours"):
        _read(dataset, tmp_path)
    dataset["time_bnds"] = (("time", "nv"), np.stack([_hours(7, 8, 9), _hours(8, 9, 10)], axis=1))
    with pytest.raises(InputError, match="windows of time_bnds do not end at their times"):
        _read(dataset, tmp_path)


def test_geopotential_goes_before_its_height(tmp_path):
    dims = ("time", "level", "latitude", "longitude")
    z, height = np.full((1, 1, 6, 7), 50_000.0), np.full((1, 1, 6, 7), 5000.0)
    dataset = xr.Dataset(
        {"gh": (dims, height, {"units": "gpm"}), "z": (dims, z, {"units": "m**2 s**-2"})},
        coords={"time": _hours(0), "level": [500], **_GRID},
    )
    asked = {"variables": ["z"], "levels": [500]}
    np.testing.assert_array_equal(_read(dataset, tmp_path, **asked).z, z)
    assert inventory(tmp_path / "a.nc").others == ("gh",)
    alone = dataset.drop_vars("z").rename(gh="geopotential_height")
    got = _read(alone, tmp_path, **asked).z
    np.testing.assert_allclose(got, STANDARD_GRAVITY * height, rtol=1e-6)


def test_steps_without_a_unit_are_refused(tmp_path):
    dims = ("time", "step", "latitude", "longitude")
    dataset = _tp(_rain(2).reshape(1, 2, 6, 7), dims, time=_hours(0), step=[1, 2])
    with pytest.raises(InputError, match="steps have units '', expected hours"):
        _read(dataset, tmp_path)
