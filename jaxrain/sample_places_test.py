"""From what, and where, an ensemble is drawn: files of predictors, boxes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from jaxrain import sample, verify
from jaxrain.downscaler import load
from jaxrain.sample_test import coarse_input
from jaxrain.weather.cf import write_netcdf


def test_input_files_give_what_the_split_gives(run, whole, tmp_path):
    dataset = coarse_input(run)
    for hour in range(2):
        write_netcdf(dataset.isel(time=[hour]), tmp_path / f"{hour}.nc")
    output = tmp_path / "out.nc"
    inputs = [str(tmp_path / f"{hour}.nc") for hour in range(2)]
    assert sample.main([str(run), "--output", str(output), "--input", *inputs]) == 0
    with xr.open_dataset(output) as made, xr.open_dataset(whole) as expected:
        np.testing.assert_allclose(made["precipitation"], expected["precipitation"], atol=1e-4)
        assert made.attrs["jaxrain_input"] == "0.nc, 1.nc"
        assert "jaxrain_store" not in made.attrs


def test_a_box_is_a_piece_of_the_area(run, whole, tmp_path, capsys):
    output = tmp_path / "box.nc"
    box = ["--box", "29.9", "110.1", "29.7", "110.35"]
    assert sample.main([str(run), "--output", str(output), "--members", "1", *box]) == 0
    assert "lie beyond" not in capsys.readouterr().err
    with xr.open_dataset(output) as made, xr.open_dataset(whole) as of_area:
        assert made.attrs["origin"].tolist() == [10, 10]
        assert made.attrs["jaxrain_box"] == "29.7..29.9 N, 110.1..110.35 E"
        place = {"latitude": slice(10, 31), "longitude": slice(10, 36)}
        expected = of_area["coarse_precipitation"].isel(place)
        xr.testing.assert_allclose(made["coarse_precipitation"], expected)
    with pytest.warns(UserWarning, match="outside what training saw"):
        python = load(run).sample(coarse_input(run), members=1, box=(29.9, 110.1, 29.7, 110.35))
    assert python.attrs["jaxrain_box"] == "29.7..29.9 N, 110.1..110.35 E"
    report = tmp_path / "report"
    assert verify.main([str(output), "--report", str(report)]) == 0
    scores = json.loads((report / "scores.json").read_text())
    assert scores["points"] == 2 * 21 * 26


@pytest.mark.parametrize("south", ["29.98", "29.8"])
def test_a_box_two_points_wide_is_drawn_and_scored(run, tmp_path, south):
    output, report = tmp_path / "narrow.nc", tmp_path / "report"
    box = ["--box", "29.99", "110.1", south, "110.11"]
    assert sample.main([str(run), "--output", str(output), "--members", "2", *box]) == 0
    assert verify.main([str(output), "--report", str(report)]) == 0
    scores = json.loads((report / "scores.json").read_text())
    assert scores["points"] == 2 * 2 * (2 if south == "29.98" else 20)
    assert np.isfinite(scores["model"]["crps_mm"]["value"])


def test_with_files_a_box_may_reach_beyond_the_area(run, tmp_path, capsys):
    coarse = coarse_input(run)
    north = coarse.latitude.values[0] + 0.08 * np.arange(3, 0, -1)
    wider = coarse.reindex(latitude=[*north, *coarse.latitude.values], fill_value=1.0)
    write_netcdf(wider, tmp_path / "in.nc")
    outputs = tmp_path / "box.nc", tmp_path / "inside.nc"
    words = ["--input", str(tmp_path / "in.nc"), "--members", "1"]
    for output, top in zip(outputs, ("30.12", "30"), strict=True):
        box = ["--box", top, "110", "29.9", "110.13"]
        assert sample.main([str(run), "--output", str(output), *words, *box]) == 0
    said = capsys.readouterr().err
    assert said.count("52.17% of the points lie beyond area0 (29.61..30.00 N") == 1
    with xr.open_dataset(outputs[0]) as made, xr.open_dataset(outputs[1]) as inside:
        assert made.attrs["origin"].tolist() == [-12, 0]
        np.testing.assert_allclose(made.latitude, 30.12 - 0.01 * np.arange(23))
        assert made["precipitation"].notnull().all()
        # The same noise at the same points, whatever tile they lie in: members resemble each other.
        pair = [
            each["precipitation"].sel(latitude=inside.latitude, method="nearest")
            for each in (made, inside)
        ]
        assert np.corrcoef(*(np.log1p(each.values).ravel() for each in pair))[0, 1] > 0.5
    words = [str(run), "--output", str(tmp_path / "no.nc")]
    box = ["--box", "30.12", "110", "29.9", "110.13"]
    assert sample.main([*words, *box]) == 2
    assert "reaches beyond area0 (29.61..30.00 N" in capsys.readouterr().err
    box = ["--box", "34", "110", "29.9", "110.13"]
    assert sample.main([*words, "--input", str(tmp_path / "in.nc"), *box]) == 2
    assert "the box 29.9..34 N, 110..110.13 E, on the grid of area0," in capsys.readouterr().err
    assert sample.main([*words, "--box", "29", "110", "30", "111"]) == 2
    assert "south 30 and north 29" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:tp.*outside what training saw")
def test_what_input_files_lack_is_said(run, tmp_path, capsys):
    dataset = coarse_input(run)
    dataset["tp"][0, 2, 3] = np.nan
    dataset["tp"][1] = np.nan
    write_netcdf(dataset, tmp_path / "in.nc")
    output = tmp_path / "out.nc"
    words = [str(run), "--output", str(output), "--input", str(tmp_path / "in.nc")]
    assert sample.main(words) == 0
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "outside what training saw" not in line] == [
        "warning: 1 of 2 hours are left out, for the input does not hold all of tp then: "
        "2020-07-01T07:00",
        "warning: the input lacks tp at 2.9% of its points over area0, in 1 of 1 hours: "
        "rain is missing around them",
    ]
    with xr.open_dataset(output) as made:
        assert 0 < float(made["precipitation"].isnull().mean()) < 0.5
    with pytest.warns(UserWarning, match=r"lacks tp at 51\.4% of its points over area0, in 2 of 2"):
        load(run).sample(dataset, members=1)


def test_warnings_are_of_the_hours_and_areas_that_are_drawn(run, tmp_path, monkeypatch, capsys):
    downscaler = load(run)
    (area,) = downscaler.areas
    pieces = {"north": (0, 0, 16, 16), "south": (24, 40, 16, 16)}
    areas = [
        replace(area, name=name, fine_grid=area.fine_grid.window(*where))
        for name, where in pieces.items()
    ]
    monkeypatch.setattr("jaxrain.downscaler.load", lambda *_: replace(downscaler, areas=areas))
    dataset = xr.ones_like(coarse_input(run))
    dataset["tp"][0, -1, -1] = 150.0
    write_netcdf(dataset, tmp_path / "in.nc")
    words = [str(run), "--input", str(tmp_path / "in.nc"), "--output"]
    assert sample.main([*words, str(tmp_path / "one.nc"), "--hours", "2020-07-01T07"]) == 0
    assert capsys.readouterr().err == ""
    assert sample.main([*words, str(tmp_path / "both.nc")]) == 0
    told = capsys.readouterr().err
    assert told.startswith("warning: tp: 5.6% of the input over south lies outside what training")
    assert told.count("\n") == 1
