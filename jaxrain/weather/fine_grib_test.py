import subprocess
import sys
from types import SimpleNamespace

import eccodes
import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.fine_files import read_fine_file
from jaxrain.weather.made_grib_test import cmpa_message, message

_NAME = "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-2022060101.GRB2"
_END = np.datetime64("2022-06-01T01", "ns")
_RAIN = np.random.default_rng(1).gamma(0.5, 3.0, (5, 7))


def _file(tmp_path, content, name=_NAME):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_local_parameter_is_read_with_the_end_of_its_hour(tmp_path):
    dataset = read_fine_file(_file(tmp_path, cmpa_message(_RAIN)))
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
        missing = np.isnan(read_fine_file(_file(tmp_path, content)).rain[0].values)
        np.testing.assert_array_equal(missing, rain != np.clip(rain, 0, 900))


def test_other_windows_are_refused(tmp_path):
    three = cmpa_message(_RAIN, stepRange="0-3")
    with pytest.raises(InputError, match="message 1: unknown is a sum over 3 hours"):
        read_fine_file(_file(tmp_path, three, "rain.grib2"))
    day = _NAME.replace("HOR-PRE", "DAY-PRE")
    with pytest.raises(InputError, match=r"is a sum over a day, expected hourly rain \(HOR\)"):
        read_fine_file(_file(tmp_path, cmpa_message(_RAIN), day))


def test_instant_of_another_centre_is_no_hourly_sum(tmp_path):
    content = message(_RAIN, centre=161, parameterCategory=1, parameterNumber=220)
    with pytest.raises(InputError, match="holds no window of an hour"):
        read_fine_file(_file(tmp_path, content, "PrecipRate.grib2"))


def test_several_candidates_need_a_name(tmp_path):
    both = cmpa_message(_RAIN) + cmpa_message(_RAIN, parameterCategory=0, parameterNumber=0)
    path = _file(tmp_path, both)
    assert read_fine_file(path).rain.shape == (1, 5, 7)  # `unknown` is called as rain is, `t` isn't
    with pytest.raises(InputError, match="no variable 'rain'; it holds unknown, "):
        read_fine_file(path, variable="rain")


def test_region_is_cropped_exactly(tmp_path):
    box = SimpleNamespace(north=23.5, south=22.9, west=112.9, east=113.4)
    dataset = read_fine_file(_file(tmp_path, cmpa_message(_RAIN)), region=box)
    np.testing.assert_allclose(dataset.latitude, [23.5, 23.0])
    np.testing.assert_allclose(dataset.longitude, [113.0, 113 + 1 / 3], atol=1e-5)
    np.testing.assert_allclose(dataset.rain[0], _RAIN[1:3, 3:5], atol=1e-4)


def test_truncated_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="message 1 is cut off: 9 bytes"):
        read_fine_file(_file(tmp_path, cmpa_message(_RAIN)[:-9]))


def _mrms(number, rain=_RAIN):
    local = {"discipline": 209, "parameterCategory": 6, "parameterNumber": number}
    return message(rain, centre=161, dataDate=20220601, dataTime=100, **local)


@pytest.mark.parametrize("number", [2, 9, 16, 23, 30, 37])
def test_mrms_sums_of_an_hour_are_read_and_their_fill_values_are_missing(tmp_path, number):
    rain = _RAIN.copy()
    rain[0, 0], rain[0, 1] = -3.0, -1.0  # no coverage, missing
    path = _file(tmp_path, _mrms(number, rain), "MultiSensor_QPE_01H_20220601-010000.grib2")
    dataset = read_fine_file(path)
    assert dataset.time.values[0] == _END
    np.testing.assert_array_equal(np.isnan(dataset.rain[0]), rain < 0)
    np.testing.assert_allclose(dataset.rain[0, 1:], _RAIN[1:], atol=1e-4)


@pytest.mark.parametrize(("number", "hours"), [(3, 3), (6, 24), (10, 3), (38, 3), (43, 72)])
def test_longer_mrms_sums_are_refused(tmp_path, number, hours):
    with pytest.raises(InputError, match=f"sum over {hours} hours, expected one hour"):
        read_fine_file(_file(tmp_path, _mrms(number), "QPE.grib2"))


def test_real_rates_are_refused_with_what_to_take_instead(shared_data):
    files = sorted((shared_data / "rain_raw").glob("PrecipRate*.grib2"))
    assert len(files) == 2
    for path in files:
        with pytest.raises(InputError, match=r"PrecipRate, the rate of one instant.*QPE_01H"):
            read_fine_file(path)


def test_the_real_grid_of_mrms_is_read_value_by_value(tmp_path, shared_data):
    # No hourly sum is at hand: the rate's message with its parameter changed to the sum's.
    path = sorted((shared_data / "rain_raw").glob("PrecipRate*.grib2"))[0]
    content = bytearray(path.read_bytes())
    section = 16
    while content[section + 4] != 4:
        section += int.from_bytes(content[section : section + 4], "big")
    content[section + 10] = 37
    box = SimpleNamespace(north=52.0, south=51.0, west=-91.0, east=-90.0)
    dataset = read_fine_file(_file(tmp_path, bytes(content), "qpe.grib2"), region=box)
    handle = eccodes.codes_new_from_message(bytes(content))
    try:
        values = eccodes.codes_get_values(handle).reshape(3500, 7000)
    finally:
        eccodes.codes_release(handle)
    assert dataset.rain.shape == (1, 100, 100)
    rows, columns = np.arange(300, 400), np.arange(3900, 4000)
    np.testing.assert_allclose(dataset.latitude, 54.995 - 0.01 * rows, atol=1e-5)
    np.testing.assert_allclose(dataset.longitude, 230.005 - 360 + 0.01 * columns, atol=1e-5)
    expected = values[300:400, 3900:4000]
    assert (expected > 0).any()
    assert (expected < 0).any()
    np.testing.assert_array_equal(
        dataset.rain[0], np.where(expected < 0, np.nan, expected).astype(np.float32)
    )


def test_coarser_analysis_in_either_longitude_is_the_same(tmp_path):
    rain = np.random.default_rng(2).gamma(0.5, 3.0, (11, 21))
    west = cmpa_message(rain, latitude=(24.0, 23.5), longitude=(359.5, 0.5))
    plain = cmpa_message(rain, latitude=(24.0, 23.5), longitude=(-0.5, 0.5))
    name = _NAME.replace("0P01", "0P05")
    for content in (west, plain):
        dataset = read_fine_file(_file(tmp_path, content, name))
        np.testing.assert_allclose(dataset.longitude, np.linspace(-0.5, 0.5, 21), atol=1e-6)
        np.testing.assert_allclose(dataset.rain[0], rain, atol=1e-4)


def test_hours_of_one_file_are_put_in_order_and_their_grids_compared(tmp_path):
    late, early = cmpa_message(2 * _RAIN, "2022060103"), cmpa_message(_RAIN)
    dataset = read_fine_file(_file(tmp_path, late + early, "day.grib2"))
    np.testing.assert_array_equal(dataset.time, np.array([_END, _END + np.timedelta64(3, "h")]))
    np.testing.assert_allclose(dataset.rain, [_RAIN, 2 * _RAIN], atol=1e-4)
    with pytest.raises(InputError, match=r"message 2: holds unknown for .* again"):
        read_fine_file(_file(tmp_path, early + early, "day.grib2"))
    shifted = cmpa_message(_RAIN, "2022060103", latitude=(24.1, 22.1))
    with pytest.raises(InputError, match="messages are on different grids"):
        read_fine_file(_file(tmp_path, early + shifted, "day.grib2"))


# Not getrusage, whose peak a process inherits from the one that starts it.
_PEAK = r"""
import re, sys
from pathlib import Path
from types import SimpleNamespace
from jaxrain.weather.fine_files import read_fine_file
box = SimpleNamespace(north=25.28, south=22.0, west=110.0, east=117.0)
dataset = read_fine_file(sys.argv[1], region=box)
peak_kib = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]
print(*dataset.rain.shape, int(peak_kib) // 1024)
"""


@pytest.mark.slow
def test_memory_is_of_one_message_whatever_a_whole_china_file_holds(tmp_path):
    rain = np.round(np.random.default_rng(0).gamma(0.1, 3.0, (6000, 7000)), 1)
    rain[:300] = 9999.0
    grid = {"latitude": (59.99, 0.0), "longitude": (70.0, 139.99)}
    packing = {"bitsPerValue": 16, "bitmapPresent": 1, "missingValue": 9999}
    first = cmpa_message(rain, **grid, **packing)
    peaks = {}
    for hours in (1, 6):
        path = tmp_path / f"china_{hours}.grib2"
        with path.open("wb") as file:
            for hour in range(hours):
                handle = eccodes.codes_new_from_message(first)
                eccodes.codes_set(handle, "dataTime", 100 * hour)
                eccodes.codes_set(handle, "stepRange", "0-1")
                file.write(eccodes.codes_get_message(handle))
                eccodes.codes_release(handle)
        command = [sys.executable, "-c", _PEAK, str(path)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        *shape, peaks[hours] = map(int, said.split())
        assert shape == [hours, 329, 701]
        print(f"{hours} hours, {path.stat().st_size >> 20} MiB on disk: {peaks[hours]} MiB")
        path.unlink()
    crop_mib = 6 * 329 * 701 * 4 / 2**20
    assert peaks[6] < peaks[1] + 8 * crop_mib
    assert peaks[6] < 2048
