"""Checkpoints go from PyTorch to a run and back without losing a bit."""

import jax
import numpy as np
import pytest
import torch

from jaxrain import convert
from jaxrain.config import load_config
from jaxrain.training.checkpoint import load_parameters
from jaxrain.training.network import define_network
from model.diffusion import GaussianDiffusion
from model.schedules import make_betas
from model.unet import UNet, UNetConfig
from parity_tests.frameworks import channels_first, channels_last, relative_error
from parity_tests.tolerances import limit

DIALECTS = ("sr3", "climate")
CONFIG = """
data:
  variables: [tp, r]
  levels: [850, 500]
  patch: 16
  store: {folder}/none
model: {{norm_groups: 4}}
diffusion: {{steps: 20, schedule: linear}}
sample: {{tile: 16, overlap: 4}}
"""


def process(dialect, seed=0):
    torch.manual_seed(seed)
    config = UNetConfig(
        dialect=dialect,
        inner_channel=8,
        norm_groups=4,
        channel_mults=(1, 2),
        res_blocks=1,
        attn_res=(8,),
    )
    network = UNet(config, in_channels=4, image_size=16)
    return GaussianDiffusion(network, make_betas("linear", 20), dialect=dialect)


def trained(dialect, folder):
    """A process after three updates with Adam, and its two public files."""
    of = process(dialect)
    adam = torch.optim.Adam(of.parameters(), 1e-3)
    for _ in range(3):
        for parameter in of.parameters():
            parameter.grad = torch.randn_like(parameter)
        adam.step()
    gen, opt = folder / "I3_E1_gen.pth", folder / "I3_E1_opt.pth"
    torch.save(of.state_dict(), gen)
    state = {"epoch": 1, "iter": 3, "scheduler": None, "optimizer": adam.state_dict()}
    torch.save(state, opt)
    (folder / "c.yaml").write_text(CONFIG.format(folder=folder))
    return of, adam


def to(source, target, *words):
    assert convert.main([str(source), str(target), *map(str, words)]) == 0
    return target


def assert_same(ours, theirs):
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        assert ours[name].dtype == value.dtype
        assert torch.equal(ours[name], value), name


def load(path):
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_round_trip_through_every_format_is_exact(dialect, tmp_path):
    of, adam = trained(dialect, tmp_path)
    run = to(tmp_path / "I3_E1_gen.pth", tmp_path / "run", "--config", tmp_path / "c.yaml")
    own = to(run, tmp_path / "own.pth")
    safe = to(to(own, tmp_path / "run2"), tmp_path / "x.safetensors")
    back = to(to(safe, tmp_path / "run3"), tmp_path / "back_gen.pth")
    assert (tmp_path / "run3/config.yaml").read_text().replace("run3", "run") == (
        run / "config.yaml"
    ).read_text()

    assert_same(load(back), of.state_dict())
    process(dialect, seed=1).load_state_dict(load(own)["params"], strict=True)
    fresh = process(dialect, seed=1)
    fresh.load_state_dict(load(back), strict=True)
    read = load(tmp_path / "back_opt.pth")
    assert (read["iter"], read["epoch"]) == (3, 1)
    other = torch.optim.Adam(fresh.parameters(), 1.0)
    other.load_state_dict(read["optimizer"])
    for number, entry in adam.state_dict()["state"].items():
        assert_same(other.state_dict()["state"][number], entry)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_forward_is_the_same_after_conversion(dialect, tmp_path):
    of, _ = trained(dialect, tmp_path)
    run = to(tmp_path / "I3_E1_gen.pth", tmp_path / "run", "--config", tmp_path / "c.yaml")
    config = load_config(run / "config.yaml")
    assert config.model.upsample == ("nearest" if dialect == "sr3" else "bicubic")
    init, apply = define_network(config.model, config.data, 3)
    params, step = load_parameters(run, jax.eval_shape(init, 0), ema=False)
    assert step == 3
    rng = np.random.default_rng(0)
    x, s = rng.normal(size=(2, 4, 16, 24)).astype(np.float32), np.float32([[0.3], [0.9]])
    ours = channels_first(np.asarray(jax.jit(apply)(params, channels_last(x), s)))
    theirs = of.network.eval()(torch.tensor(x), torch.tensor(s)).detach().numpy()
    assert relative_error(ours, theirs) <= limit("forward_float32")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_network_and_schedule_are_read_off_the_tensors(dialect, tmp_path, capsys):
    of, _ = trained(dialect, tmp_path)
    wrapped = {f"module.{name}": value for name, value in of.state_dict().items()}
    torch.save(wrapped, tmp_path / "wrapped_gen.pth")
    run = to(tmp_path / "wrapped_gen.pth", tmp_path / "run")
    config = load_config(run / "config.yaml")
    assert config.model.channel_mults == (1, 2)
    assert config.model.inner_channel == config.model.norm_groups == 8
    assert config.model.attn_res == (64,)  # the second level of the default patch of 128
    assert (config.diffusion.schedule, config.diffusion.steps) == ("linear", 20)
    assert (config.diffusion.start, config.diffusion.end) == (1e-4, 2e-2)
    said = capsys.readouterr().out
    assert "norm_groups=8" in said
    assert "data.patch=128" in said
    assert_same(load(to(run, tmp_path / "again_gen.pth")), of.state_dict())


def test_float64_stays_float64(tmp_path):
    of, _ = trained("sr3", tmp_path)
    torch.save(of.network.double().state_dict(), tmp_path / "network.pth")
    run = to(tmp_path / "network.pth", tmp_path / "run", "--config", tmp_path / "c.yaml")
    params = load(to(run, tmp_path / "own.pth"))["params"]
    for name, value in of.network.state_dict().items():
        assert torch.equal(params[f"denoise_fn.{name}"], value)
