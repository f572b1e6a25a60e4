import datetime
import io
import zipfile

import eccodes
import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.era5 import inventory, read_coarse
from jaxrain.weather.made_grib_test import message, pressure_message

_RNG = np.random.default_rng(0)
_SHAPE = (9, 9)


def _file(tmp_path, *parts, name="a.grib"):
    path = tmp_path / name
    path.write_bytes(b"".join(parts))
    return path


def test_real_grib_equals_ecCodes_message_by_message(shared_data):
    path = shared_data / "grib" / "era5_like" / "pl_regular_ll.grib"
    levels = [850, 700, 500, 300]
    dataset = read_coarse(path, variables=["u", "v", "t", "r", "z"], levels=levels)
    assert dataset.sizes == {"time": 8, "level": 4, "latitude": 19, "longitude": 36}
    np.testing.assert_array_equal(dataset.level, levels)
    np.testing.assert_array_equal(dataset.latitude, np.arange(90, -91, -10))
    np.testing.assert_array_equal(dataset.longitude, np.arange(0, 360, 10))
    seen = 0
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            name, level = (eccodes.codes_get(handle, key) for key in ("shortName", "level"))
            if level in levels:
                day = datetime.datetime.strptime(
                    f"{eccodes.codes_get(handle, 'dataDate')}"
                    f"{eccodes.codes_get(handle, 'dataTime'):04d}",
                    "%Y%m%d%H%M",
                ) + datetime.timedelta(hours=eccodes.codes_get(handle, "step"))
                expected = eccodes.codes_get_values(handle).reshape(19, 36).astype(np.float32)
                field = dataset[name].sel(time=np.datetime64(day, "ns"), level=level)
                np.testing.assert_array_equal(field, expected)
                seen += 1
            eccodes.codes_release(handle)
    assert seen == 8 * 4 * 5
    units = {name: dataset[name].attrs["units"] for name in dataset}
    assert units == {"u": "m s-1", "v": "m s-1", "t": "K", "r": "%", "z": "m2 s-2"}


@pytest.mark.parametrize(
    ("name", "time", "level"),
    [
        ("ndrt_2020_weather_data_ERA5_new.nc", "valid_time", "pressure_level"),
        ("bella_lui_weather_data_ERA5.nc", "time", "level"),
    ],
)
def test_real_netcdf_of_both_forms_equals_xarray(shared_data, name, time, level):
    path = shared_data / "netcdf" / name
    with xr.open_dataset(path) as plain:
        plain = plain.load()
    levels = [850, 700, 900]
    dataset = read_coarse(path, variables=["z", "u"], levels=levels)
    for variable in ("u", "z"):
        expected = plain[variable].sel({level: levels}).transpose(time, level, ...)
        np.testing.assert_array_equal(dataset[variable].values, np.float32(expected.values))
    np.testing.assert_array_equal(dataset.time, plain[time])
    np.testing.assert_array_equal(dataset.latitude, plain.latitude)
    np.testing.assert_array_equal(dataset.longitude, plain.longitude)
    np.testing.assert_array_equal(dataset.level, levels)


# What becomes of each hostile file when t and z, or what else it holds, is asked for.
_HOSTILE = {
    "TRUNCATED_pl_regular_ll.grib": "message 129 is cut off: 1156 bytes are missing",
    "alternate-scanning.grib": r"lacks t; it holds 2t \(no predictors\)",
    "era5-levels-corrupted.grib": "message 1 does not end in '7777'",
    "fields_with_missing_values.grib": r"lacks t; it holds 2t \(no predictors\)",
    "hpa_and_pa.grib": "t has no level 850 hPa, nearest are 0.1 and 1",
    "ineg_jneg.grib2": r"lacks t; it holds avg_t \(no predictors\)",
    "ipos_jpos.grib2": r"lacks t; it holds avg_t \(no predictors\)",
    "reduced_gg.grib": r"message 1 \(10u\) is on a 'reduced_gg' grid",
    "rotated_wind_20x20.grib": "'rotated_ll' grid",
    "scanning_mode_64.grib": r"lacks t; it holds skt \(no predictors\)",
    "single_gridpoint.grib": r"lacks t; it holds 2t, tprate \(no predictors\)",
    "spherical_harmonics.grib": r"message 1 \(z\) is on a 'sh' grid",
    "step_60m.grib": r"lacks t; it holds 2t \(no predictors\)",
    "t_on_different_level_types.grib": "t has no level 850 hPa, nearest are 100",
    "tp_on_different_grid_resolutions.grib": "lacks t; it holds tp;",
    "uv_on_different_levels.grib": "lacks t; it holds u on 1000, 850, 700, 500, 400 hPa; v on",
}


def test_hostile_files_are_refused_with_one_line(shared_data):
    files = sorted((shared_data / "grib" / "hostile").iterdir())
    assert {path.name for path in files} <= set(_HOSTILE)
    for path in files:
        with pytest.raises(InputError, match=_HOSTILE[path.name]) as error:
            read_coarse(path, variables=["t"], levels=[850])
        assert "\n" not in str(error.value)
        assert path.name in str(error.value)


def test_hostile_files_give_what_is_sound_in_them(shared_data):
    hostile = shared_data / "grib" / "hostile"
    t = read_coarse(hostile / "t_on_different_level_types.grib", variables=["t"], levels=[100])
    assert t.sizes["level"] == 1
    high = read_coarse(hostile / "hpa_and_pa.grib", variables=["t"], levels=[1])
    assert 150 < float(high.t.mean()) < 340
    u = read_coarse(hostile / "uv_on_different_levels.grib", variables=["u"], levels=[850])
    assert u.sizes["time"] == 2
    with pytest.raises(InputError, match="v has no level 850 hPa, nearest are 700 and 1000"):
        read_coarse(hostile / "uv_on_different_levels.grib", variables=["u", "v"], levels=[850])
    with pytest.raises(InputError, match=r"message 2: tp is on another grid \(46 x 90\)"):
        read_coarse(
            hostile / "tp_on_different_grid_resolutions.grib", variables=["tp"], levels=[850]
        )


def test_every_packing_of_real_files_is_read(shared_data):
    packing = shared_data / "grib" / "packing"
    t = read_coarse(packing / "aifs-single-t500.grib2", variables=["t"], levels=[500])
    assert t.longitude[0] == -180  # the file starts at 180
    assert np.all(np.diff(t.longitude) == 0.25)
    jpeg, png = (
        read_coarse(packing / f"gfs.{kind}.grib2", variables=["z"], levels=[500])
        for kind in ("jpeg", "png")
    )
    np.testing.assert_allclose(jpeg.z, png.z, atol=1.0)  # the same field, packed twice
    assert 45_000 < float(png.z.mean()) < 60_000  # gpm became m2 s-2


@pytest.mark.parametrize("edition", [1, 2])
def test_scan_and_order_of_messages_do_not_matter(tmp_path, edition):
    fields = {level: 280 + _RNG.normal(0, 5, _SHAPE) for level in (850, 500)}
    upside = [
        pressure_message(
            "t",
            level,
            fields[level][::-1],
            edition=edition,
            latitude=(22.0, 24.0),
            dataTime=hour * 100,
        )
        for hour in (7, 6)
        for level in (500, 850)
    ]
    dataset = read_coarse(_file(tmp_path, *upside), variables=["t"], levels=[850, 500])
    for index, level in enumerate((850, 500)):
        np.testing.assert_allclose(dataset.t[1, index], fields[level], atol=1e-4)
    np.testing.assert_array_equal(
        dataset.time, np.array(["2022-06-01T06", "2022-06-01T07"], "datetime64[ns]")
    )


def _tp(rain_m, *, base, start, end, mars_class="ea"):
    accumulation = (
        {"timeRangeIndicator": 4, "P1": start, "P2": end}
        if start is not None
        else {"timeRangeIndicator": 0, "P1": end}
    )
    return message(
        rain_m,
        edition=1,
        centre=98,
        table2Version=128,
        indicatorOfParameter=228,
        setLocalDefinition=1,
        localDefinitionNumber=1,
        **{"class": mars_class},
        dataDate=20220601,
        dataTime=base * 100,
        **accumulation,
    )


def test_rain_of_forecasts_is_for_time_plus_step_in_mm(tmp_path):
    rain = _RNG.gamma(1, 0.002, (3, *_SHAPE))
    path = _file(
        tmp_path,
        _tp(rain[0], base=6, start=11, end=12),
        _tp(rain[1], base=18, start=0, end=1),
        _tp(rain[2], base=18, start=None, end=2),  # ERA5's sums are hourly, said or not
    )
    dataset = read_coarse(path, variables=["tp"], levels=[])
    times = np.array(["2022-06-01T18", "2022-06-01T19", "2022-06-01T20"], "datetime64[ns]")
    np.testing.assert_array_equal(dataset.time, times)
    np.testing.assert_allclose(dataset.tp, 1000 * rain, atol=1e-4)
    assert dataset.tp.attrs["units"] == "mm"


def test_running_sums_of_other_forecasts_are_differenced(tmp_path):
    rain = _RNG.gamma(1, 0.002, (3, *_SHAPE))
    running = np.cumsum(rain, axis=0)
    parts = [_tp(running[k], base=0, start=None, end=k + 1, mars_class="od") for k in range(3)]
    dataset = read_coarse(_file(tmp_path, *parts), variables=["tp"], levels=[])
    np.testing.assert_allclose(dataset.tp, 1000 * rain, atol=1e-3)
    with pytest.raises(InputError, match="tp is a sum over 3 hours that ends at"):
        read_coarse(_file(tmp_path, parts[2]), variables=["tp"], levels=[])
    gap = read_coarse(_file(tmp_path, parts[0], parts[2]), variables=["tp"], levels=[])
    assert gap.sizes["time"] == 1
    assert gap.attrs["incomplete_hours"] == "2022-06-01T03:00"


def test_partial_takes_what_is_there_and_says_what_it_cannot(tmp_path):
    path = _file(tmp_path, pressure_message("t", 850, np.full(_SHAPE, 280.0)))
    dataset = read_coarse(path, variables=["u", "t", "tp"], levels=[850], partial=True)
    assert list(dataset) == ["t"]
    with pytest.raises(InputError, match="lacks u, tp; it holds t on 850 hPa; drop them"):
        read_coarse(path, variables=["u", "t", "tp"], levels=[850])
    with pytest.raises(InputError, match="lacks u; it holds t on 850 hPa"):
        read_coarse(path, variables=["u"], levels=[850], partial=True)
    assert inventory(path).levels == {"t": (850.0,)}
    assert inventory(path).shape == _SHAPE


def test_hour_without_all_variables_is_left_out_and_told(tmp_path):
    field = np.full(_SHAPE, 280.0)
    path = _file(
        tmp_path,
        pressure_message("t", 850, field, dataTime=600),
        pressure_message("t", 850, field, dataTime=700),
        pressure_message("u", 850, field, dataTime=700),
    )
    dataset = read_coarse(path, variables=["u", "t"], levels=[850])
    np.testing.assert_array_equal(dataset.time, np.array(["2022-06-01T07"], "datetime64[ns]"))
    assert dataset.attrs["incomplete_hours"] == "2022-06-01T06:00"
    both = read_coarse(path, variables=["u", "t"], levels=[850], partial=True)
    assert np.isnan(both.u[0]).all()
    assert not np.isnan(both.t).any()


def test_two_messages_that_disagree_are_refused(tmp_path):
    same = pressure_message("t", 850, np.full(_SHAPE, 280.0))
    other = pressure_message("t", 850, np.full(_SHAPE, 281.0))
    read_coarse(_file(tmp_path, same, same), variables=["t"], levels=[850])
    with pytest.raises(InputError, match="message 2: another message holds other values"):
        read_coarse(_file(tmp_path, same, other), variables=["t"], levels=[850])


def test_missing_level_is_interpolated_in_log_pressure_on_demand(tmp_path):
    path = _file(
        tmp_path,
        *(pressure_message("t", p, np.full(_SHAPE, 100 * np.log(p))) for p in (850, 600, 300)),
    )
    with pytest.raises(InputError, match="t has no level 500 hPa, nearest are 300 and 600"):
        read_coarse(path, variables=["t"], levels=[850, 500])
    dataset = read_coarse(path, variables=["t"], levels=[850, 500], interpolate_levels=True)
    np.testing.assert_allclose(dataset.t[0, 1], 100 * np.log(500), rtol=1e-6)


def test_region_keeps_one_cell_around(tmp_path):
    field = np.arange(81.0).reshape(_SHAPE)
    path = _file(tmp_path, pressure_message("t", 850, field))

    class Box:
        north, south, west, east = 23.5, 23.0, 113.0, 113.5

    dataset = read_coarse(path, variables=["t"], levels=[850], region=Box())
    np.testing.assert_allclose(dataset.latitude, [23.75, 23.5, 23.25, 23.0, 22.75])
    np.testing.assert_allclose(dataset.longitude, [112.75, 113.0, 113.25, 113.5, 113.75])
    np.testing.assert_allclose(dataset.t[0, 0], field[1:6, 3:8], atol=1e-4)


def _cds(**coords):
    """A small file as the data store's."""
    field = _RNG.normal(0, 1, (2, 2, 3, 4)).astype(np.float32)
    return xr.Dataset(
        {"u": (("time", "level", "latitude", "longitude"), field, {"units": "m s**-1"})},
        coords={
            "time": np.array(["2022-06-01T00", "2022-06-01T01"], "datetime64[ns]"),
            "level": ("level", [500, 850], {"units": "millibars"}),
            "latitude": [24.0, 23.75, 23.5],
            "longitude": [112.0, 112.25, 112.5, 112.75],
            **coords,
        },
    )


def test_era5t_fills_what_era5_does_not_have_yet(tmp_path):
    whole = _cds()
    era5 = whole.where(whole.time < np.datetime64("2022-06-01T01"))
    era5t = whole.where(whole.time >= np.datetime64("2022-06-01T01"))
    both = xr.concat([era5t, era5], dim=xr.DataArray([5, 1], dims="expver", name="expver"))
    both.u.attrs["units"] = "m s**-1"
    both.to_netcdf(tmp_path / "a.nc")
    dataset = read_coarse(tmp_path / "a.nc", variables=["u"], levels=[500, 850])
    np.testing.assert_array_equal(dataset.u, whole.u)


def test_long_names_and_pascals_are_known(tmp_path):
    whole = _cds(level=("level", [50000.0, 85000.0], {"units": "Pa"}))
    renamed = whole.rename(u="u_component_of_wind", level="plev", latitude="lat", longitude="lon")
    renamed.isel(lat=slice(None, None, -1)).to_netcdf(tmp_path / "a.nc")
    dataset = read_coarse(tmp_path / "a.nc", variables=["u"], levels=[850])
    np.testing.assert_array_equal(dataset.u[:, 0], whole.u[:, 1])
    np.testing.assert_array_equal(dataset.latitude, whole.latitude)


def test_other_files_are_refused_with_one_line(tmp_path):
    def refused(content, words):
        path = tmp_path / "a"
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_coarse(path, variables=["u"], levels=[850])

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("data_stream-oper_stepType-instant.nc", b"CDF")
    refused(packed.getvalue(), r"is packed \(zip\)")
    refused(b"", "is empty")
    refused(b"Your request failed", "is not a GRIB or NetCDF file")
    refused(b"\x89HDF\r\n\x1a\n" + bytes(200), "cannot be read as NetCDF")
    refused(b"\x93NUMPY\x01\x00", r"is a \.npy array")
    with pytest.raises(InputError, match="no such file"):
        inventory(tmp_path / "absent.grib")
    with pytest.raises(InputError, match="is a folder"):
        inventory(tmp_path)


def test_bad_units_in_netcdf_are_refused(tmp_path):
    whole = _cds()
    whole.u.attrs["units"] = "knots"
    whole.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(InputError, match="u has units 'knots', expected m s-1"):
        read_coarse(tmp_path / "a.nc", variables=["u"], levels=[850])
