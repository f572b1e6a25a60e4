import json
import shutil

import jax
import numpy as np
import pytest
import xarray as xr

from jaxrain import sample, train, tune, verify
from jaxrain.config import load_config
from jaxrain.downscaler import load
from jaxrain.errors import InputError
from jaxrain.fingerprint import fingerprint
from jaxrain.pairs.build import prepare
from jaxrain.stages import first_stage_settings
from jaxrain.training.metrics import last_step
from jaxrain.training.saved import saved_steps
from jaxrain.training.stopping import Stop, Stopped
from jaxrain.weather.cf import write_netcdf

CONFIG = """
data:
  root: {root}
  store: {root}/store
  fine: ["*.nc"]
  coarse: []
  coarsen: 8
  variables: [tp]
  levels: []
  splits:
    train: ["2020-07-01T00/2020-07-01T03"]
    validation: ["2020-07-01T04"]
    test: ["2020-07-01T05"]
  rain_scaling: log1p
  standardize: true
  patch: 16
model: {{inner_channel: 4, channel_mults: [1], res_blocks: 1, norm_groups: 2, attn_res: []}}
diffusion: {{steps: 50, prediction: v}}
train:
  steps: 6
  batch_size: 4
  log_every: 2
  checkpoint_every: 2
  learning_rate: 1.0e-2
  validation_cases: 0
sample: {{members: 2, steps: 3, sampler: dpmpp_2m, overlap: 4}}
"""


@pytest.fixture(scope="module")
def config_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("stages")
    rain = np.random.default_rng(0).gamma(0.3, 3.0, (6, 24, 32)).astype(np.float32)
    dims = ("time", "latitude", "longitude")
    hours = np.arange("2020-07-01T00", "2020-07-01T06", dtype="datetime64[h]")
    axes = (hours.astype("datetime64[ns]"), 30 - 0.01 * np.arange(24), 110 + 0.01 * np.arange(32))
    dataset = xr.Dataset({"rain": (dims, rain)}, dict(zip(dims, axes, strict=True)))
    write_netcdf(dataset, root / "rain.nc")
    (root / "c.yaml").write_text(CONFIG.format(root=root))
    prepare(load_config(root / "c.yaml").data, say=lambda line: None)
    return root / "c.yaml"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    cache = tmp_path_factory.getbasetemp() / "programs"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(cache))


def run(config_file, folder, *words):
    return train.main(["--config", str(config_file), f"train.run={folder}", *words])


@pytest.fixture(scope="module")
def regression(config_file):
    folder = config_file.parent / "runs" / "regression"
    assert run(config_file, folder, "diffusion.objective=regression") == 0
    return folder


@pytest.fixture(scope="module")
def both(config_file):
    folder = config_file.parent / "runs" / "both"
    assert run(config_file, folder, "data.target=regression", "train.regression_steps=4") == 0
    return folder


def drawn(folder, *words):
    output = folder / "test.nc"
    assert sample.main([str(folder), "--output", str(output), "--overwrite", *words]) == 0
    with xr.open_dataset(output) as dataset:
        return output, dataset.load()


def test_a_regression_gives_one_field_whatever_is_asked(regression, capsys):
    file, dataset = drawn(regression)
    assert dataset.sizes["member"] == 1
    assert dataset.attrs["jaxrain_objective"] == "regression"
    assert "jaxrain_sampler" not in dataset.attrs
    _, other = drawn(regression, "--seed", "5")
    np.testing.assert_array_equal(other["precipitation"], dataset["precipitation"])
    assert load(regression).sample(coarse(dataset), members=3).sizes["member"] == 1
    assert sample.main([str(regression), "--output", str(file), "--overwrite", "--members", "3"])
    assert "--members 3" in capsys.readouterr().err
    assert sample.main([str(regression), "--output", str(file), "--overwrite", "--contrast", "3"])
    assert "--contrast 3" in capsys.readouterr().err
    for words in (["--first-member", "3"], ["--noise-correlation", "0.5"]):
        assert sample.main([str(regression), "--output", str(file), "--overwrite", *words]) == 2
        assert " ".join(words) in capsys.readouterr().err
    assert load(regression).sample(coarse(dataset), first_member=3)["member"].item() == 0
    told = load(regression, ["sample.contrast=3"]).sample(coarse(dataset))
    plain = load(regression).sample(coarse(dataset))
    xr.testing.assert_equal(told, plain)
    assert tune.main([str(regression)]) == 2
    assert "is a regression" in capsys.readouterr().err


@pytest.mark.slow
def test_beside_an_ensemble_its_crps_is_its_error(regression, both):
    (file, dataset), (ensemble, _) = drawn(regression), drawn(both)
    report = both.parent / "report"
    words = ["--beside", f"alone={file}", "--report", str(report)]
    assert verify.main([str(ensemble), *words]) == 0
    scores = json.loads((report / "scores.json").read_text())
    with xr.open_dataset(regression.parent.parent / "rain.nc") as truth:
        error = np.abs(dataset["precipitation"].squeeze().values - truth["rain"][5].values).mean()
    found = scores["baselines"]["alone"]["crps_mm"]["value"]
    assert found == pytest.approx(float(error), rel=1e-5)
    assert scores["baselines"]["regression"]["crps_mm"]["value"] != found


def coarse(dataset):
    """Coarse rain around the domain of `dataset`, a made-up one."""
    dims = ("time", "latitude", "longitude")
    axes = (dataset["time"].values[:1], 29.965 - 0.08 * np.arange(3), 110.035 + 0.08 * np.arange(4))
    rain = np.ones((1, 3, 4), np.float32)
    return xr.Dataset({"tp": (dims, rain)}, dict(zip(dims, axes, strict=True)))


def test_one_command_trains_both_stages_and_sampling_adds_them(both):
    assert saved_steps(both / "regression")[-1] == 4
    assert saved_steps(both)[-1] == 6
    first = load_config(both / "regression" / "config.yaml")
    assert (first.diffusion.objective, first.data.target) == ("regression", "difference")
    whole = load(both)
    kept = json.loads((both / "regression.json").read_text())
    assert kept == {"step": 4, "sha256": load(both / "regression").checkpoint}
    assert whole.attributes(whole.config.sample)["jaxrain_regression"] == kept["sha256"]
    # With a network that says 0, what is left of the sum is the regression.
    nothing = jax.tree.map(np.zeros_like, whole.weights.network)
    alone = load(both / "regression").sample(coarse(drawn(both)[1]))
    object.__setattr__(whole, "weights", whole.weights._replace(network=nothing))
    object.__setattr__(whole.config.diffusion, "prediction", "x0")
    summed = whole.sample(coarse(alone), members=2)
    np.testing.assert_allclose(
        summed["precipitation"][1], alone["precipitation"][0], rtol=1e-4, atol=1e-5
    )


def test_what_the_regression_expects_stands_beside_the_members_and_is_verified(both, tmp_path):
    file, dataset = drawn(both)
    expected = dataset["regression_precipitation"]
    alone = drawn(both / "regression")[1]["precipitation"].squeeze("member", drop=True)
    np.testing.assert_allclose(expected, alone, rtol=1e-5, atol=1e-6)
    assert load(both).sample(coarse(dataset), members=1)["regression_precipitation"].shape == (
        1, *expected.shape[1:],
    )  # fmt: skip
    assert verify.main([str(file), "--report", str(tmp_path)]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    with xr.open_dataset(both.parent.parent / "rain.nc") as truth:
        error = np.abs(alone.values - truth["rain"].sel(time=alone["time"]).values).mean()
    crps = scores["baselines"]["regression"]["crps_mm"]["value"]
    assert crps == pytest.approx(float(error), rel=1e-5)
    assert not any("regression" in note for note in scores["notes"])


def test_a_chain_begins_from_the_first_guess_of_another_run(regression, both, capsys):
    words = ("--first-guess", str(regression), "--sigma-max", "0.5")
    _, dataset = drawn(both, *words)
    assert dataset.attrs["jaxrain_first_guess"] == load(regression).checkpoint
    assert dataset.attrs["jaxrain_regression"] == load(both / "regression").checkpoint
    settings = ["sample.sigma_max=0.5", f"sample.first_guess={regression}"]
    again = load(both, settings).sample(coarse(dataset), members=2)
    alone = load(both, settings[:1]).sample(coarse(dataset), members=2)
    assert np.abs(again["precipitation"] - alone["precipitation"]).max() > 0.01

    # Which run it was is part of what an ensemble is made from, where it lies is not.
    moved = shutil.copytree(regression, both.parent / "moved")
    named = {
        folder: load(both, [settings[0], f"sample.first_guess={folder}"])
        for folder in (regression, moved, both / "regression")
    }
    same, elsewhere, other = (fingerprint(d, [], d.config.sample) for d in named.values())
    assert same == elsewhere
    assert {name for name in same if same[name] != other[name]} == {"first guess"}
    bent = load(both, ["sample.contrast=3", "sample.consistency=hard"])
    more = fingerprint(bent, [], bent.config.sample).keys() - same.keys()
    assert {"form of contrast", "form of consistency", "most rain"} <= more
    assert "epsilon_scale" not in same
    scaled = load(both, ["sample.sampler=heun", "sample.epsilon_scale=1.05"])
    assert fingerprint(scaled, [], scaled.config.sample)["epsilon_scale"] == "1.05"

    for folder, says in ((both, "does not draw in one step"), ("nowhere", "no config.yaml")):
        line = f"sample.first_guess={folder}"
        with pytest.raises(InputError, match=says):
            load(both, ["sample.sigma_max=0.5", line])
    capsys.readouterr()
    words = ("--sampler", "dpmpp_2m", *words)
    assert sample.main([str(regression), "--output", "x.nc", *words]) == 2
    assert "has no chain to begin from it" in capsys.readouterr().err
    for word, value in (("--steps", "3"), ("--epsilon-scale", "1.01")):
        assert sample.main([str(regression), "--output", "x.nc", word, value]) == 2
        assert f"{word} {value}: {regression} draws in one step" in capsys.readouterr().err


def test_a_run_of_two_stages_may_have_a_first_guess_from_the_beginning(config_file):
    words = ["data.target=regression", "sample.first_guess=RUN", "sample.sigma_max=1"]
    assert first_stage_settings(load_config(config_file, words)).sample.first_guess is None


def test_weights_of_members_scores_are_the_second_stages_alone(config_file):
    words = ["data.target=regression", "diffusion.objective=crps", "diffusion.crps_amounts=1"]
    first = first_stage_settings(load_config(config_file, words)).diffusion
    assert (first.objective, first.crps_amounts) == ("regression", 0)


@pytest.mark.slow
def test_validation_and_calibration_begin_from_the_first_guess_too(regression, config_file):
    folder = regression.parent / "guessing"
    words = (f"sample.first_guess={regression}", "sample.sigma_max=0.5")
    more = ("train.validation_cases=1", "train.validate_every=6", "train.validation_steps=2")
    assert run(config_file, folder, *words, *more) == 0
    assert "validation_crps_mm" in (folder / "metrics.jsonl").read_text()
    assert tune.main([str(folder), "--calibrate", "--cases", "1", "--members", "2"]) == 0
    found = json.loads((folder / "calibration.json").read_text())
    assert found["inflation"] != 1.0
    guess = load(regression).checkpoint
    assert found["settings"]["first_guess"] == guess
    again = load(folder)
    assert again.calibration.differs(again.config.sample, guess) is None
    plain = load(folder, ["sample.first_guess=null", "sample.sigma_max=null"])
    with pytest.raises(InputError, match="of a chain with another first guess"):
        plain.program(plain.config.sample)
    output = regression.parent / "guessing.nc"
    words = [str(folder), "--output", str(output), "--split", "validation"]
    assert sample.main(words) == 0
    with xr.open_dataset(output) as rain:
        assert rain.attrs["jaxrain_calibration"] == again.calibration.told()
        assert float(rain["precipitation"].min()) >= 0


@pytest.mark.slow
def test_stopped_in_either_stage_it_goes_on_to_the_same_weights(both, config_file, tmp_path):
    folder = tmp_path / "cut"
    words = [f"train.run={folder}", "data.target=regression", "train.regression_steps=4"]
    config = load_config(config_file, words)

    class StopAfter(Stop):
        """Asked to stop when a run has done so many steps, as its log tells."""

        def __init__(self, run, step):
            super().__init__()
            self.run, self.step = run, step

        def __getattribute__(self, name):
            if name == "asked" and last_step(self.run) >= self.step:
                object.__setattr__(self, "asked", 15)
            return object.__getattribute__(self, name)

    for at, steps in ((folder / "regression", 4), (folder, 6)):
        with pytest.raises(Stopped):
            train.train(config, StopAfter(at, 2))
        assert 2 <= saved_steps(at)[-1] < steps
    train.train(config)
    assert load(folder).checkpoint == load(both).checkpoint
    assert load(folder).beside.regression.run.sha256 == load(both).beside.regression.run.sha256


def test_a_trained_regression_is_taken_and_other_weights_are_refused(
    regression, both, config_file, tmp_path, capsys
):
    folder = tmp_path / "taken"
    words = ["data.target=regression", f"train.regression={regression}"]
    assert run(config_file, folder, *words, "train.steps=2") == 0
    assert load(folder).beside.regression.run.sha256 == load(regression).checkpoint

    (folder / "regression.json").write_text(json.dumps({"step": 6, "sha256": "0"}))
    with pytest.raises(InputError, match="other weights of step 6"):
        load(folder)
    shutil.rmtree(folder / "regression")
    with pytest.raises(InputError, match="is no run of a regression"):
        load(folder)

    other = tmp_path / "other"
    capsys.readouterr()
    assert run(config_file, other, "data.target=regression", f"train.regression={both}") == 2
    assert "expected a run of diffusion.objective=regression" in capsys.readouterr().err
    assert not (other / "regression").exists()
    words = [*words, "data.interpolations=[nearest]"]
    assert run(config_file, other, *words) == 2
    assert "(interpolations differs)" in capsys.readouterr().err
    assert run(config_file, other, "data.target=regression", "diffusion.objective=regression") == 2
    assert "set data.target=difference" in capsys.readouterr().err


def test_a_generator_of_one_step_starts_from_a_denoiser_and_draws_members(
    config_file, tmp_path, capsys
):
    denoiser, generator = tmp_path / "denoiser", tmp_path / "generator"
    assert run(config_file, denoiser) == 0
    words = ["diffusion.objective=crps", f"train.start_from={denoiser}", "train.steps=1"]
    assert run(config_file, generator, *words, "train.learning_rate=1e-9") == 0
    began, moved = load(denoiser).weights, load(generator).weights
    for ours, theirs in zip(jax.tree.leaves(moved), jax.tree.leaves(began), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)

    out = tmp_path / "out.nc"
    assert sample.main([str(generator), "--output", str(out), "--split", "test"]) == 0
    with xr.open_dataset(out) as rain:
        assert rain.attrs["jaxrain_objective"] == "crps"
        members = rain["precipitation"].values
    assert members.shape[0] == 2
    assert np.isfinite(members).all()
    assert not np.array_equal(members[0], members[1])

    words = [str(generator), "--calibrate", "--cases", "1", "--members", "2"]
    capsys.readouterr()
    assert tune.main([*words, "--epsilon-scale", "1.1"]) == 2
    assert f"--epsilon-scale 1.1: {generator} draws in one step" in capsys.readouterr().err
    assert tune.main(words) == 0
    assert load(generator).calibration.inflation != 1
    assert sample.main([*words[:1], "--output", str(out), "--split", "test", "--overwrite"]) == 0
    with xr.open_dataset(out) as rain:
        assert not np.array_equal(rain["precipitation"], members)


def test_weights_to_start_from_are_of_the_same_network(config_file, both, tmp_path, capsys):
    words = [f"train.start_from={both}", "model.inner_channel=8"]
    assert run(config_file, tmp_path / "other", *words) == 2
    assert "another network" in capsys.readouterr().err
    assert run(config_file, tmp_path / "none", f"train.start_from={tmp_path}") == 2
    words = [f"train.start_from={both / 'regression'}", "diffusion.prediction=x0"]
    assert run(config_file, tmp_path / "other", *words) == 2
    assert "predicts v, this run x0" in capsys.readouterr().err
    words = [f"train.start_from={both / 'regression'}", "data.standardize=false"]
    assert run(config_file, tmp_path / "other", *words) == 2
    assert "data.standardize: False here, True there" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "none").exists()
