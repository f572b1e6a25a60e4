"""A whole `prepare` from folders of arrays as the source's pipeline leaves them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxrain.config import load_config
from jaxrain.errors import InputError
from jaxrain.pairs.build import prepare
from jaxrain.pairs.reading import make_canonical
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.sources import find_sources
from jaxrain.pairs.store import open_store

pytestmark = pytest.mark.usefixtures("undrawn")

# hr/ and lr/ as they are: lr was interpolated to hr's grid and scaled, rain was not.
_CONFIG = """
data:
  root: ROOT
  store: ROOT/store
  fine: ["hr/*.npy"]
  coarse: ["lr/*.npy"]
  npy:
    fine:
      channels: [rain]
      latitude: {first: 24.0, step: -0.01, size: 24}
      longitude: {first: 112.0, step: 0.01, last: 112.31}
    coarse:
      channels: [r850, t850, u850, v850]
      scaled: {}
      names: "era5_%Y%m%d%H.npy"
  variables: [r, t, u, v]
  levels: [850]
  target: direct
  splits: {train: ["2022-06-01T00/2022-06-01T05"], test: ["2022-06-01T06/2022-06-01T07"]}
  patch: 16
"""
_HOURS = np.datetime64("2022-06-01T00") + np.arange(8)
_LEAST, _MOST = np.array([5.0, 270.0, -20.0, -15.0]), np.array([100.0, 300.0, 25.0, 30.0])
_UNIT = np.random.default_rng(3).random((8, 4, 24, 32)).astype(np.float32)
_RAIN = np.random.default_rng(4).gamma(0.3, 3.0, (8, 1, 24, 32)).astype(np.float32)


def _digits(hour) -> str:
    return str(hour.astype("datetime64[h]")).replace("-", "").replace("T", "")


@pytest.fixture
def folders(tmp_path) -> Path:
    for name in ("hr", "lr"):
        (tmp_path / name).mkdir()
    for index, hour in enumerate(_HOURS):
        local = _digits(hour + np.timedelta64(8, "h"))  # hr is named in Beijing time
        name = f"Z_SURF_C_BABJ_{local}1916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-{local}.npy"
        np.save(tmp_path / "hr" / name, _RAIN[index])
        np.save(tmp_path / "lr" / f"era5_{_digits(hour)}.npy", _UNIT[index])
    np.save(tmp_path / "lr" / "min_values.npy", _LEAST)
    np.save(tmp_path / "lr" / "max_values.npy", _MOST)
    np.save(tmp_path / "hr" / "max_values.npy", np.float32(80.0))
    return tmp_path


def _config(folders: Path, *words: str) -> DataConfig:
    path = folders / "mine.yaml"
    path.write_text(_CONFIG.replace("ROOT", str(folders)))
    return load_config(path, ["data.fine_utc_offset_hours=8", *words]).data


def _prepare(config: DataConfig) -> list[str]:
    said: list[str] = []
    prepare(config, say=said.append)
    return said


def test_the_store_holds_the_folders_hours(folders):
    config = _config(folders)
    _prepare(config)
    store = open_store(config.store, config)
    (area,) = store.areas
    assert store.channels == ["r850", "t850", "u850", "v850"]
    np.testing.assert_array_equal(area.hours, _HOURS.astype("datetime64[s]"))
    assert area.splits == ["train"] * 6 + ["test"] * 2
    assert area.coarse_grid.same_as(area.fine_grid)
    np.testing.assert_allclose(area.fine_grid.y, 24.0 - 0.01 * np.arange(24))
    spread = (_MOST - _LEAST + 1e-6)[:, None, None]
    for index in range(8):
        np.testing.assert_array_equal(area.fine(index), _RAIN[index, 0])
        physical = _UNIT[index] * spread + _LEAST[:, None, None]
        np.testing.assert_allclose(area.coarse(index), physical, rtol=1e-6, atol=1e-6)
    audit = json.loads((Path(config.store) / "prepare_report.json").read_text())
    assert audit["left_out"] == []
    assert audit["time_sources"] == {"name": 8}


def test_of_a_repeated_hour_the_one_produced_last_is_taken_and_the_report_says_so(folders):
    first = sorted((folders / "hr").glob("Z_*.npy"))[2]
    late = first.name.replace("_20220601", "_20220603").replace("_RT_", "_FRT_")
    late = late.replace("PRE-20220603", "PRE-20220601")
    np.save(first.with_name(late), 2 * _RAIN[2])
    config = _config(folders)
    _prepare(config)
    (area,) = open_store(config.store, config).areas
    assert len(area.hours) == 8
    np.testing.assert_array_equal(area.fine(2), 2 * _RAIN[2, 0])
    audit = json.loads((Path(config.store) / "prepare_report.json").read_text())
    (repeated,) = audit["reissued"]
    assert (repeated["taken"], repeated["passed_over"]) == (late, first.name)
    assert repeated["time"] == str(_HOURS[2].astype("datetime64[s]"))


def test_a_second_run_finds_it_done_until_the_scaling_changes(folders):
    config = _config(folders)
    _prepare(config)
    assert "up to date" in _prepare(config)[0]
    np.save(folders / "lr" / "max_values.npy", 2 * _MOST)
    assert "up to date" not in _prepare(config)[0]
    (area,) = open_store(config.store, config).areas
    spread = (2 * _MOST - _LEAST + 1e-6)[:, None, None]
    expected = _UNIT[0] * spread + _LEAST[:, None, None]
    np.testing.assert_allclose(area.coarse(0), expected, rtol=1e-6, atol=1e-6)


def test_a_changed_offset_remakes_the_fine_files_and_needs_another_store(folders):
    config = _config(folders)
    fine = find_sources(config, ["fine"])
    assert [make_canonical(source, config) for source in fine] == [True] * 8
    assert [make_canonical(source, config) for source in fine] == [False] * 8
    other = replace(config, fine_utc_offset_hours=7)
    assert [make_canonical(source, other) for source in fine] == [True] * 8
    _prepare(config)
    with pytest.raises(InputError, match=r"fine_utc_offset_hours=8\.0, the config says .*=7"):
        _prepare(other)


def test_predictors_on_their_own_grid_and_in_a_region(folders):
    for path in (folders / "lr").glob("era5_*.npy"):
        np.save(path, np.load(path)[:, ::8, ::8])
    words = ["data.npy.coarse.latitude={first: 24.02, step: -0.1, size: 3}"]
    words += ["data.npy.coarse.longitude={first: 111.98, step: 0.1, size: 4}"]
    words += ["data.region={north: 23.985, south: 23.815, west: 112.0, east: 112.25}"]
    config = _config(folders, *words)
    _prepare(config)
    (area,) = open_store(config.store, config).areas
    assert area.fine_grid.shape == (17, 26)
    np.testing.assert_array_equal(area.fine(0), _RAIN[0, 0, 2:19, :26])
    np.testing.assert_allclose(area.coarse_grid.y, [24.02, 23.92, 23.82])
    spread = (_MOST - _LEAST + 1e-6)[:, None, None]
    expected = _UNIT[0, :, ::8, ::8] * spread + _LEAST[:, None, None]
    np.testing.assert_allclose(area.coarse(0), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.npy.coarse.channels=[r850, t850, u850]"], r"shape \(4, 24, 32\), expected \(3,"),
        (["data.npy.fine.latitude.size=25"], r"shape \(1, 24, 32\), expected \(1, 25, 32\)"),
        (["data.npy.coarse.names='%Y%m%d%H.npy'"], "is not named like"),
        (["data.npy.coarse=null"], r"say them as data\.npy\.coarse"),
        (["data.levels=[850, 500]"], "lack r on 500 hPa"),
    ],
)
def test_folders_unlike_what_is_said_are_refused_and_nothing_is_left_half(folders, words, message):
    config = _config(folders, *words)
    with pytest.raises(InputError, match=message):
        _prepare(config)
    left = [path.name for path in Path(config.store).rglob("*") if path.is_file()]
    assert not [name for name in left if name.startswith(".") or name == "manifest.json"]
