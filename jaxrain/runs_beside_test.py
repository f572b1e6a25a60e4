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


def test_what_was_drawn_before_is_taken_again(run, whole, tmp_path, capsys):
    words = ["--report", str(tmp_path), "--beside", f"twin={run}"]
    assert verify.main([str(whole), *words]) == 0
    drawn = tmp_path / "beside" / "twin.nc"
    with xr.open_dataset(drawn) as twin, xr.open_dataset(whole) as expected:
        np.testing.assert_array_equal(twin["precipitation"], expected["precipitation"])
    capsys.readouterr()
    first = drawn.stat().st_mtime_ns
    assert verify.main([str(whole), *words]) == 0
    assert f"twin: {drawn}, drawn before" in capsys.readouterr().out
    assert drawn.stat().st_mtime_ns == first
    other = tmp_path / "other"
    shutil.copytree(run, other)
    config = (other / "config.yaml").read_text().replace("members: 3", "members: 2")
    (other / "config.yaml").write_text(config)
    assert verify.main([str(whole), *words[:2], "--beside", f"twin={other}"]) == 0
    assert f"twin: drawn with {other}" in capsys.readouterr().out
    with xr.open_dataset(drawn) as twin:
        assert twin.sizes["member"] == 2
    # What is verified, or beside it, is not written over.
    for ensemble, beside in (
        (drawn, [f"twin={run}"]),
        (whole, [f"old={drawn}", f"twin={run}"]),
    ):
        assert verify.main([str(ensemble), *words[:2], "--beside", *beside]) == 2
        assert f"would be written over {drawn}" in capsys.readouterr().err
    drawn.write_bytes(whole.read_bytes())
    assert verify.main([str(whole), *words]) == 2
    assert "is there already and is none of ours" in capsys.readouterr().err


def test_runs_that_cannot_be_drawn_are_one_line(run, small, whole, tmp_path, capsys):
    write_netcdf(coarse_input(run), tmp_path / "in.nc")
    elsewhere = tmp_path / "elsewhere.nc"
    words = ["--output", str(elsewhere), "--members", "1"]
    assert sample.main([str(run), "--input", str(tmp_path / "in.nc"), *words]) == 0
    truth = ["--truth", str(run.parent / "rain.nc")]
    report = tmp_path / "report"
    full = tmp_path / "full"
    full.mkdir()
    (full / "beside").touch()
    for output, more, path, folder, expected in (
        (elsewhere, truth, run, report, "its input came from elsewhere; draw it with"),
        (whole, [], small, report, "trained with data.coarsen=4, and"),
        (whole, [], tmp_path, report, "is a folder and no Zarr store"),
        (whole, [], run, full, "cannot be made"),
    ):
        capsys.readouterr()
        # None of them is drawn before all are looked at.
        asked = [str(output), "--report", str(folder), *more]
        assert verify.main([*asked, "--beside", f"first={run}", f"twin={path}"]) == 2
        error = capsys.readouterr().err
        assert expected in error
        assert error.count("\n") == 1
    assert not list(report.rglob("*.nc"))


def test_each_case_is_drawn_in_its_own_area(run, tmp_path):
    """Two pieces, groups of one file, each with hours of its own."""
    paths = tmp_path / "a.nc", tmp_path / "b.nc"
    boxes = (["29.95", "110.1", "29.8", "110.3"], ["29.8", "110.2", "29.65", "110.45"])
    for path, box, hour in zip(paths, boxes, ("06", "07"), strict=True):
        words = ["--box", *box, "--hours", f"2020-07-01T{hour}", "--members", "2"]
        assert sample.main([str(run), "--output", str(path), *words]) == 0
    groups = {}
    for name, path in zip("ab", paths, strict=True):
        with xr.open_dataset(path) as dataset:
            groups[name], attributes = dataset.load(), dataset.attrs
    both, report = tmp_path / "both.nc", tmp_path / "report"
    told = {k: v for k, v in attributes.items() if k.startswith("jaxrain")}
    write_netcdf(groups, both, attributes=told)
    assert verify.main([str(both), "--report", str(report), "--beside", f"twin={run}"]) == 0
    for name, path in zip("ab", paths, strict=True):
        drawn = xr.open_dataset(report / "beside" / "twin.nc", group=name)
        with drawn, xr.open_dataset(path) as expected:
            rain = drawn["precipitation"].isel(member=slice(0, 2))
            np.testing.assert_allclose(rain, expected["precipitation"], rtol=1e-4, atol=1e-5)
