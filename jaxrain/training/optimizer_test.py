import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrain.training.optimizer import (
    create_optimizer,
    ema_decay,
    learning_rate,
    update_ema,
)
from jaxrain.training.settings import TrainConfig


def test_rate_rises_linearly_then_follows_half_a_cosine():
    config = TrainConfig(steps=1000, warmup_steps=100, learning_rate=2.0, final_learning_rate=0.1)
    rate = [learning_rate(config, step) for step in range(1001)]
    assert 0 < rate[0] < 0.03
    np.testing.assert_allclose(rate[50] - rate[0], (rate[100] - rate[0]) / 2)
    np.testing.assert_allclose(rate[100], 2.0)
    np.testing.assert_allclose(rate[550], (2.0 + 0.2) / 2)  # halfway down
    np.testing.assert_allclose(rate[1000], 0.2)


def test_rate_is_that_of_optax():
    config = TrainConfig(steps=50, warmup_steps=5, learning_rate=0.3, final_learning_rate=0.2)
    theirs = optax.warmup_cosine_decay_schedule(0.3 / 6, 0.3, 5, 50, 0.06)
    for step in range(60):
        np.testing.assert_allclose(learning_rate(config, step), theirs(step), rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 5, 100])
def test_a_short_run_has_a_short_warm_up(steps):
    rates = [learning_rate(TrainConfig(steps=steps), step) for step in range(steps)]
    assert np.argmax(rates) <= steps // 10
    assert min(rates) > 0


def test_first_update_of_adam_is_the_sign():
    config = TrainConfig(clip_norm=None)
    optimizer = create_optimizer(config)
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    grads = {"kernel": jnp.array([[3.0, -2.0], [1.0, -5.0]]), "bias": jnp.array([1.0, -1.0])}
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    for name, update in updates.items():
        np.testing.assert_allclose(update, jnp.sign(grads[name]), rtol=1e-5)


def test_decay_is_of_kernels_alone():
    config = TrainConfig(weight_decay=0.5, clip_norm=None)
    optimizer = create_optimizer(config)
    params = {"kernel": jnp.full((2, 2), 4.0), "bias": jnp.full(2, 4.0)}
    updates, _ = optimizer.update(
        jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params
    )
    np.testing.assert_allclose(updates["kernel"], 0.5 * 4.0, rtol=1e-6)
    np.testing.assert_array_equal(updates["bias"], 0.0)


def test_clipping_bounds_the_global_norm():
    config = TrainConfig(clip_norm=1.0)
    optimizer = create_optimizer(config)
    params = {"a": jnp.zeros((3, 3)), "b": jnp.zeros((4, 4))}
    grads = jax.tree.map(lambda x: jnp.full_like(x, 100.0), params)
    _, state = optimizer.update(grads, optimizer.init(params), params)
    first_moments = [leaf for leaf in jax.tree.leaves(state) if leaf.ndim == 2][:2]
    norm = np.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in first_moments))
    np.testing.assert_allclose(norm, 0.1, rtol=1e-5)  # 1 - beta1 of a gradient of norm 1


def test_average_of_constant_weights_is_the_constant():
    ema = {"w": jnp.full(3, 0.7)}
    np.testing.assert_array_equal(update_ema(ema, ema, jnp.float32(0.9))["w"], ema["w"])


def test_ramped_average_of_a_line_lags_by_about_a_tenth():
    # Weights that grow as w = n: with decay (1 + n) / (10 + n) the average lags by n / 10.
    config = TrainConfig(ema_decay=0.9999)
    ema = jnp.float32(0)
    for n in range(500):
        ema = update_ema(ema, jnp.float32(n), ema_decay(config, n))
    np.testing.assert_allclose(ema, 0.9 * 500, rtol=0.01)


def test_decay_ends_at_the_configured_one():
    assert ema_decay(TrainConfig(ema_decay=0.9999), 10**7) == jnp.float32(0.9999)
    assert ema_decay(TrainConfig(ema_decay=0.0), 100) == 0
