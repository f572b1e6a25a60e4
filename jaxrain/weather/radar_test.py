from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.fine_files import read_fine_file


def _hour(**attrs):
    """A small projected file: y upward, in metres, with 2-D places."""
    y, x = np.arange(3) * 1000.0, np.arange(4) * 1000.0
    latitude = 50 + np.arange(3)[:, None] * 0.01 + np.zeros((3, 4))
    longitude = 10 + np.arange(4)[None, :] * 0.02 + np.zeros((3, 4))
    end = np.array(["2022-10-18T00:50"], "datetime64[ns]")
    bounds = np.stack([end - np.timedelta64(1, "h"), end], axis=1)
    dataset = xr.Dataset(
        {
            "precip": (("time", "y", "x"), np.arange(12.0).reshape(1, 3, 4), {"units": "mm"}),
            "time_bnds": (("time", "bnds"), bounds),
        },
        coords={
            "time": ("time", end, {"bounds": "time_bnds"}),
            "y": ("y", y, {"units": "m"}),
            "x": ("x", x, {"units": "m"}),
            "lat": (("y", "x"), latitude),
            "lon": (("y", "x"), longitude),
        },
        attrs=attrs,
    )
    for name in ("time", "time_bnds"):
        dataset[name].encoding = {"units": "minutes since 2000-01-01"}
    return dataset


def test_rows_run_from_north_to_south_in_km(tmp_path):
    plain = _hour(title="kept")
    plain.to_netcdf(tmp_path / "a.nc")
    dataset = read_fine_file(tmp_path / "a.nc")
    np.testing.assert_array_equal(dataset.y, [2, 1, 0])
    np.testing.assert_array_equal(dataset.x, [0, 1, 2, 3])
    np.testing.assert_array_equal(dataset.rain[0], plain.precip[0, ::-1])
    np.testing.assert_array_equal(dataset.latitude, plain.lat[::-1])
    assert dataset.attrs["title"] == "kept"


def test_region_takes_the_window_that_holds_its_points(tmp_path):
    _hour().to_netcdf(tmp_path / "a.nc")
    box = SimpleNamespace(south=50.005, north=50.03, west=10.01, east=10.05)
    dataset = read_fine_file(tmp_path / "a.nc", region=box)
    np.testing.assert_array_equal(dataset.rain[0], [[9, 10], [5, 6]])
    far = SimpleNamespace(south=40, north=41, west=10.01, east=10.05)
    with pytest.raises(InputError, match=r"no point lies in the region.*covers 50 to 50\.02 N"):
        read_fine_file(tmp_path / "a.nc", region=far)
    _hour().drop_vars(["lat", "lon"]).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(InputError, match="projected grid without latitude and longitude"):
        read_fine_file(tmp_path / "b.nc", region=box)


def test_time_must_end_its_hour(tmp_path):
    start_stamped = _hour()
    shifted = start_stamped.time_bnds + np.timedelta64(1, "h")
    start_stamped["time_bnds"] = shifted
    start_stamped.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match="expected the hour that ends at its time"):
        read_fine_file(tmp_path / "a.nc")


def test_a_files_own_projection_is_kept_in_a_region_too(tmp_path):
    dataset = _hour()
    lambert = {"grid_mapping_name": "lambert_conformal_conic", "standard_parallel": 48.0}
    dataset["precip"].attrs["grid_mapping"] = "projection"
    dataset.assign(projection=((), 0, lambert)).to_netcdf(tmp_path / "a.nc")
    box = SimpleNamespace(south=50.005, north=50.03, west=10.01, east=10.05)
    for region in (None, box):
        kept = read_fine_file(tmp_path / "a.nc", region=region)
        assert kept["crs"].attrs == lambert
        assert kept["rain"].attrs["grid_mapping"] == "crs"


def test_unknown_lengths_are_refused(tmp_path):
    dataset = _hour()
    dataset.y.attrs["units"] = "degrees"
    dataset.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match="y has units 'degrees', expected km or m"):
        read_fine_file(tmp_path / "a.nc")


def test_real_files_keep_every_value(shared_data):
    files = sorted((shared_data / "rain").glob("*.nc"))
    assert len(files) >= 8
    for path in files:
        dataset = read_fine_file(path)
        with xr.open_dataset(path) as plain:
            expected = plain.precip.values
            if "y" in plain.dims and plain.y[0] < plain.y[-1]:
                expected = expected[:, ::-1]
            np.testing.assert_array_equal(dataset.rain.values, expected.astype(np.float32))
            np.testing.assert_allclose(
                (dataset.time.values - plain.time.values).astype(float), 0, atol=1e9
            )
        assert "y" not in dataset.dims or dataset.y[0] > dataset.y[-1]
        if "latitude" in dataset.coords:
            latitude = dataset.latitude.values
            assert np.all(np.diff(latitude, axis=0) < 0)


def test_fine_files_are_told_apart(tmp_path):
    _hour().to_netcdf(tmp_path / "radar.nc")
    assert "y" in read_fine_file(tmp_path / "radar.nc").dims
    regular = xr.Dataset(
        {"rain": (("time", "lat", "lon"), np.ones((1, 2, 2)))},
        coords={
            "time": np.array(["2022-06-01T01"], "datetime64[ns]"),
            "lat": [1.0, 2.0],
            "lon": [3.0, 4.0],
        },
    )
    regular.to_netcdf(tmp_path / "grid.nc")
    np.testing.assert_array_equal(read_fine_file(tmp_path / "grid.nc").latitude, [2, 1])
