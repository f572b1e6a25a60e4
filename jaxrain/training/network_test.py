import dataclasses
import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.process import DiffusionConfig
from jaxrain.diffusion.unet import UNetConfig
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.scaling import Scaling, decode_target
from jaxrain.training.network import define_network, make_loss
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import create_state, make_train_step

MODEL = UNetConfig(inner_channel=4, channel_mults=(1,), res_blocks=1, norm_groups=2, attn_res=())
DATA = DataConfig(variables=["t", "tp"], levels=[850], patch=8)
SCALING = Scaling(
    channels=("t850", "tp"),
    difference=True,
    bend="log1p",
    scale_mm=0.5,
    rain_min_mm=0.0,
    rain_max_mm=50.0,
    target_std=0.1,
    low=np.array([250.0, 0.0], np.float32),
    high=np.array([300.0, 10.0], np.float32),
)


def example_batch(size=8):
    rng = np.random.default_rng(0)
    coarse = np.stack([rng.uniform(250, 300, (size, 2, 2)), rng.gamma(0.5, 4, (size, 2, 2))], 1)
    fine = rng.gamma(0.3, 5.0, (size, 8, 8))
    fine[:, :2] = np.nan
    towards = np.linspace(0, 1, 8)
    weights = np.broadcast_to(np.stack([1 - towards, towards], 1), (size, 1, 8, 2))
    batch = {"fine": fine, "coarse": coarse, "weights_y": weights, "weights_x": weights}
    return {name: np.asarray(values, np.float32) for name, values in batch.items()}


def test_weights_are_a_function_of_the_seed():
    init, _ = define_network(MODEL, DATA, 2)
    jax.tree.map(np.testing.assert_array_equal, init(3), init(3))
    assert any(
        np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (init(3), init(4))), strict=True)
    )


def test_shapes_need_no_arithmetic():
    init, apply = define_network(MODEL, DATA, 2)
    weights = jax.eval_shape(init, 0)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {np.dtype(np.float32)}
    x, s = jax.ShapeDtypeStruct((1, 16, 8, 3), np.float32), jax.ShapeDtypeStruct((1, 1), np.float32)
    assert jax.eval_shape(apply, weights, x, s).shape == (1, 16, 8, 1)


def test_dropout_is_there_with_a_key_only():
    init, apply = define_network(dataclasses.replace(MODEL, dropout=0.2), DATA, 2)
    apply = jax.jit(apply)
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 3))
    s = jnp.full((1, 1), 0.5)
    weights = init(0)
    calm, again = apply(weights, x, s), apply(weights, x, s)
    np.testing.assert_array_equal(calm, again)
    assert np.any(apply(weights, x, s, jax.random.key(0)) != calm)
    assert np.any(
        apply(weights, x, s, jax.random.key(0)) != apply(weights, x, s, jax.random.key(1))
    )


def test_bfloat16_keeps_weights_and_output_in_float32_and_is_near():
    init, apply = define_network(MODEL, DATA, 2)
    _, rounded = define_network(MODEL, DATA, 2, "bfloat16")
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    s = jnp.full((2, 1), 0.5)
    exact, near = jax.jit(apply)(init(0), x, s), jax.jit(rounded)(init(0), x, s)
    assert near.dtype == jnp.float32
    error = float(jnp.linalg.norm(near - exact) / jnp.linalg.norm(exact))
    assert 1e-6 < error < 0.1


@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_a_network_that_says_nothing_has_the_variance_of_its_target_as_loss(prediction):
    def nothing(params, x, s, key):
        return 0.0 * x[..., :1]

    loss_fn = make_loss(nothing, DiffusionConfig(prediction=prediction), SCALING)
    batch = example_batch(64)
    if prediction == "v":  # v = s eps - sqrt(1 - s^2) x0, and here x0 = 0 within rounding
        batch["fine"] = np.einsum(
            "bpk,bkl,bql->bpq",
            batch["weights_y"][:, 0],
            batch["coarse"][:, 1],
            batch["weights_x"][:, 0],
        ).astype(np.float32)
    loss, further = loss_fn({}, batch, jax.random.key(0))
    known = np.isfinite(batch["fine"]).mean()
    np.testing.assert_allclose(further["known"], known, rtol=1e-6)
    if prediction == "eps":
        np.testing.assert_allclose(loss, 1.0, atol=0.1)
    else:
        assert 0.2 < loss < 0.8  # mean of s^2 over the cosine schedule is a half


@pytest.mark.parametrize("left", [False, True])
def test_crps_of_amounts_sees_the_rain_that_members_stand_for(left):
    def says(value, weights, x, s, key=None):
        return value + 0.0 * x[..., :1]

    # In all, a member is x0 = 0.7 everywhere: by itself, or on top of what a regression expects.
    network = partial(says, 0.3 if left else 0.7)
    regression = partial(says, 0.4) if left else None
    batch = example_batch(2)
    batch["fine"][:] = 6.0  # equal members: blocks of even fields are as far off as points

    def loss(**settings):
        config = DiffusionConfig(objective="crps", prediction="x0", **settings)
        loss_fn = make_loss(network, config, SCALING, regression)
        return float(loss_fn({}, batch, jax.random.key(0))[0])

    batch["coarse"][:, 1] = 2.0
    rain = decode_target(SCALING, jnp.float32(0.7), jnp.float32(2.0))
    found = loss(crps_amounts=0.5) - loss()
    assert found == pytest.approx(0.5 * abs(float(rain) - 6.0), rel=1e-4)


def test_what_is_missing_moves_no_weight():
    init, apply = define_network(MODEL, DATA, 2)
    loss_fn = make_loss(apply, DiffusionConfig(), SCALING)
    batch = example_batch(4)
    other = {name: values.copy() for name, values in batch.items()}
    batch["fine"][:, 4:] = np.nan
    other["fine"][:, 4:] = np.nan
    other["fine"][:, :2] = np.nan
    gradient = jax.jit(jax.grad(lambda p, b: loss_fn(p, b, jax.random.key(0))[0]))
    grads = gradient(init(0), batch)
    jax.tree.map(np.testing.assert_array_equal, grads, gradient(init(0), other))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


def three_steps(mesh):
    """Metrics and first moments (averaged gradients) after 3 updates of the real network."""
    from jaxrain.training.mesh import put_batch, put_state

    config = TrainConfig(batch_size=8)
    init, apply = define_network(MODEL, DATA, 2)
    step = make_train_step(make_loss(apply, DiffusionConfig(), SCALING), config, mesh)
    state = put_state(create_state(config, init(0)), mesh)
    batch, seen = put_batch(example_batch(), mesh), []
    for _ in range(3):
        state, metrics = step(state, batch, jax.random.key(0), np.float32(1e-4))
        seen.append(jax.device_get(metrics))
    return seen, jax.device_get(state.opt_state[1].mu)


EIGHT_AGAINST_ONE = """
import importlib.util, sys
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 8)
spec = importlib.util.spec_from_file_location("network_test", sys.argv[1])
test = importlib.util.module_from_spec(spec)
spec.loader.exec_module(test)
from jaxrain.training.mesh import create_mesh
one, eight = test.three_steps(create_mesh(1)), test.three_steps(create_mesh(8))
for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
    np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5 * max(np.abs(a).max(), 1e-3))
"""


def test_eight_devices_compute_what_one_computes():
    # What is compared does not need fast machine code, which takes long to make.
    env = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    words = [sys.executable, "-c", EIGHT_AGAINST_ONE, __file__]
    subprocess.run(words, check=True, timeout=300, env=env)
