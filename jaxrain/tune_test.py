import argparse
import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

from jaxrain import sample, tune, verify
from jaxrain.config import load_config, save_config
from jaxrain.downscaler import load
from jaxrain.pairs.store import open_store
from jaxrain.tuning.contrasting import PLAIN, SCORES
from jaxrain.verification.forecast import open_forecast
from jaxrain.weather.cf import write_netcdf

CONFIG = """
data:
  root: {root}
  store: {root}/store
  fine: ["*.nc"]
  coarse: []
  coarsen: 8
  variables: [tp]
  splits: {{train: ["2020-07-01T00/2020-07-01T01"], validation: ["{validation}"]}}
  rain_scaling: log1p
  patch: 16
model: {{inner_channel: 8, channel_mults: [1, 2], res_blocks: 1, norm_groups: 4, attn_res: []}}
diffusion: {{steps: 100, prediction: x0}}
sample: {{members: 3, steps: 4, batch: 4, sampler: ddpm, consistency: hard}}
"""


@pytest.fixture
def make_run(tmp_path, untrained):
    """A run that was never trained."""

    def make(validation):
        hours = np.arange("2020-07-01T00", "2020-07-01T04", dtype="datetime64[h]")
        rain = np.random.default_rng(0).gamma(0.3, 3.0, (4, 24, 32)).astype(np.float32)
        dims = ("time", "latitude", "longitude")
        axes = (30 - 0.01 * np.arange(24), 110 + 0.01 * np.arange(32))
        coordinates = dict(zip(dims, (hours.astype("datetime64[ns]"), *axes), strict=True))
        write_netcdf(xr.Dataset({"rain": (dims, rain)}, coordinates), tmp_path / "rain.nc")
        (tmp_path / "c.yaml").write_text(CONFIG.format(root=tmp_path, validation=validation))
        return untrained(load_config(tmp_path / "c.yaml"), tmp_path / "run")

    return make


def test_the_recommendation_becomes_the_runs_default(make_run, capsys):
    run = make_run("2020-07-01T02/2020-07-01T03")
    words = [str(run), "--samplers", "heun", "ddim", "--steps", "5", "--cases", "1"]
    chains = [str(run), "--chains", "heun:5", "ddim:5", "--cases", "1"]
    assert tune.main([*chains, "--members", "2", "--dry-run"]) == 0
    dry = json.loads((run / "report" / "tune.json").read_text())
    assert [(t["sampler"], t["steps"]) for t in dry["trials"]] == [("heun", 5), ("ddim", 5)]
    assert load_config(run / "config.yaml").sample.sampler == "ddpm"
    assert tune.main([*words, "--members", "2"]) == 0
    found = json.loads((run / "report" / "tune.json").read_text())
    assert [(t["sampler"], t["steps"]) for t in found["trials"]] == [("heun", 5), ("ddim", 5)]
    best = min(found["trials"], key=lambda t: t["crps_mm"])
    assert found["recommended"]["crps_mm"] <= 1.01 * best["crps_mm"]
    sample = load_config(run / "config.yaml").sample
    assert (sample.sampler, sample.steps) == (found["recommended"]["sampler"], 5)
    assert sample.members == 3
    assert (run / "report" / "tune.png").stat().st_size > 1000
    assert "now the default of" in capsys.readouterr().out


def test_what_the_runs_own_sampler_does_not_take_can_be_tuned(make_run):
    run = make_run("2020-07-01T02/2020-07-01T03")
    assert load_config(run / "config.yaml").sample.sampler == "ddpm"
    words = ["--chains", "heun:5", "--cases", "1", "--members", "2", "--epsilon-scale", "1.05"]
    assert tune.main([str(run), *words]) == 0
    sample = load_config(run / "config.yaml").sample
    assert (sample.sampler, sample.steps, sample.epsilon_scale) == ("heun", 5, 1.05)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--samplers", "dpmpp_2m", "heun", "--steps", "3", "2"), "heun:2 cannot be tried: "),
        (("--chains", "dpmpp_2m:3", "ddim:101"), "ddim:101 cannot be tried: "),
        (("--chains", "dpmpp_2m:3", "dpmpp_2m:1"), "dpmpp_2m:1 cannot be tried: "),
    ],
)
def test_an_impossible_chain_is_named_before_any_is_drawn(make_run, words, said, capsys):
    run = make_run("2020-07-01T02/2020-07-01T03")
    assert tune.main([str(run), *words, "--cases", "1", "--members", "2"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("fit", [("--calibrate",), ("--contrasts", "9")], ids=" ".join)
@pytest.mark.parametrize(
    "words", [("--samplers", "heun"), ("--steps", "8"), ("--chains", "heun:8")], ids=" ".join
)
def test_what_is_fitted_takes_no_choice_of_chains(fit, words, capsys):
    assert tune.main(["anywhere", *fit, *words]) == 2
    assert f"{words[0]}: {fit[0]} looks at the members" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--calibrate", "--contrasts", "9"), "both spread members, and a run takes one"),
        (("--contrasts", "9", "--members", "3"), "--members 3: fewer than 4 may all have nearly"),
        (("--tolerance", "-0.1"), "--tolerance -0.1: expected 0 or more"),
        (("--tolerance", "nan"), "--tolerance nan: expected 0 or more"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(words, said, capsys):
    assert tune.main(["anywhere", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_run_is_spread_by_contrast_or_by_calibration_not_both(make_run, capsys):
    run = make_run("2020-07-01T02/2020-07-01T03")
    calibrate = [str(run), "--calibrate", "--cases", "2", "--members", "2"]
    assert tune.main(calibrate) == 0
    assert "but sample.contrast" not in capsys.readouterr().out
    contrast = [str(run), "--contrasts", "9", "--members", "4", "--cases", "1"]
    assert tune.main([*contrast, "--dry-run"]) == 0
    assert "without its calibration" not in capsys.readouterr().out
    assert load_config(run / "config.yaml").sample.calibrate
    assert tune.main(contrast) == 0
    assert "now the default of" in (said := capsys.readouterr().out)
    assert "without its calibration" in said
    assert not load_config(run / "config.yaml").sample.calibrate
    assert tune.main(calibrate) == 0
    assert "but sample.contrast=9 spreads members that a calibration" in capsys.readouterr().out


def test_the_contrast_that_fits_becomes_the_runs_default(make_run, tmp_path, capsys):
    run = make_run("2020-07-01T02")
    words = [str(run), "--contrasts", "9", "1.5", "--members", "4", "--tolerance", "0"]
    assert tune.main([*words, "--dry-run"]) == 0
    assert load_config(run / "config.yaml").sample.contrast == 1
    assert tune.main([*words, "--epsilon-scale", "1.1"]) == 2  # ddpm takes none
    config = load_config(run / "config.yaml")
    later = dataclasses.replace(config, sample=dataclasses.replace(config.sample, first_member=2))
    save_config(later, run / "config.yaml")
    assert tune.main([*words, "--dry-run"]) == 0
    save_config(config, run / "config.yaml")
    assert tune.main(words) == 0
    found = json.loads((run / "report" / "contrast.json").read_text())
    most, less = (trial["scores"] for trial in found["trials"])
    best = 9 if most[PLAIN] < less[PLAIN] else 1.5
    assert found["recommended"] == best
    assert (found["windows"], found["points"], found["sample"]["members"]) == (1, 24 * 32, 4)
    assert f"contrast {best:g}, now the default of" in capsys.readouterr().out
    assert load_config(run / "config.yaml").sample.contrast == best
    # A window is as wide as the whole area here: what sample draws and verify scores is the same.
    for scores, *words in ((most, "--contrast", "9"), (less, "--contrast", "1.5")):
        output = str(tmp_path / f"of{words[1]}.nc")
        split = ["--split", "validation", "--members", "4"]
        assert sample.main([str(run), "--output", output, *split, *words]) == 0
        assert verify.main([output, "--report", str(tmp_path / "report")]) == 0
        told = json.loads((tmp_path / "report" / "scores.json").read_text())["model"]
        assert set(scores) == set(SCORES)
        for name in scores:
            assert scores[name] == pytest.approx(told[name]["value"], rel=1e-5), name
        with open_forecast(output) as forecast:
            rain = forecast.cases[0].members(0)
        truth = np.asarray(open_store(run.parent / "store").areas[0].fine(2))
        pairs = np.abs(rain[:, None] - rain).mean((0, 1))
        plain = (np.abs(rain - truth).mean(0) - pairs / 2).mean()
        assert scores[PLAIN] == pytest.approx(plain, rel=1e-5)
    assert most["spread_skill"] != less["spread_skill"]


def test_a_contrast_beyond_the_scale_is_one_line(make_run, capsys):
    run = make_run("2020-07-01T02")
    assert tune.main([str(run), "--contrasts", "1", "90"]) == 2
    said = capsys.readouterr()
    assert "contrast=90.0: input should be less than or equal to 20" in said.err
    assert not said.out  # before anything was drawn


def test_a_calibration_is_kept_with_the_run_and_sampling_uses_it(make_run, tmp_path, capsys):
    run = make_run("2020-07-01T02/2020-07-01T03")
    words = [str(run), "--calibrate", "--cases", "2", "--members", "2"]
    assert tune.main([*words, "--dry-run"]) == 0
    assert not (run / "calibration.json").exists()
    assert tune.main(words) == 0
    said = capsys.readouterr().out
    assert "| calibrated to the other half of the windows |" in said
    report = json.loads((run / "calibration.json").read_text())["report"]
    assert {"hours", "windows", "points", "members"} < set(report)
    assert report["before"]["crps_mm"] != report["after"]["crps_mm"]

    def drawn(name, *words):
        output = tmp_path / name
        split = ["--split", "validation", "--members", "1"]
        assert sample.main([str(run), "--output", str(output), *split, *words]) == 0
        with xr.open_dataset(output) as dataset:
            return dataset.load()

    calibrated, plain = drawn("a.nc"), drawn("b.nc", "--calibrate", "false")
    assert "2 windows" in calibrated.attrs["jaxrain_calibration"]
    assert json.loads(calibrated.attrs["jaxrain_calibration_scores"]) == report
    assert "jaxrain_calibration" not in plain.attrs
    assert float(abs(calibrated["precipitation"] - plain["precipitation"]).max()) > 0
    assert float(calibrated["precipitation"].min()) >= 0
    capsys.readouterr()
    drawn("c.nc", "--steps", "5")
    said = "was fitted to members of sample.steps=4, now it is 5"
    assert said in capsys.readouterr().err
    drawn("d.nc", "--steps", "5", "--calibrate", "false")
    assert said not in capsys.readouterr().err
    found = load(run)
    assert said in str(found.caveat(dataclasses.replace(found.config.sample, steps=5)))


def test_a_chain_that_is_named_is_never_left_out():
    def asked(*words, begins):
        arguments = {"samplers": tune.SAMPLERS, "steps": (8,), "chains": None} | dict(words)
        return tune._chains(argparse.Namespace(**arguments), begins)

    assert asked(begins=False) == [("dpmpp_2m", 8), ("heun", 8), ("ddim", 8)]
    assert asked(begins=True) == [("dpmpp_2m", 8), ("heun", 8)]
    # What cannot begin from a first guess is refused where it was asked for by name.
    assert asked(("samplers", ["ddim"]), begins=True) == [("ddim", 8)]
    assert asked(("chains", ["ddim:250"]), begins=True) == [("ddim", 250)]


def test_what_cannot_be_tried_is_one_line(make_run, capsys):
    run = make_run("2021-01-01")
    assert tune.main([str(run)]) == 2
    assert "has no validation hours" in capsys.readouterr().err
    assert tune.main([str(run), "--samplers", "euler"]) == 2
    assert "unknown sampler 'euler'; there are" in capsys.readouterr().err
    assert tune.main([str(run), "--chains", "ddim"]) == 2
    assert "--chains ddim: expected NAME:STEPS" in capsys.readouterr().err
    assert tune.main([str(run), "--chains", "euler:5"]) == 2
    error = capsys.readouterr().err
    assert "unknown sampler 'euler'; there are" in error
    assert "--samplers" not in error
    assert tune.main([str(run), "--chains", "ddim:5", "--sigma-max", "4"]) == 2
    assert "--sigma-max: ddim begins at its schedule's most noise" in capsys.readouterr().err
    assert tune.main([str(run), "--members", "1"]) == 2
    assert "expected 2 or more members" in capsys.readouterr().err
