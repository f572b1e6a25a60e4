import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.fine_files import read_fine_file
from jaxrain.weather.made_grib_test import cmpa_message

_NAME = "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-2022060101.GRB2"
_BARE = "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_BCGZ_0P01_HOR-PRE.GRB2"
_END = np.datetime64("2022-06-01T01", "ns")
_RAIN = np.random.default_rng(1).gamma(0.5, 3.0, (5, 7))


def _file(tmp_path, content, name=_NAME):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_name_and_message_must_agree(tmp_path):
    late = cmpa_message(_RAIN, start="2022060108")
    with pytest.raises(InputError, match="name says 2022-06-01T01 UTC, the content 2022-06-01T09"):
        read_fine_file(_file(tmp_path, late))
    bare = read_fine_file(_file(tmp_path, late, _BARE))
    assert bare.time.values[0] == np.datetime64("2022-06-01T09", "ns")
    assert bare.attrs["time_source"] == "file"


def test_produced_time_is_the_last_resort_and_said(tmp_path, caplog):
    field = xr.Dataset(
        {"PRE": (("lat", "lon"), _RAIN)},
        coords={"lat": np.linspace(22, 24, 5), "lon": np.linspace(112, 114, 7)},
    )
    path = tmp_path / _BARE.replace("GRB2", "nc")
    field.to_netcdf(path)
    dataset = read_fine_file(path)
    assert dataset.time.values[0] == _END
    assert dataset.attrs["time_source"] == "produced"
    assert "took the produced time's hour, 2022-06-01T01" in caplog.text
    field.to_netcdf(tmp_path / "rain.nc")
    with pytest.raises(InputError, match="says no time"):
        read_fine_file(tmp_path / "rain.nc")


def _beijing(offset, tmp_path, start="2022060100"):
    """What is named 09 o'clock, its message's hour ending one after `start`."""
    name = _NAME.replace("2022060101.GRB2", "2022060109.GRB2")
    path = _file(tmp_path, cmpa_message(_RAIN, start), name)
    return read_fine_file(path, utc_offset_hours=offset).time.values


def test_names_in_beijing_time_become_utc_whichever_the_content_is_in(tmp_path):
    np.testing.assert_array_equal(_beijing(8, tmp_path, "2022060100"), [_END])
    np.testing.assert_array_equal(_beijing(8, tmp_path, "2022060108"), [_END])
    with pytest.raises(InputError, match=r"2022-06-01T09 UTC\+8, the content 2022-06-01T02:00"):
        _beijing(8, tmp_path, "2022060101")
    with pytest.raises(InputError, match="2022-06-01T09 UTC, the content 2022-06-01T01:00"):
        _beijing(0, tmp_path)


def test_contents_and_produced_times_ahead_of_utc_are_put_back_too(tmp_path):
    field = xr.Dataset(
        {"PRE": (("lat", "lon"), _RAIN)},
        coords={"lat": np.linspace(22, 24, 5), "lon": np.linspace(112, 114, 7)},
    )
    produced = tmp_path / _BARE.replace("GRB2", "nc")
    field.to_netcdf(produced)
    early = read_fine_file(produced, utc_offset_hours=5.5).time.values
    np.testing.assert_array_equal(early, [_END - np.timedelta64(330, "m")])
    field.assign_coords(time=_END).to_netcdf(tmp_path / "rain.nc")
    west = read_fine_file(tmp_path / "rain.nc", utc_offset_hours=-3).time.values
    np.testing.assert_array_equal(west, [_END + np.timedelta64(3, "h")])


def test_an_array_without_a_grid_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", _RAIN)
    with pytest.raises(InputError, match=r"knows no grid; say it as data\.npy\.fine"):
        read_fine_file(tmp_path / "a.npy")
