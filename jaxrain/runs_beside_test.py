import json
import shutil

import numpy as np
import xarray as xr

from jaxrain import sample, verify
from jaxrain.sample_test import coarse_input
from jaxrain.weather.cf import write_netcdf


def test_a_run_beside_is_drawn_where_the_ensemble_is(run, tmp_path):
    """A box of one hour, which no window or split names: the run draws the same members there."""
    output, report = tmp_path / "box.nc", tmp_path / "report"
    words = ["--box", "29.9", "110.1", "29.7", "110.35", "--hours", "2020-07-01T07"]
    assert sample.main([str(run), "--output", str(output), *words]) == 0
    beside = [f"twin={run}", f"file={output}"]
    assert verify.main([str(output), "--report", str(report), "--beside", *beside]) == 0
    scores = json.loads((report / "scores.json").read_text())
    assert scores["baselines"]["twin"] == scores["model"] == scores["baselines"]["file"]
    with xr.open_dataset(report / "beside" / "twin.nc") as twin, xr.open_dataset(output) as drawn:
        np.testing.assert_array_equal(twin["precipitation"], drawn["precipitation"])
        assert twin.attrs["origin"].tolist() == [10, 10]
        for name in ("jaxrain_box", "jaxrain_split", "jaxrain_store"):
            assert twin.attrs[name] == drawn.attrs[name]


def test_a_run_beside_is_drawn_anew(run, whole, tmp_path, capsys):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "twin.nc").write_text("of another ensemble")
    words = ["--report", str(tmp_path), "--beside", f"twin={run}"]
    assert verify.main([str(whole), *words]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["baselines"]["twin"] == scores["model"]
    drawn = str(tmp_path / "beside" / "twin.nc")
    assert verify.main([drawn, *words]) == 2
    assert f"would be written over {drawn}" in capsys.readouterr().err


def test_runs_that_cannot_be_drawn_are_one_line(run, whole, tmp_path, capsys):
    write_netcdf(coarse_input(run), tmp_path / "in.nc")
    elsewhere = tmp_path / "elsewhere.nc"
    words = ["--output", str(elsewhere), "--members", "1"]
    assert sample.main([str(run), "--input", str(tmp_path / "in.nc"), *words]) == 0
    truth = ["--truth", str(run.parent / "rain.nc")]
    other = tmp_path / "other"
    shutil.copytree(run, other)
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("coarsen: 8", "coarsen: 4"))
    report = ["--report", str(tmp_path / "report")]
    for output, more, path, expected in (
        (elsewhere, truth, run, "its input came from elsewhere; draw it with"),
        (whole, [], other, "coarsen"),
        (whole, [], tmp_path, "is a folder and no Zarr store"),
    ):
        capsys.readouterr()
        asked = [str(output), *report, *more, "--beside", f"twin={path}"]
        assert verify.main(asked) == 2
        error = capsys.readouterr().err
        assert expected in error
        assert error.count("\n") == 1
    assert not (tmp_path / "report").exists()
