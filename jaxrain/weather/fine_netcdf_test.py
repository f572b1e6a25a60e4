import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.fine_files import read_fine_file

_NAME = "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-2022060101.nc"
_END = np.datetime64("2022-06-01T01", "ns")
_RAIN = np.random.default_rng(1).gamma(0.5, 3.0, (5, 7))


def _field(**changes):
    """Rain on five latitudes and seven longitudes at one hour."""
    coords = {"time": [_END], "lat": np.linspace(24, 22, 5), "lon": np.linspace(112, 114, 7)}
    keys = {"data_vars": {"rain": (("time", "lat", "lon"), _RAIN[None], {"units": "mm"})}}
    return xr.Dataset(**{**keys, "coords": coords, **changes})


@pytest.mark.parametrize("name", ["unknown", "rain", "tp", "PRE", "PRE_1h"])
@pytest.mark.parametrize("ascending", [True, False])
def test_netcdf_made_from_it_in_every_spelling(tmp_path, name, ascending):
    field = xr.Dataset(
        {name: (("latitude", "longitude"), _RAIN)},
        coords={
            "time": _END,
            "latitude": np.linspace(24, 22, 5),
            "longitude": np.linspace(112, 114, 7),
        },
    )
    if ascending:
        field = field.isel(latitude=slice(None, None, -1))
    path = tmp_path / _NAME
    field.to_netcdf(path)
    dataset = read_fine_file(path)
    np.testing.assert_array_equal(dataset.rain[0], np.float32(_RAIN))
    np.testing.assert_array_equal(dataset.latitude, np.linspace(24, 22, 5))
    assert dataset.time.values[0] == _END


def test_metres_become_millimetres(tmp_path):
    field = xr.Dataset(
        {"tp": (("time", "lat", "lon"), _RAIN[None] / 1000, {"units": "m"})},
        coords={"time": [_END], "lat": np.linspace(24, 22, 5), "lon": np.linspace(112, 114, 7)},
    )
    field.to_netcdf(tmp_path / "a.nc")
    np.testing.assert_allclose(read_fine_file(tmp_path / "a.nc").rain[0], _RAIN, rtol=1e-6)


@pytest.mark.parametrize(("south_first", "turn"), [(True, 0), (False, 360), (True, -360)])
def test_axes_of_any_case_and_turn_come_out_alike(tmp_path, south_first, turn):
    field = _field().rename({"lat": "LAT", "lon": "Longitude"})
    field = field.assign_coords(Longitude=field.Longitude + turn)
    if south_first:
        field = field.isel(LAT=slice(None, None, -1))
    field.to_netcdf(tmp_path / "a.nc")
    dataset = read_fine_file(tmp_path / "a.nc")
    np.testing.assert_array_equal(dataset.rain[0], np.float32(_RAIN))
    np.testing.assert_allclose(dataset.longitude, np.linspace(112, 114, 7))


def test_a_grid_across_0_and_one_from_0_to_360_are_cropped_across_the_seam(tmp_path):
    longitude = np.arange(0.0, 360.0, 10.0)
    rain = np.broadcast_to(longitude, (1, 5, 36))
    field = _field(
        data_vars={"rain": (("time", "lat", "lon"), rain)},
        coords={"time": [_END], "lat": np.linspace(24, 22, 5), "lon": longitude},
    )
    field.to_netcdf(tmp_path / "a.nc")
    box = SimpleNamespace(north=23.6, south=22.4, west=-20.0, east=15.0)
    dataset = read_fine_file(tmp_path / "a.nc", region=box)
    np.testing.assert_array_equal(dataset.longitude, [-20, -10, 0, 10])
    np.testing.assert_array_equal(dataset.rain[0, 0], [340, 350, 0, 10])


def test_what_xarray_makes_of_a_grib_file_is_read_at_its_valid_time(tmp_path):
    start = _END - np.timedelta64(1, "h")
    field = xr.Dataset(
        {"unknown": (("latitude", "longitude"), _RAIN, {"GRIB_missingValue": 3.4e38})},
        coords={
            "time": start,
            "step": ((), 1.0, {"units": "hours"}),
            "surface": 0.0,
            "valid_time": _END,
            "latitude": np.linspace(24, 22, 5),
            "longitude": np.linspace(112, 114, 7),
        },
    )
    for path in (tmp_path / _NAME, tmp_path / "a.nc"):
        field.to_netcdf(path)
        assert read_fine_file(path).time.values[0] == _END
    field.drop_vars("valid_time").to_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match="has time and step but no valid_time"):
        read_fine_file(tmp_path / "a.nc")


def test_every_fill_value_is_missing(tmp_path):
    rain = _RAIN.copy()
    rain.flat[:5] = 9999.0, 999.9, -9999.0, -0.5, np.nan
    packed = {"dtype": "int16", "scale_factor": 0.1, "_FillValue": -32768}
    for name, encoding in (("float.nc", {}), ("packed.nc", packed)):
        field = _field(data_vars={"rain": (("time", "lat", "lon"), rain[None].clip(max=999.9))})
        field.to_netcdf(tmp_path / name, encoding={"rain": encoding})
        missing = np.isnan(read_fine_file(tmp_path / name).rain.values)
        np.testing.assert_array_equal(missing.ravel(), np.arange(35) < 5)
    declared = _field()
    declared["rain"].encoding = {"_FillValue": declared["rain"].values[0, 2, 2]}
    declared.to_netcdf(tmp_path / "declared.nc")
    missing = np.isnan(read_fine_file(tmp_path / "declared.nc").rain.values)
    assert missing.sum() == 1
    assert missing[0, 2, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename(rain="PRE_3h"), "PRE_3h is a sum over 3 hours, expected one hour"),
        (lambda f: f.rename(rain="PRE_24H"), "PRE_24H is a sum over 24 hours"),
        (lambda f: f.rename(rain="PrecipRate"), "PrecipRate is a rate"),
        (lambda f: f.drop_vars("lat"), "rain has no coordinate lat"),
        (lambda f: f.expand_dims(member=2), "has dimensions .*'member', 'time'"),
        (lambda f: f.assign_coords(lat=[24, 22, 23, 21, 20]), "latitude is not monotonic"),
        (lambda f: f.drop_vars("time"), "says no time"),
        (
            lambda f: f.assign(rain=f.rain.assign_attrs(units="kg m-2 s-1")),
            "has units 'kg m-2 s-1'",
        ),
    ],
)
def test_what_is_no_hourly_sum_on_a_grid_is_refused(tmp_path, change, message):
    change(_field()).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match=message):
        read_fine_file(tmp_path / "a.nc")


def test_bounds_of_three_hours_are_refused_under_a_name_of_one(tmp_path):
    field = _field()
    bounds = np.array([[_END - np.timedelta64(3, "h"), _END]])
    field["time_bnds"] = (("time", "bnds"), bounds)
    field["time"].attrs["bounds"] = "time_bnds"
    for name in ("time", "time_bnds"):
        field[name].encoding = {"units": "minutes since 2000-01-01"}
    field.to_netcdf(tmp_path / _NAME)
    with pytest.raises(InputError, match="sums from 2022-05-31T22:00 to 2022-06-01T01:00"):
        read_fine_file(tmp_path / _NAME)


def test_only_the_slab_is_read(tmp_path):
    side = 1500
    axis = np.arange(side) * 0.01
    field = xr.Dataset(
        {"rain": (("time", "lat", "lon"), np.ones((2, side, side), np.float32))},
        {"time": [_END, _END + np.timedelta64(1, "h")], "lat": 20 + axis, "lon": 110 + axis},
    )
    chunks = {"rain": {"chunksizes": (1, 100, 100)}}
    field.to_netcdf(tmp_path / "china.nc", encoding=chunks)
    box = SimpleNamespace(north=23.0, south=22.0, west=112.0, east=113.0)
    tracemalloc.start()
    try:
        dataset = read_fine_file(tmp_path / "china.nc", region=box)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert dataset.rain.shape == (2, 101, 101)
    assert peak < 0.25 * field.rain.nbytes
