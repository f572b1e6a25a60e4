import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from jaxrain.prepare import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.root=/nowhere/at/all"], "data.root=/nowhere/at/all is no folder"),
        (["data.root=."], "no file matches data.fine="),
        (["data.variables=[u,v]"], "target=difference needs rain among the predictors"),
        (["data.lvels=[850]"], "did you mean 'data.levels'?"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "mine.yaml"
    config.write_text("data: {store: store, fine: ['rain/*'], coarse: ['era5/*']}\n")
    assert main(["--config", str(config), *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == [config]


def test_a_dry_run_ends_with_2_where_the_real_run_would(tmp_path, capsys):
    config = tmp_path / "mine.yaml"
    config.write_text("data: {fine: ['rain/*'], coarse: ['era5/*']}\n")
    words = ["--config", str(config), f"data.root={tmp_path}", f"data.store={tmp_path}/store"]
    assert main([*words, "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "no file matches data.fine=" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == [config]


def test_help_is_quick_and_loads_nothing_heavy():
    code = "import sys, jaxrain.prepare as p\ntry: p.main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(any(m in sys.modules for m in ('jax', 'numpy', 'pydantic')))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_command_leaves_what_is_heavy_to_its_workers():
    code = "import sys, jaxrain.config, jaxrain.pairs.build\njaxrain.config.load_config('demo')\n"
    heavy = {"jax", "xarray", "netCDF4", "eccodes", "dask", "matplotlib"}
    code += f"heavy = {heavy} & {{*sys.modules}}\n"
    code += "sys.exit(', '.join(sorted(heavy)) or None)"
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.stderr == ""


@pytest.fixture
def tiny_disk(small_disk):
    """A file system of 400 KiB, where we may mount one."""
    return small_disk("400k")


@pytest.mark.parametrize("filler_kib", [0, 250, 330, 399])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
    tiny_disk, tmp_path, capsys, filler_kib
):
    times = np.datetime64("2020-01-01T00", "ns") + np.arange(24) * np.timedelta64(1, "h")
    rain = np.random.default_rng(0).gamma(0.3, 3.0, (24, 64, 64)).astype(np.float32)
    axes = {axis: (axis, np.arange(64.0), {"units": "km"}) for axis in "yx"}
    dataset = xr.Dataset({"rain": (("time", "y", "x"), rain, {"units": "mm"})}, axes)
    dataset.assign_coords(time=times).to_netcdf(tmp_path / "rain.nc")
    if filler_kib:
        (tiny_disk / "filler").write_bytes(bytes(filler_kib * 1024))
    words = [f"data.root={tmp_path}", "data.fine=['rain.nc']", "data.coarsen=8", "data.levels=[]"]
    words += ["data.variables=[tp]", "data.splits.train=['2020']", f"data.store={tiny_disk}/store"]
    config = tmp_path / "mine.yaml"
    config.write_text("data: {}\n")
    assert main(["--config", str(config), *words]) == 2
    said = capsys.readouterr().err
    assert "no space left" in said
    assert said.count("\n") == 1
    left = [path.name for path in tiny_disk.rglob("*") if path.is_file()]
    assert not [name for name in left if name.startswith(".") or name == "manifest.json"]
