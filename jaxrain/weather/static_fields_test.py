import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.made_grib_test import message
from jaxrain.weather.static_fields import Surround, read_static

LATITUDE, LONGITUDE = np.linspace(24, 22, 9), np.linspace(112, 114, 11)
HEIGHT = 100.0 * LATITUDE[:, None] + 10.0 * LONGITUDE


def _netcdf(path, values=HEIGHT, dims=("latitude", "longitude"), name="z", **axes):
    axes = {"latitude": LATITUDE, "longitude": LONGITUDE} | axes
    kept = {dim: axes[dim] for dim in dims if dim in axes}
    xr.Dataset({name: (dims, values, {"units": "m"})}, kept).to_netcdf(path)
    return path


def _same(field, values=HEIGHT):
    np.testing.assert_allclose(field.values, values, rtol=1e-6)
    np.testing.assert_allclose(field.grid.y, LATITUDE)
    np.testing.assert_allclose(field.grid.x, LONGITUDE)


def test_grib_and_netcdf_are_the_same_field(tmp_path):
    (tmp_path / "z.grib").write_bytes(message(HEIGHT, shortName="orog"))
    field = read_static(tmp_path / "z.grib")
    _same(field)
    assert (field.variable, field.units) == ("orog", "m")
    field = read_static(_netcdf(tmp_path / "z.nc"), "z")
    _same(field)
    assert (field.variable, field.units) == ("z", "m")


def test_rows_from_the_south_short_names_and_a_lone_time_are_the_same_field(tmp_path):
    path = _netcdf(
        tmp_path / "z.nc",
        HEIGHT[None, ::-1],
        ("time", "lat", "lon"),
        lat=LATITUDE[::-1],
        lon=LONGITUDE,
        time=[np.datetime64("2020-01-01", "ns")],
    )
    _same(read_static(path))


def test_only_what_surrounds_the_box_is_read_counted_in_its_turn(tmp_path):
    path = _netcdf(tmp_path / "z.nc", longitude=LONGITUDE - 360)
    field = read_static(path, around=Surround(23.1, 22.9, 112.9, 113.1))
    assert field.grid.extent() == "22.50..23.50 N, 112.60..113.40 E"
    coarse = read_static(path, around=Surround(23.06, 23.05, 113.05, 113.06))  # within one cell
    assert min(coarse.grid.shape) >= 3
    with pytest.raises(InputError, match=r"z\.nc: no point lies in the region"):
        read_static(path, around=Surround(10, 9, 112, 113))


def test_fills_that_files_do_not_declare_are_missing(tmp_path):
    values = HEIGHT.copy()
    values[0, :4] = [-9999, -32768, 9.97e36, np.nan]
    missing = np.isnan(read_static(_netcdf(tmp_path / "z.nc", values)).values)
    assert missing[0, :4].all()
    assert missing.sum() == 4


def test_a_projected_field_comes_in_kilometres_with_its_latitudes(tmp_path):
    latitude = np.broadcast_to(LATITUDE[:, None], HEIGHT.shape)
    xr.Dataset(
        {"lsm": (("y", "x"), HEIGHT)},
        {
            "y": ("y", 1000.0 * np.arange(9), {"units": "m"}),
            "x": ("x", 1000.0 * np.arange(11), {"units": "m"}),
            "lat": (("y", "x"), latitude),
            "lon": (("y", "x"), latitude + 90),
        },
    ).to_netcdf(tmp_path / "p.nc")
    grid = read_static(tmp_path / "p.nc").grid
    assert grid.projected
    np.testing.assert_allclose(grid.x, np.arange(11))
    np.testing.assert_allclose(grid.latitude, latitude)


def test_what_is_no_one_field_is_refused_with_what_there_is(tmp_path):
    path = _netcdf(tmp_path / "z.nc")
    with pytest.raises(InputError, match=r"z\.nc: has no variable 'height'; it holds z: mend"):
        read_static(path, "height")
    both = tmp_path / "both.grib"
    both.write_bytes(message(HEIGHT, shortName="orog") + message(HEIGHT, shortName="lsm"))
    with pytest.raises(InputError, match="holds orog, lsm, expected one field: name it"):
        read_static(both)
    with pytest.raises(InputError, match="has no variable 'z'; it holds orog, lsm"):
        read_static(both, "z")
    both.write_bytes(2 * message(HEIGHT, shortName="orog"))
    with pytest.raises(InputError, match="holds orog in 2 messages, expected one"):
        read_static(both)
    times = np.arange(2).astype("datetime64[h]").astype("datetime64[ns]")
    dims = ("time", "latitude", "longitude")
    with pytest.raises(InputError, match=r"z has dimensions time, .* keep one time"):
        read_static(_netcdf(tmp_path / "t.nc", np.stack([HEIGHT, HEIGHT]), dims, time=times))
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match="is npy, expected a static field in NetCDF or GRIB"):
        read_static(tmp_path / "a.npy")
    with pytest.raises(InputError, match="z has 1 x 11 points, expected 2 x 2"):
        read_static(_netcdf(tmp_path / "one.nc", HEIGHT[:1], latitude=LATITUDE[:1]))


def test_a_model_s_own_terrain_is_read(shared_data):
    path = shared_data / "grib" / "gfs_other" / "gfs.grb"
    field = read_static(path, "orog", Surround(50, 20, 70, 110))
    assert field.units in ("m", "gpm")
    assert 4000 < np.nanmax(field.values) < 6500  # Tibet at 2.5 degrees
