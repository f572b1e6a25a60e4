import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxrain.diffusion.unet import UNet, UNetConfig

SMALL = {"inner_channel": 4, "norm_groups": 2, "channel_mults": (1, 2), "res_blocks": 1}


def build(in_channels=3, image_size=16, dtype=None, **settings):
    config = UNetConfig(**SMALL | settings)
    rngs = nnx.Rngs(0)
    return UNet(config, in_channels=in_channels, image_size=image_size, dtype=dtype, rngs=rngs)


def numbers(shape=(2, 8, 12, 3), seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype("f4"), rng.uniform(size=(shape[0], 1)).astype("f4")


apply = nnx.jit(lambda network, x, s: network(x, s))


def test_the_source_network_has_61_million_parameters():
    network = nnx.eval_shape(
        lambda: UNet(UNetConfig(), in_channels=5, image_size=128, rngs=nnx.Rngs(0))
    )
    sizes = [p.size for p in jax.tree.leaves(nnx.state(network, nnx.Param))]
    assert 60e6 < sum(sizes) < 63e6
    assert network.config.divisor == 8


@pytest.mark.parametrize(
    ("patchify", "attn_res", "attended"),
    [(1, (16,), [True, False]), (1, (8,), [False, True]), (2, (8,), [True, False])],
)
def test_attention_sits_where_patch_over_patchify_over_2_to_the_level_says(
    patchify, attn_res, attended
):
    network = nnx.eval_shape(lambda: build(patchify=patchify, attn_res=attn_res))
    downs = [layer.attn is not None for layer in network.downs if hasattr(layer, "attn")]
    ups = [layer.attn is not None for layer in network.ups if hasattr(layer, "attn")]
    assert downs == attended
    assert ups == [attended[1]] * 2 + [attended[0]] * 2
    assert [layer.attn is not None for layer in network.mid] == [True, False]


@pytest.mark.parametrize(
    "settings",
    [{}, {"patchify": 2, "embedding": "log_snr", "upsample": "bicubic"}],
    ids=["sr3", "all options"],
)
def test_examples_do_not_see_each_other_but_see_their_level(settings):
    network = build(**settings)
    x, s = numbers()
    both = apply(network, x, s)
    assert both.shape == (2, 8, 12, 1)
    one = apply(network, x[1:].repeat(2, 0), s[1:].repeat(2, 0))
    np.testing.assert_allclose(one[0], both[1], atol=1e-5)
    np.testing.assert_array_equal(one[0], one[1])
    assert np.max(np.abs(apply(network, x, s[::-1].copy()) - both)) > 1e-3


def test_bfloat16_is_near_float32_and_keeps_parameters_and_output_in_float32():
    x, s = numbers()
    full, half = build(), build(dtype=jnp.bfloat16)
    expected, got = apply(full, x, s), apply(half, x, s)
    assert got.dtype == jnp.float32
    assert {p.dtype for p in jax.tree.leaves(nnx.state(half, nnx.Param))} == {np.dtype("float32")}
    error = np.max(np.abs(got - expected)) / np.max(np.abs(expected))
    assert 1e-4 < error < 0.1  # bfloat16 has 8 bits


def test_dropout_acts_only_where_asked():
    network = build(dropout=0.5)
    x, s = numbers()

    @nnx.jit
    def drop(network, seed):
        return network(x, s, deterministic=False, rngs=nnx.Rngs(dropout=jax.random.key(seed)))

    assert np.any(drop(network, 0) != drop(network, 1))
    np.testing.assert_array_equal(drop(network, 0), drop(network, 0))
    np.testing.assert_array_equal(apply(network, x, s), apply(network, x, s))
    with pytest.raises(ValueError, match="dropout needs rngs"):
        network(x, s, deterministic=False)


def test_wrong_sizes_are_named():
    network = build()
    x, s = numbers((2, 8, 11, 3))
    with pytest.raises(ValueError, match="8 x 11, expected multiples of 2"):
        network(x, s)
    with pytest.raises(ValueError, match="2 channels, the network takes 3"):
        network(x[..., :2], s)
    with pytest.raises(ValueError, match="multiple of norm_groups 32"):
        UNetConfig(inner_channel=40)
    with pytest.raises(ValueError, match="channel_mults is empty"):
        UNetConfig(channel_mults=())
