"""Real files: the committed table, and every value beside that of ecCodes or xarray."""

from collections.abc import Iterator

import eccodes
import numpy as np
import pytest
import xarray as xr

from conftest import ROOT
from jaxrain.errors import InputError
from jaxrain.weather.era5 import inventory, read_coarse
from jaxrain.weather.formats import main, survey, table
from jaxrain.weather.made_grib_test import message, pressure_message
from jaxrain.weather.variables import STANDARD_GRAVITY

_TABLES = ROOT / "docs" / "formats.md"


@pytest.mark.parametrize("folder", ["grib", "netcdf"])
def test_committed_table_is_what_becomes_of_the_real_files(shared_data, folder):
    rows = table(list(survey(shared_data / folder)))
    written = _TABLES.read_text().split(f"## {folder}/\n")[1].split("## ")[0]
    assert [line for line in written.splitlines() if line.startswith("|")] == rows.splitlines()


def _fields(path) -> Iterator[tuple[str, float, np.datetime64, np.ndarray, np.ndarray, np.ndarray]]:
    """Name, level, valid time, latitudes, longitudes and values of each field, by ecCodes alone."""
    eccodes.codes_grib_multi_support_on()
    try:
        with path.open("rb") as file:
            while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
                name, kind, level, date, time = (
                    eccodes.codes_get_string(handle, key)
                    for key in ("shortName", "typeOfLevel", "level", "validityDate", "validityTime")
                )
                time = time.zfill(4)
                valid = f"{date[:4]}-{date[4:6]}-{date[6:]}T{time[:2]}:{time[2:]}"
                eccodes.codes_set(handle, "missingValue", 1e30)
                values = eccodes.codes_get_values(handle)
                axes = [eccodes.codes_get_array(handle, f"{axis}s") for axis in _AXES]
                if kind in ("isobaricInhPa", "isobaricInPa"):
                    hpa = float(level) / (1.0 if kind == "isobaricInhPa" else 100.0)
                    seen = np.where(values == 1e30, np.nan, values)
                    yield name, hpa, np.datetime64(valid, "ns"), *axes, seen
                eccodes.codes_release(handle)
    finally:
        eccodes.codes_grib_multi_support_off()


_AXES = ("latitude", "longitude")


def _nearest(axis: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where on an even axis the wanted values are."""
    if len(axis) == 1:
        return np.zeros(len(wanted), int)
    places = (wanted - axis[0]) / ((axis[-1] - axis[0]) / (len(axis) - 1))
    assert np.abs(places - np.rint(places)).max() < 0.01
    return np.rint(places).astype(int)


def test_every_value_of_the_real_grib_is_that_of_ecCodes_at_its_place(shared_data):
    fields = files = 0
    for path in sorted((shared_data / "grib").rglob("*.gr*b*")):
        try:
            has = inventory(path)
        except InputError:
            continue
        read = {}
        for levels in filter(None, set(has.levels.values())):
            names = [name for name, each in has.levels.items() if each == levels]
            read |= read_coarse(path, variables=names, levels=levels).data_vars
        expected = 0
        for name, level, valid, latitude, longitude, values in _fields(path):
            ours = "z" if name == "gh" else name
            if ours not in read:
                continue
            array = read[ours].sel(time=valid, level=level)
            rows = _nearest(array.latitude.values, latitude)
            west = array.longitude.values[0]
            columns = _nearest(
                array.longitude.values, west + (longitude - west + 1e-3) % 360 - 1e-3
            )
            scale = STANDARD_GRAVITY if name == "gh" else 1.0
            np.testing.assert_array_equal(
                array.values[rows, columns], (scale * values).astype(np.float32), err_msg=path.name
            )
            assert len(set(zip(rows, columns, strict=True))) == array.size
            expected += 1
        assert expected == sum(array.time.size * array.level.size for array in read.values())
        fields += expected
        files += bool(read)
    assert (files, fields) >= (20, 600)


def test_every_value_of_the_real_netcdf_is_that_of_xarray(shared_data):
    files = 0
    for path in sorted((shared_data / "netcdf").glob("*.nc")):
        has = inventory(path)
        with xr.open_dataset(path) as plain:
            for name, levels in has.levels.items():
                got = read_coarse(path, variables=[name], levels=levels)[name]
                (ours,) = {name, *_names(name)} & set(plain.data_vars)
                # The files list their levels either way, their rows from the north.
                np.testing.assert_array_equal(
                    got.values, plain[ours].values.astype(np.float32), err_msg=path.name
                )
                np.testing.assert_array_equal(got.latitude, plain[ours].latitude)
        files += bool(has.levels)
    assert files == 4


def _names(name: str) -> tuple[str, ...]:
    return {"z": ("geopotential",)}.get(name, ())


def test_table_has_a_row_for_each_file_and_says_why(tmp_path, capsys):
    field = np.full((9, 9), 280.0)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "t.grib").write_bytes(pressure_message("t", 850, field))
    (tmp_path / "2t.grib").write_bytes(message(field, shortName="2t"))
    (tmp_path / "cut.grib").write_bytes(pressure_message("t", 850, field)[:-9])
    (tmp_path / "hot.grib").write_bytes(
        pressure_message("t", 850, field) + pressure_message("u", 850, field)
    )
    (tmp_path / "NOTICE.md").write_text("not data")
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| file | outcome |",
        "| --- | --- |",
        "| 2t.grib | refused (holds no predictor; it holds 2t) |",
        "| cut.grib | refused (message 1 is cut off: 9 bytes are missing at the end; fetch the "
        "file again) |",
        "| deep/t.grib | read (t: 1 hour, 850 hPa, 9 x 9 points) |",
        "| hot.grib | read (t: 1 hour, 850 hPa, 9 x 9 points; u: 1 hour, 850 hPa, 9 x 9 points, 81 "
        "values beyond -150 to 150) |",
    ]
    assert main([str(tmp_path / "absent")]) == 2
