"""Truth from files is read as the run read its own, unless the user says otherwise."""

import json

import netCDF4
import numpy as np
import pytest
import xarray as xr
import yaml

from jaxrain import verify
from jaxrain.verification.forecast_test import example
from jaxrain.verification.truth_test import changed_manifest


def local_truth(folder):
    """The truth in Beijing time, after a dry day of the hours of the same names in UTC."""
    path = folder / "beijing.nc"
    with xr.open_dataset(folder / "fine" / "fine.nc") as truth:
        rain = truth["rain"].drop_attrs()
        local = rain.assign_coords(time=rain["time"] + np.timedelta64(8, "h"))
        both = xr.concat([rain * 0, local], "time")
    xr.Dataset({"fine": both, "other": both * 2}).to_netcdf(path)
    return path


def scores_of(words, folder):
    assert verify.main([*map(str, words), "--report", str(folder)]) == 0
    return json.loads((folder / "scores.json").read_text())


@pytest.mark.parametrize("told_by", ["config", "store", "options"])
def test_files_in_local_time_score_as_the_store(tmp_path, capsys, told_by):
    path = example(tmp_path)
    expected = scores_of([path], tmp_path / "of_store")
    words = [path, "--truth", local_truth(tmp_path)]
    settings = {"fine_utc_offset_hours": 8.0, "fine_variable": "fine"}
    if told_by == "config":
        with netCDF4.Dataset(path, "a") as file:
            file.setncattr("jaxrain_config", yaml.safe_dump({"data": settings}))
    elif told_by == "store":
        with changed_manifest(tmp_path) as content:
            content["config"] |= settings
        with netCDF4.Dataset(path, "a") as file:
            file.setncattr("jaxrain_config", "data: [")
    else:
        words += ["--truth-utc-offset", 8, "--truth-variable", "fine"]
    found = scores_of(words, tmp_path / "of_files")
    note, *others = found.pop("notes")
    assert "are taken for UTC+8" in note
    assert others == expected.pop("notes")
    found["forecast"] = expected["forecast"]
    assert found == expected
    assert f"note: {note}" in capsys.readouterr().out
    assert "UTC+8" in (tmp_path / "of_files" / "index.html").read_text()


def npy_truth(folder):
    """The truth as .npy hours named in Beijing time, with an extreme beside; and what says it."""
    (folder / "hr").mkdir()
    with xr.open_dataset(folder / "fine" / "fine.nc") as truth:
        rain = truth["rain"].load()
    for hour in rain:
        end = hour["time"].values + np.timedelta64(8, "h")
        digits = str(end.astype("datetime64[h]")).replace("-", "").replace("T", "")
        np.save(folder / "hr" / f"rain_{digits}.npy", hour.values[None])
    np.save(folder / "hr" / "max_values.npy", np.float32(80))
    axes = {
        name: {
            "first": float(rain[name][0]),
            "last": float(rain[name][-1]),
            "size": rain[name].size,
        }
        for name in ("latitude", "longitude")
    }
    fine = {"channels": ["rain"], **axes, "names": "rain_%Y%m%d%H.npy"}
    said = {"fine_utc_offset_hours": 8.0, "npy": {"fine": fine, "coarse": None}}
    return sorted(map(str, (folder / "hr").glob("*.npy"))), said


def test_npy_hours_are_read_as_the_run_read_its_own(tmp_path, capsys):
    path = example(tmp_path)
    expected = scores_of([path], tmp_path / "of_store")
    files, said = npy_truth(tmp_path)
    words = [str(path), "--report", str(tmp_path / "of_files"), "--truth"]
    capsys.readouterr()
    assert verify.main([*words, *files]) == 2
    assert "rain_2022060108.npy: is a .npy array, which knows no grid, and the run says none" in (
        error := capsys.readouterr().err
    )
    assert error.count("\n") == 1
    with netCDF4.Dataset(path, "a") as file:
        file.setncattr("jaxrain_config", yaml.safe_dump({"data": said}))
    found = scores_of([path, "--truth", *files], tmp_path / "of_files")
    (note, *others), known = found.pop("notes"), expected.pop("notes")
    assert "are taken for UTC+8" in note
    assert others == known
    assert found | {"forecast": 0} == expected | {"forecast": 0}

    capsys.readouterr()
    for lacking, told in (
        (files[:1], "no file of an hour"),
        (["rain_2022060108.npy"], "No such file"),
        (files[:3], "give --truth with files that hold them"),
    ):
        assert verify.main([*words, *lacking]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert told in error


def test_how_truth_is_read_is_told_of_files_alone(tmp_path, capsys):
    words = [str(example(tmp_path)), "--report", str(tmp_path / "report")]
    for option in (["--truth-utc-offset", "0"], ["--truth-variable", "rain"]):
        assert verify.main([*words, *option]) == 2
        assert f"{option[0]} tells of files of truth: give --truth" in capsys.readouterr().err
    assert verify.main([*words, "--truth", "a.npy", "b.npy", "--truth-variable", "rain"]) == 2
    assert "--truth-variable rain: .npy hours hold no variables" in capsys.readouterr().err
