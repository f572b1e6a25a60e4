import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from jaxrain.config import load_config
from jaxrain.weather.cf import write_netcdf

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "other_windows.py"
CONFIG = """
data:
  root: {root}
  store: {root}/store
  fine: ["*.nc"]
  coarse: []
  coarsen: 8
  variables: [tp]
  splits: {{train: ["2020-07-01T00"], test: ["2020-07-01T01/2020-07-01T02"]}}
  patch: 16
  windows:
    - {{file: rain.nc, time: "2020-07-01T01:00", y: 32, x: 0, size: 32}}
model: {{inner_channel: 8, channel_mults: [1, 2], res_blocks: 1, norm_groups: 4, attn_res: []}}
"""


@pytest.fixture
def run(tmp_path, untrained):
    """A run of three hours of 96 x 128 points; the last has one wet square, beside a hole."""
    rain = np.random.default_rng(0).gamma(0.3, 3.0, (3, 96, 128)).astype(np.float32)
    rain[2] = 0
    rain[2, 70:80, 100:120] = 4.0
    rain[2, 0:20, 40:60] = 9.0
    rain[2, 10, 50] = np.nan  # so that the square with the most rain is not complete
    hours = np.arange("2020-07-01T00", "2020-07-01T03", dtype="datetime64[h]")
    dims = ("time", "latitude", "longitude")
    axes = (30 - 0.01 * np.arange(96), 110 + 0.01 * np.arange(128))
    coordinates = dict(zip(dims, (hours.astype("datetime64[ns]"), *axes), strict=True))
    write_netcdf(xr.Dataset({"rain": (dims, rain)}, coordinates), tmp_path / "rain.nc")
    (tmp_path / "c.yaml").write_text(CONFIG.format(root=tmp_path))
    return untrained(load_config(tmp_path / "c.yaml"), tmp_path / "run")


def other_windows(*words):
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_copys_windows_are_complete_wet_and_apart_from_the_runs_own(run):
    done = other_windows(run)
    assert done.returncode == 0, done.stderr
    copy = run.with_name("run_elsewhere")
    windows = load_config(copy / "config.yaml").data.windows
    places = {(window.time[-5:], window.y, window.x) for window in windows}
    # Of the first hour all squares but the run's own, of the second the one that is wet and whole.
    first = {("01:00", y, x) for y in (0, 32, 64) for x in (0, 32, 64, 96)}
    assert places == first - {("01:00", 32, 0)} | {("02:00", 64, 96)}
    with xr.open_dataset(run.parent / "rain.nc") as dataset:
        rain = dataset["rain"].values
    means = [rain[1, w.y : w.y + 32, w.x : w.x + 32].mean() for w in windows if "T01" in w.time]
    assert means == sorted(means, reverse=True)
    assert (copy / "manifest.json").read_bytes() == (run / "manifest.json").read_bytes()
    again = other_windows(run)
    assert again.returncode == 2
    assert "there is one already" in again.stderr


def test_a_run_without_windows_is_refused(run):
    text = (run / "config.yaml").read_text()
    start, end = text.index("  windows:"), text.index("model:")
    (run / "config.yaml").write_text(text[:start] + text[end:])
    done = other_windows(run)
    assert done.returncode == 2
    assert "has no test windows" in done.stderr
