import subprocess
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from jaxrain.training.mesh import create_mesh, put_batch, put_state
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import compiler_options, create_state, make_train_step

CONFIG = TrainConfig(batch_size=16, clip_norm=None)
KEY, RATE = jax.random.key(1), np.float32(0.05)


def line_loss(params, batch, key):
    """Mean squared error of a line, with noise in the labels drawn from the key."""
    noise = 1e-3 * jax.random.normal(key, batch["y"].shape)
    error = batch["x"] @ params["w"] + params["b"] - batch["y"] - noise
    return jnp.mean(error**2), {"noise": noise[0, 0]}


def line_batch(seed):
    x = np.random.default_rng(seed).standard_normal((16, 3)).astype(np.float32)
    return {"x": x, "y": x @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 3.0}


def line_state():
    return create_state(CONFIG, {"w": jnp.zeros((3, 1)), "b": jnp.zeros(1)})


def run(mesh, steps, state=None):
    step = make_train_step(line_loss, CONFIG, mesh)
    state = put_state(line_state() if state is None else state, mesh)
    metrics = []
    for n in range(int(state.step), steps):
        state, further = step(state, put_batch(line_batch(n), mesh), KEY, RATE)
        metrics.append(jax.device_get(further))
    return state, metrics


def test_a_line_is_learnt():
    state, metrics = run(create_mesh(1), 400)
    np.testing.assert_allclose(state.params["w"][:, 0], [1.0, -2.0, 0.5], atol=0.02)
    np.testing.assert_allclose(state.params["b"], 3.0, atol=0.02)
    assert metrics[-1]["loss"] < 1e-3 < metrics[0]["loss"]
    assert int(state.step) == 400


def test_average_follows_its_recurrence():
    state, _ = run(create_mesh(1), 1)
    first = jax.device_get(state)
    # At update 0 the decay is 1 / 10 and the average starts at the initial weights, which are 0.
    np.testing.assert_allclose(first.ema["w"], 0.9 * first.params["w"], rtol=1e-6)


def test_each_step_draws_from_the_key_folded_with_its_number():
    _, metrics = run(create_mesh(1), 3)
    for n, further in enumerate(metrics):
        key = jax.random.fold_in(KEY, n)
        np.testing.assert_allclose(
            further["noise"], 1e-3 * jax.random.normal(key, (16, 1))[0, 0], rtol=1e-6
        )


def test_going_on_halfway_gives_the_same_bits():
    mesh = create_mesh(1)
    whole, _ = run(mesh, 20)
    half, _ = run(mesh, 11)
    again, _ = run(mesh, 20, state=jax.device_get(half))
    jax.tree.map(np.testing.assert_array_equal, whole, again)


def test_metrics_are_of_the_update_that_was_done():
    state, metrics = run(create_mesh(1), 1)
    assert metrics[0]["param_norm"] == np.float32(
        np.sqrt(sum(float(jnp.sum(x.astype(jnp.float32) ** 2)) for x in state.params.values()))
    )


EIGHT_AGAINST_ONE = """
import jax
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
import importlib.util, sys
import numpy as np
spec = importlib.util.spec_from_file_location("state_test", sys.argv[1])
lines = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lines)
lines.line_loss = lambda params, batch, key: (
    jax.numpy.mean((batch["x"] @ params["w"] - batch["y"]) ** 2), {})
one, one_metrics = lines.run(lines.create_mesh(1), 20)
eight, eight_metrics = lines.run(lines.create_mesh(8), 20)
assert len(eight.params["w"].sharding.device_set) == 8
for a, b in zip(jax.tree.leaves((one, one_metrics)), jax.tree.leaves((eight, eight_metrics))):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
"""


def test_eight_devices_learn_what_one_learns():
    subprocess.run([sys.executable, "-c", EIGHT_AGAINST_ONE, __file__], check=True, timeout=120)


def test_gpus_that_share_a_step_send_while_they_compute():
    gpus = SimpleNamespace(size=2, devices=np.array([SimpleNamespace(platform="gpu")] * 2))
    asked = compiler_options(gpus)
    assert asked == {"xla_gpu_enable_latency_hiding_scheduler": True}
    # This XLA knows the option: it refuses others.
    assert jax.jit(lambda x: x + 1, compiler_options=asked)(1) == 2
    assert compiler_options(SimpleNamespace(size=1, devices=gpus.devices[:1])) == {}
    assert compiler_options(create_mesh(1)) == {}
