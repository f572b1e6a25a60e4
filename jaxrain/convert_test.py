import os
import pickle
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import torch

from jaxrain import convert
from jaxrain.config import load_config
from jaxrain.diffusion.process import DiffusionConfig
from jaxrain.diffusion.unet import UNetConfig
from jaxrain.training.checkpoint import load_parameters, open_checkpoints
from jaxrain.training.dialects import PREFIX, flatten, torch_name, unflatten
from jaxrain.training.meaning import kept_meaning
from jaxrain.training.network import define_network
from jaxrain.training.recognise import network_shapes, schedule_buffers
from jaxrain.training.saved import saved_steps
from jaxrain.training.state import create_state

MODEL = UNetConfig(
    inner_channel=4, channel_mults=(1, 2), res_blocks=1, norm_groups=2, attn_res=(8,)
)
CONFIG = """
data: {variables: [tp], patch: 16, store: nowhere}
model: {inner_channel: 4, channel_mults: [1, 2], res_blocks: 1, norm_groups: 2, attn_res: [8]}
diffusion: {steps: 20}
sample: {tile: 16, overlap: 4}
"""
SHAPES = network_shapes(MODEL, 2, 16)


def state_dict(dialect="sr3"):
    rng = np.random.default_rng(0)
    buffers = schedule_buffers(DiffusionConfig(steps=20))
    state = {name: torch.tensor(values, dtype=torch.float32) for name, values in buffers.items()}
    for path, shape in SHAPES.items():
        shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
        value = torch.tensor(rng.normal(size=shape), dtype=torch.float32)
        state[PREFIX[dialect] + torch_name(path, dialect)] = value
    return state


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "c.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return convert.main([*words])


def refused(capsys, *words):
    """The one line that a command ends with; nothing may be left behind."""
    before = sorted(Path().iterdir())
    capsys.readouterr()
    assert run(*words) == 2
    assert sorted(Path().iterdir()) == before
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_a_run_made_from_a_file_is_one_that_training_restores(folder):
    state = state_dict()
    torch.save(state, "I7_E2_gen.pth")
    assert run("I7_E2_gen.pth", "run", "--config", "c.yaml") == 0
    assert saved_steps("run") == [7]
    config = load_config("run/config.yaml")
    assert config.train.run == "run"
    assert config.model == MODEL
    init, _ = define_network(config.model, config.data, 1)
    with open_checkpoints("run") as checkpoints:
        read, loader = checkpoints.restore(create_state(config.train, init(0)))
    assert (int(read.step), loader["next_batch"], loader["epoch"]) == (7, 7, 2)
    for tree in (read.params, read.ema):
        kernel = tree["downs"][2]["conv"]["kernel"]
        expected = state["denoise_fn.downs.2.conv.weight"].numpy()
        np.testing.assert_array_equal(np.transpose(kernel, (3, 2, 0, 1)), expected)

    # What training saves are arrays of a device, not numpy's: they come out all the same.
    shutil.copytree("run", "trained", ignore=shutil.ignore_patterns("checkpoints"))
    with open_checkpoints("trained") as checkpoints:
        checkpoints.save(read, loader)
    assert run("trained", "back_gen.pth") == 0
    back = torch.load("back_gen.pth", weights_only=True)
    assert all(torch.equal(back[name], value) for name, value in state.items())


@pytest.mark.parametrize("form", ["own.pth", "own.safetensors"])
def test_ema_survives_in_our_formats_and_a_public_file_takes_either(folder, form):
    state = state_dict()
    ema = {name: value + 1 for name, value in state.items() if name.startswith("denoise_fn.")}
    buffers = {name: value for name, value in state.items() if name not in ema}
    torch.save({"params": state, "ema": ema | buffers, "step": 5, "epoch": 1}, "in.pth")
    assert run("in.pth", "first", "--config", "c.yaml") == 0
    assert run("first", form) == 0
    assert run(form, "second") == 0
    assert run("second", "last_gen.pth") == 0
    assert run("second", "mean_gen.pth", "--ema") == 0
    last, mean = (torch.load(f"{name}_gen.pth", weights_only=True) for name in ("last", "mean"))
    for name in ema:
        assert torch.equal(last[name], state[name])
        assert torch.equal(mean[name], ema[name])
    first, second = (Path(name, "config.yaml").read_text() for name in ("first", "second"))
    assert first.replace("run: first", "run: second") == second


def test_a_file_of_ours_knows_what_it_was_trained_for_whatever_config_says(folder):
    torch.save(state_dict(), "I7_E2_gen.pth")
    assert run("I7_E2_gen.pth", "public", "--config", "c.yaml") == 0
    assert run("public", "own.safetensors") == 0
    Path("x0.yaml").write_text(CONFIG.replace("steps: 20", "steps: 20, prediction: x0"))
    assert run("own.safetensors", "second", "--config", "x0.yaml") == 0
    kept = {name: kept_meaning(name, 7) for name in ("public", "second")}
    assert kept["public"] == {}
    assert kept["second"]["diffusion.prediction"] == "eps"


def test_a_run_comes_out_in_the_other_dialect_too(folder, capsys):
    torch.save(state_dict("climate"), "x_gen.pth")
    assert run("x_gen.pth", "run", "--config", "c.yaml") == 0
    assert load_config("run/config.yaml").model.upsample == "bicubic"
    assert run("run", "y_gen.pth", "--dialect", "sr3") == 0
    assert "names of sr3, whose networks upsample by nearest; this one by bicubic" in (
        capsys.readouterr().out
    )
    ours = torch.load("y_gen.pth", weights_only=True)
    for name, value in state_dict("sr3").items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=0)


def test_a_wrong_tensor_is_one_line_with_its_name_and_shapes(folder, capsys):
    name = "denoise_fn.mid.0.res_block.block2.block.3.weight"
    plain = name.removeprefix("denoise_fn.")
    state = state_dict()
    tensor = state.pop(name)
    torch.save(state, "x_gen.pth")
    assert f"{plain} is missing, expected shape [8, 8, 3, 3]" in refused(capsys, "x_gen.pth", "r")
    torch.save(state | {name: tensor[:, :5]}, "x_gen.pth")
    assert f"{plain} has shape [8, 5, 3, 3], expected [8, 8, 3, 3]" in refused(
        capsys, "x_gen.pth", "r"
    )
    torch.save(state | {name: tensor, "denoise_fn.extra": torch.ones(2)}, "x_gen.pth")
    assert "extra of shape [2] is unexpected" in refused(capsys, "x_gen.pth", "r")
    torch.save(state | {name: tensor.int()}, "x_gen.pth")
    assert f"{plain} is int32, expected float32" in refused(capsys, "x_gen.pth", "r")


def test_the_first_and_last_layers_wrong_are_named(folder, capsys):
    for name in ("downs.0.weight", "final_conv.block.3.bias", "downs.1.res_block.res_conv.weight"):
        state = {key.removeprefix("denoise_fn."): value for key, value in state_dict().items()}
        state.pop(name, None)
        state[name] = torch.ones(3)
        torch.save(state, "x.pth")
        assert f" {name} " in refused(capsys, "x.pth", "r")


def test_another_schedule_is_refused_and_a_missing_buffer_named(folder, capsys):
    (folder / "d.yaml").write_text(CONFIG.replace("steps: 20", "steps: 20, schedule: linear"))
    torch.save(state_dict(), "x_gen.pth")
    line = refused(capsys, "x_gen.pth", "r", "--config", "d.yaml")
    assert "betas differs from the schedule linear of 20 steps from 0.0001 to 0.02" in line
    state = state_dict()
    del state["posterior_variance"]
    torch.save(state, "x_gen.pth")
    assert "posterior_variance is missing" in refused(capsys, "x_gen.pth", "r")


def test_the_network_with_time_mlp_is_refused_by_name(folder, capsys):
    torch.save(state_dict() | {"denoise_fn.time_mlp.1.weight": torch.ones(4, 4)}, "x_gen.pth")
    assert "time_mlp.1.weight belongs to the DDPM U-Net" in refused(capsys, "x_gen.pth", "r")


class _Code:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_code_in_a_pickle_is_refused_and_does_not_run(folder, capsys):
    torch.save(state_dict() | {"x": _Code()}, "zip.pth")
    torch.save(state_dict() | {"x": _Code()}, "old.pth", _use_new_zipfile_serialization=False)
    (folder / "plain.pth").write_bytes(pickle.dumps({"x": _Code()}))
    for name in ("zip.pth", "old.pth", "plain.pth"):
        assert f"{name} is refused" in refused(capsys, name, "r")
    assert not (folder / "ran").exists()


def test_a_truncated_file_is_named(folder, capsys):
    torch.save(state_dict(), "x_gen.pth")
    assert run("x_gen.pth", "x.safetensors", "--config", "c.yaml") == 0
    for name in ("x_gen.pth", "x.safetensors"):
        whole = (folder / name).read_bytes()
        for size in (0, len(whole) // 2, len(whole) - 1):
            cut = f"cut_{name}"
            (folder / cut).write_bytes(whole[:size])
            assert f"{cut} is truncated or no ." in refused(capsys, cut, "r")


def test_what_is_there_stays_without_overwrite(folder, capsys):
    torch.save(state_dict(), "x_gen.pth")
    words = ("x_gen.pth", "run", "--config", "c.yaml")
    assert run(*words) == 0
    assert "run: exists" in refused(capsys, *words)
    assert run(*words, "--overwrite") == 0
    assert run("run", "y.pth") == 0
    assert "y.pth: exists" in refused(capsys, "run", "y.pth")
    assert run("run", "y.pth", "--overwrite") == 0
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("name", ["x_gen.pth", "x.pth", "x.safetensors"])
@pytest.mark.parametrize("size", ["40k", "80k"])
def test_a_full_disk_is_one_line_and_leaves_nothing(folder, small_disk, capsys, name, size):
    torch.save(state_dict(), "in_gen.pth")
    disk = small_disk(size)
    line = refused(capsys, "in_gen.pth", f"{disk}/{name}", "--config", "c.yaml")
    assert line == (
        "jaxrain convert: error: no space left on the device; free some and run the same command "
        "again\n"
    )
    assert not [*disk.iterdir()]


def test_without_torch_it_says_how_to_install_it(folder, capsys, monkeypatch):
    torch.save(state_dict(), "x_gen.pth")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'jaxrain[torch]'" in refused(capsys, "x_gen.pth", "r")


def trained(**settings):
    """A public pair, its optimizer after one update with `settings`."""
    state = state_dict()
    network = [
        torch.nn.Parameter(value) for name, value in state.items() if name.startswith(PREFIX["sr3"])
    ]
    adam = torch.optim.Adam(network, **settings)
    for parameter in network:
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    torch.save(state, "x_gen.pth")
    trainer = {"iter": 1, "epoch": 0, "scheduler": None, "optimizer": adam.state_dict()}
    torch.save(trainer, "x_opt.pth")
    return trainer


def test_the_optimizers_settings_come_along_unless_a_config_says_otherwise(folder, capsys):
    trained(lr=3e-5, betas=(0.9, 0.95))
    assert run("x_gen.pth", "taken") == 0
    assert "train.learning_rate=3e-05, train.beta2=0.95" in capsys.readouterr().out
    train = load_config("taken/config.yaml").train
    assert (train.learning_rate, train.beta2) == (3e-5, 0.95)
    assert run("x_gen.pth", "kept", "--config", "c.yaml") == 0
    assert "has train.learning_rate=3e-05, train.beta2=0.95; the config's" in (
        capsys.readouterr().out
    )
    assert load_config("kept/config.yaml").train.learning_rate == 1e-4


def test_what_a_run_cannot_hold_is_said(folder, capsys):
    trainer = trained(lr=1e-4, betas=(0.8, 0.999), weight_decay=0.1, amsgrad=True)
    torch.save(trainer | {"scheduler": {"last_epoch": 3}}, "x_opt.pth")
    halves = {
        name: value.half() if name.startswith(PREFIX["sr3"]) else value
        for name, value in state_dict().items()
    }
    torch.save(halves, "x_gen.pth")
    assert run("x_gen.pth", "run", "--config", "c.yaml") == 0
    said = capsys.readouterr().out
    for part in (
        "tensors of float16 become float32",
        "scheduler's state is left out",
        "beta1=0.8",
        "amsgrad's maxima are left out",
        "AdamW's",
    ):
        assert part in said
    template = {path: jax.ShapeDtypeStruct(shape, np.float32) for path, shape in SHAPES.items()}
    params, _ = load_parameters("run", unflatten(template))
    expected = halves["denoise_fn.downs.0.bias"].float().numpy()
    np.testing.assert_array_equal(params["downs"][0]["bias"], expected)


def test_moments_of_another_network_are_refused(folder, capsys):
    torch.save(state_dict(), "x_gen.pth")
    adam = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))])
    adam.param_groups[0]["params"][0].grad = torch.ones(3)
    adam.step()
    trainer = {"iter": 1, "epoch": 0, "scheduler": None, "optimizer": adam.state_dict()}
    torch.save(trainer, "x_opt.pth")
    line = refused(capsys, "x_gen.pth", "r", "--config", "c.yaml")
    assert f"Adam's state is of 1 parameters, expected {len(SHAPES)}" in line


def test_sampling_reads_weights_without_a_step(folder):
    torch.save(state_dict(), "x_gen.pth")
    assert run("x_gen.pth", "run", "--config", "c.yaml") == 0
    template = {path: jax.ShapeDtypeStruct(shape, np.float32) for path, shape in SHAPES.items()}
    params, step = load_parameters("run", unflatten(template))
    assert step == 0
    assert {path: leaf.shape for path, leaf in flatten(params)} == SHAPES
