import logging
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.cmpa import is_cmpa_name, newest, parse_name, read_fine
from jaxrain.weather.made_grib_test import cmpa_message, message

_NAME = "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-2022060101.GRB2"
_BARE = "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_BCGZ_0P01_HOR-PRE.GRB2"
_END = np.datetime64("2022-06-01T01", "ns")
_RAIN = np.random.default_rng(1).gamma(0.5, 3.0, (5, 7))


def _file(tmp_path, content, name=_NAME):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_name_comes_apart():
    name = parse_name("Z_SURF_C_BABJ_20220101001916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-2022010100.GRB2")
    assert name.produced == np.datetime64("2022-01-01T00:19:16")
    assert name.valid == np.datetime64("2022-01-01T00")
    assert (name.stream, name.region, name.resolution) == ("RT", "BCGZ", "0P01")
    assert (name.product, name.number, name.suffix) == ("HOR", None, "GRB2")


@pytest.mark.parametrize("stream", ["RT", "NRT", "FRT", "FAST"])
@pytest.mark.parametrize("product", ["HOR", "3HOR", "DAY"])
@pytest.mark.parametrize("tail", ["", "-2022010312", "-2022010312_001", "_001"])
def test_every_form_of_name_is_known(stream, product, tail):
    text = f"Z_SURF_C_BABJ_20220105123000_P_CMPA_{stream}_CHN_0P05_{product}-PRE{tail}.nc"
    name = parse_name(text)
    assert (name.stream, name.product) == (stream, product)
    assert (name.valid is None) == ("-2022" not in tail)
    assert name.hour == np.datetime64("2022-01-03T12" if name.valid else "2022-01-05T12")
    assert name.number == ("001" if tail.endswith("_001") else None)


@pytest.mark.parametrize(
    "name", ["rain.nc", _NAME.replace("0P01", "0P02"), _NAME + ".idx", _NAME[:-1], "x" + _NAME]
)
def test_other_names_are_refused(name):
    assert not is_cmpa_name(name)
    with pytest.raises(InputError, match="is no CMPA name, expected Z_SURF_C_BABJ_"):
        parse_name(name)


def test_name_with_an_impossible_time_is_refused():
    with pytest.raises(InputError, match="20221301011916 is no time"):
        parse_name(_NAME.replace("20220601011916", "20221301011916"))


def test_newest_issue_of_an_hour_wins_whatever_the_order(caplog):
    first, second, third = (
        _NAME.replace("20220601011916_P_CMPA_RT", f"{produced}_P_CMPA_{stream}")
        for produced, stream in (
            ("20220601011916", "RT"),
            ("20220603120000", "NRT"),
            ("20220602000000", "FRT"),
        )
    )
    other = _NAME.replace("2022060101.", "2022060102.")
    chn = _NAME.replace("BCGZ", "CHN")
    with caplog.at_level(logging.INFO):
        taken, passed = newest(["a/rain.nc", f"a/{third}", f"b/{first}", second, other, chn])
    assert {path.name for path in taken} == {second, other, chn, "rain.nc"}
    assert {(loser.name, winner.name) for loser, winner in passed} == {
        (first, second),
        (third, second),
    }
    assert first in caplog.text
    with pytest.raises(InputError, match="produced at the same time"):
        newest([f"a/{first}", f"b/{first}"])


def test_local_parameter_is_read_with_the_end_of_its_hour(tmp_path):
    dataset = read_fine(_file(tmp_path, cmpa_message(_RAIN)))
    np.testing.assert_allclose(dataset.rain[0], _RAIN, atol=1e-4)
    assert dataset.time.values[0] == _END
    assert dataset.attrs["time_source"] == "name"
    np.testing.assert_allclose(dataset.latitude[[0, -1]], [24, 22])
    np.testing.assert_allclose(dataset.longitude[[0, -1]], [112, 114])


def test_bitmap_and_fill_values_are_missing(tmp_path):
    rain = _RAIN.copy()
    rain[0, 0], rain[1, 1], rain[2, 2], rain[3, 3] = 9999.0, -9999.0, 999.9, -1.0
    bitmap = cmpa_message(
        np.where(rain == 9999.0, 7777.0, rain), bitmapPresent=1, missingValue=7777
    )
    for content in (bitmap, cmpa_message(rain)):
        missing = np.isnan(read_fine(_file(tmp_path, content)).rain[0].values)
        np.testing.assert_array_equal(missing, rain != np.clip(rain, 0, 900))


def test_name_and_message_must_agree(tmp_path):
    late = cmpa_message(_RAIN, start="2022060108")
    with pytest.raises(InputError, match="name says 2022-06-01T01 UTC, the content 2022-06-01T09"):
        read_fine(_file(tmp_path, late))
    bare = read_fine(_file(tmp_path, late, _BARE))
    assert bare.time.values[0] == np.datetime64("2022-06-01T09", "ns")
    assert bare.attrs["time_source"] == "file"


def test_produced_time_is_the_last_resort_and_said(tmp_path, caplog):
    field = xr.Dataset(
        {"PRE": (("lat", "lon"), _RAIN)},
        coords={"lat": np.linspace(22, 24, 5), "lon": np.linspace(112, 114, 7)},
    )
    path = tmp_path / _BARE.replace("GRB2", "nc")
    field.to_netcdf(path)
    dataset = read_fine(path)
    assert dataset.time.values[0] == _END
    assert dataset.attrs["time_source"] == "produced"
    assert "took the produced time's hour, 2022-06-01T01" in caplog.text
    field.to_netcdf(tmp_path / "rain.nc")
    with pytest.raises(InputError, match="says no time"):
        read_fine(tmp_path / "rain.nc")


def test_other_windows_are_refused(tmp_path):
    three = cmpa_message(_RAIN, stepRange="0-3")
    with pytest.raises(InputError, match="message 1: unknown is a sum over 3 hours"):
        read_fine(_file(tmp_path, three, "rain.grib2"))
    day = _NAME.replace("HOR-PRE", "DAY-PRE")
    with pytest.raises(InputError, match=r"is a sum over a day, expected hourly rain \(HOR\)"):
        read_fine(_file(tmp_path, cmpa_message(_RAIN), day))


def test_instant_of_another_centre_is_no_hourly_sum(tmp_path):
    content = message(_RAIN, centre=161, parameterCategory=1, parameterNumber=220)
    with pytest.raises(InputError, match="holds no window of an hour"):
        read_fine(_file(tmp_path, content, "PrecipRate.grib2"))


def test_several_candidates_need_a_name(tmp_path):
    both = cmpa_message(_RAIN) + cmpa_message(_RAIN, parameterCategory=0, parameterNumber=0)
    path = _file(tmp_path, both)
    assert read_fine(path).rain.shape == (1, 5, 7)  # `unknown` is called as rain is, `t` isn't
    with pytest.raises(InputError, match="no variable 'rain'; it holds unknown, "):
        read_fine(path, variable="rain")


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
    path = tmp_path / _NAME.replace("GRB2", "nc")
    field.to_netcdf(path)
    dataset = read_fine(path)
    np.testing.assert_array_equal(dataset.rain[0], np.float32(_RAIN))
    np.testing.assert_array_equal(dataset.latitude, np.linspace(24, 22, 5))
    assert dataset.time.values[0] == _END


def test_metres_become_millimetres(tmp_path):
    field = xr.Dataset(
        {"tp": (("time", "lat", "lon"), _RAIN[None] / 1000, {"units": "m"})},
        coords={"time": [_END], "lat": np.linspace(24, 22, 5), "lon": np.linspace(112, 114, 7)},
    )
    field.to_netcdf(tmp_path / "a.nc")
    np.testing.assert_allclose(read_fine(tmp_path / "a.nc").rain[0], _RAIN, rtol=1e-6)


def test_region_is_cropped_exactly(tmp_path):
    box = SimpleNamespace(north=23.5, south=22.9, west=112.9, east=113.4)
    dataset = read_fine(_file(tmp_path, cmpa_message(_RAIN)), region=box)
    np.testing.assert_allclose(dataset.latitude, [23.5, 23.0])
    np.testing.assert_allclose(dataset.longitude, [113.0, 113 + 1 / 3], atol=1e-5)
    np.testing.assert_allclose(dataset.rain[0], _RAIN[1:3, 3:5], atol=1e-4)


def test_truncated_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="message 1 is cut off: 9 bytes"):
        read_fine(_file(tmp_path, cmpa_message(_RAIN)[:-9]))
