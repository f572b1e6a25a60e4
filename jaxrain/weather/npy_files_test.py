import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.npy_files import read_coarse_npy, read_fine_npy
from jaxrain.weather.npy_layout import Arrays, Axis, NpyFolders, Scaled

_NAME = "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-2022060101.npy"
_END = np.datetime64("2022-06-01T01", "ns")
_GRID = {
    "latitude": Axis(first=24.0, step=-0.5, size=5),
    "longitude": Axis(first=112.0, step=0.5, size=7),
}
_RNG = np.random.default_rng(1)
_RAIN = _RNG.gamma(0.5, 3.0, (1, 5, 7)).astype(np.float32)
_CHANNELS = ["r850", "t850", "-", "v850", "r500", "tp"]
_WEATHER = _RNG.normal(size=(6, 5, 7))


def _fine(path, array=_RAIN, *, region=None, utc_offset_hours=0.0, **keys):
    if array is not None:
        np.save(path, array)
    folders = NpyFolders(fine=Arrays(**{**_GRID, "channels": ["rain"], **keys}))
    return read_fine_npy(path, folders, region=region, utc_offset_hours=utc_offset_hours)


def _coarse(path, array=_WEATHER, *, variables=("r", "tp"), levels=(500, 850), region=None, **keys):
    np.save(path, array)
    arrays = Arrays(**{**_GRID, "channels": _CHANNELS, "names": "%Y%m%d%H.npy", **keys})
    return read_coarse_npy(
        path, NpyFolders(coarse=arrays), variables=variables, levels=levels, region=region
    )


def test_rain_is_read_at_its_names_hour_with_its_fill_values(tmp_path):
    rain = _RAIN.copy()
    rain[0, 0, :3] = 9999.0, -9999.0, np.nan
    dataset = _fine(tmp_path / _NAME, rain)
    assert dataset.time.values[0] == _END
    np.testing.assert_array_equal(dataset.latitude, 24.0 - 0.5 * np.arange(5))
    np.testing.assert_array_equal(dataset.rain.values.ravel()[3:], rain.ravel()[3:])
    assert np.isnan(dataset.rain[0, 0, :3]).all()
    assert dataset.attrs == {"file_units": "mm", "time_source": "name"}
    beijing = _fine(tmp_path / _NAME, _RAIN[0], utc_offset_hours=8)
    assert beijing.time.values[0] == _END - np.timedelta64(8, "h")
    np.testing.assert_array_equal(beijing.rain, _RAIN)


def test_only_the_region_is_kept_whichever_way_the_rows_run(tmp_path):
    box = SimpleNamespace(north=23.5, south=23.0, west=112.5, east=113.0)
    down = _fine(tmp_path / _NAME, region=box)
    ascending = Axis(first=22.0, last=24.0, size=5)
    up = _fine(tmp_path / _NAME, _RAIN[:, ::-1], region=box, latitude=ascending)
    for dataset in (down, up):
        np.testing.assert_array_equal(dataset.latitude, [23.5, 23.0])
        np.testing.assert_array_equal(dataset.rain, _RAIN[:, 1:3, 1:3])


def test_predictors_come_by_variable_and_level_in_canonical_units(tmp_path):
    dataset = _coarse(tmp_path / "2022060101.npy", units={"tp": "m"})
    assert dataset.time.values[0] == _END
    np.testing.assert_array_equal(dataset.level, [500, 850])
    np.testing.assert_array_equal(dataset.r[0], np.float32(_WEATHER[[4, 0]]))
    np.testing.assert_allclose(dataset.tp[0], 1000 * _WEATHER[5], rtol=1e-6)
    assert dataset.tp.attrs["file_units"] == "m"
    assert set(dataset.data_vars) == {"r", "tp"}
    box = SimpleNamespace(north=23.1, south=22.9, west=112.9, east=113.1)
    dataset = _coarse(tmp_path / "2022060109.npy", region=box, utc_offset_hours=8)
    assert dataset.time.values[0] == _END
    np.testing.assert_array_equal(dataset.latitude, [23.5, 23.0, 22.5])  # a cell around the box


def test_scaling_is_undone_by_the_extremes_beside_the_hours(tmp_path):
    physical = _WEATHER * np.array([50, 20, 1, 10, 30, 0.001])[:, None, None]
    physical += np.array([60, 280, 0, 0, 40, 0.01])[:, None, None]
    least, most = physical.min(axis=(1, 2)), physical.max(axis=(1, 2))
    np.save(tmp_path / "min_values.npy", least[:, None, None])
    np.save(tmp_path / "max_values.npy", most)
    unit = (physical - least[:, None, None]) / (most - least + 1e-6)[:, None, None]
    unit[3] = 2 * unit[3] - 1
    dataset = _coarse(
        tmp_path / "2022060101.npy",
        unit.astype(np.float32),
        variables=("t", "v", "r", "tp"),
        levels=[850],
        scaled=Scaled(signed=["v850"]),
        units={"tp": "m"},
    )
    np.testing.assert_allclose(dataset.r[0, 0], physical[0], rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(dataset.t[0, 0], physical[1], rtol=1e-6)
    np.testing.assert_allclose(dataset.v[0, 0], physical[3], rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(dataset.tp[0], 1000 * physical[5], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("extremes", "message"),
    [
        ({}, "min_values.npy isn't in its folder"),
        ({"min": [0.0]}, "max_values.npy isn't in its folder"),
        ({"min": [0.0, 1.0], "max": [5.0]}, "min_values.npy: holds 2 values, expected a finite"),
        ({"min": [np.nan], "max": [5.0]}, "holds 1 values, expected a finite one"),
        ({"min": [5.0], "max": [5.0]}, "expected min below max"),
        ({"min": [0.0], "max": [5.0]}, "lies beyond 50, of a range"),
    ],
)
def test_a_scaling_that_cannot_be_undone_is_refused(tmp_path, extremes, message):
    for which, values in extremes.items():
        np.save(tmp_path / f"{which}_values.npy", values)
    with pytest.raises(InputError, match=message):
        _fine(tmp_path / _NAME, np.full((1, 5, 7), 50.0), scaled=Scaled())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 7, 5)), r"has shape \(1, 7, 5\), expected \(1, 5, 7\)"),
        (np.zeros((2, 5, 7)), r"has shape \(2, 5, 7\), expected \(1, 5, 7\)"),
        (np.zeros((1, 1, 5, 7)), r"has shape \(1, 1, 5, 7\)"),
        (np.zeros((1, 5, 7), complex), "holds complex128, expected numbers"),
        (np.full((1, 5, 7), "a"), "holds <U1, expected numbers"),
        (np.zeros(()), r"has shape \(\), expected"),
    ],
)
def test_an_array_unlike_the_grid_is_refused(tmp_path, array, message):
    with pytest.raises(InputError, match=message):
        _fine(tmp_path / _NAME, array)


class _Bomb:
    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "cannot be read as .npy"),
        (lambda content: content[:60], "cannot be read as .npy"),
        (lambda content: b"", "cannot be read as .npy"),
        (lambda content: content + b"\0\0", "has 2 bytes after its array"),
        (lambda content: content.replace(b"descr", b"decsr"), "cannot be read as .npy"),
        (lambda content: content.replace(b"{'", b"{("), "cannot be read as .npy"),
        (lambda content: pickle.dumps(_Bomb()), "cannot be read as .npy"),
    ],
)
def test_a_damaged_or_pickled_file_is_refused(tmp_path, damage, message):
    np.save(tmp_path / _NAME, _RAIN)
    path = tmp_path / _NAME
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        _fine(path, None)


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / _NAME, np.array([_Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"cannot be read as .npy: .*Python objects"):
        _fine(tmp_path / _NAME, None)


@pytest.mark.parametrize(
    ("name", "names", "message"),
    [
        ("rain_7.npy", None, "has no hour in its name that we know"),
        ("rain_7.npy", "rain_%Y%m%d%H.npy", "is not named like 'rain_%Y%m%d%H.npy'"),
        ("2022063101.npy", "%Y%m%d%H.npy", "2022-06-31T01:00 in its name is no time"),
        (_NAME.replace("HOR", "3HOR"), None, "is a sum over 3 hours"),
    ],
)
def test_a_name_without_an_hour_is_refused(tmp_path, name, names, message):
    with pytest.raises(InputError, match=message):
        _fine(tmp_path / name, names=names)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"variables": ["z"]}, "hold none of data.variables"),
        ({"variables": ["t"], "levels": [850, 500]}, "lack t on 500 hPa"),
    ],
)
def test_channels_that_lack_what_is_asked_for_are_refused(tmp_path, keys, message):
    with pytest.raises(InputError, match=message):
        _coarse(tmp_path / "2022060101.npy", **keys)


def test_arrays_of_which_the_config_says_nothing_are_refused(tmp_path):
    np.save(tmp_path / _NAME, _RAIN)
    with pytest.raises(InputError, match=r"say them as data\.npy\.fine"):
        read_fine_npy(tmp_path / _NAME, NpyFolders(), region=None, utc_offset_hours=0)
