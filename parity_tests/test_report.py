"""The report finds two networks equal, and says where they part when one is changed."""

import numpy as np
import pytest
from flax import nnx

from jaxrain.diffusion.unet import UNet, UNetConfig
from parity_tests import report
from parity_tests.frameworks import parameters

CONFIG = UNetConfig(
    inner_channel=8, channel_mults=(1, 2), res_blocks=1, norm_groups=4, attn_res=(8,), patchify=2
)


@pytest.fixture
def traces():
    network = UNet(CONFIG, in_channels=3, image_size=16, param_dtype=np.float64, rngs=nnx.Rngs(0))
    params = parameters(network)
    x = np.random.default_rng(0).normal(size=(2, 3, 16, 16))
    s = np.array([[0.2], [0.9]])
    ours = report.jax_trace(CONFIG, params, 16, x, s)
    same = report.torch_trace(CONFIG, params, 16, x, s)
    params["mid"][0]["res_block"]["block2"]["conv"]["bias"] += 1e-6
    return ours, same, report.torch_trace(CONFIG, params, 16, x, s)


def test_equal_networks_agree_at_every_layer(traces, capsys):
    ours, same, _ = traces
    assert report._print("float64", ours, same, 1e-12) == 0
    assert "the same" in capsys.readouterr().out


def test_the_first_layer_where_they_part_is_named(traces, capsys):
    ours, _, changed = traces
    assert report._print("float64", ours, changed, 1e-12) == 1
    assert "part first at mid.0" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys):
    assert report.main([str(tmp_path / "no.pth")]) == 2
    assert "could not be converted" in capsys.readouterr().err
