import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.groupnorm import EPS, group_norm


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def definition(x, scale, bias, groups, swish):
    batch, height, width, channels = x.shape
    cells = x.reshape(batch, height, width, groups, channels // groups)
    mean = cells.mean((1, 2, 4), keepdims=True)
    variance = ((cells - mean) ** 2).mean((1, 2, 4), keepdims=True)
    z = ((cells - mean) / jnp.sqrt(variance + EPS)).reshape(x.shape) * scale + bias
    return z * jax.nn.sigmoid(z) if swish else z


def numbers(seed=0, shape=(2, 6, 5, 8), offset=0.0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = (
        offset
        + rng.normal(size=shape) * rng.uniform(0.5, 3, shape[-1])
        + rng.normal(size=shape[-1])
    )
    return tuple(
        a.astype(dtype) for a in (x, rng.normal(size=shape[-1]), rng.normal(size=shape[-1]))
    )


@pytest.mark.parametrize("swish", [False, True])
@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.usefixtures("float64")
def test_value_and_gradients_are_those_of_the_definition(groups, swish):
    x, scale, bias = numbers()
    weight = np.random.default_rng(1).normal(size=x.shape)

    def total(function):
        return lambda *args: jnp.sum(weight * jnp.sin(function(*args, groups, swish)))

    value, grads = jax.value_and_grad(total(group_norm), (0, 1, 2))(x, scale, bias)
    expected, expected_grads = jax.value_and_grad(total(definition), (0, 1, 2))(x, scale, bias)
    assert value == pytest.approx(float(expected), rel=1e-13)
    for got, wanted in zip(grads, expected_grads, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-13 * np.max(np.abs(wanted)))


def test_without_scale_every_group_has_mean_0_and_variance_1():
    x, _, _ = numbers(dtype=np.float32)
    y = np.asarray(group_norm(x, np.ones(8, "f4"), np.zeros(8, "f4"), 4)).reshape(2, 30, 4, 2)
    np.testing.assert_allclose(y.mean((1, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var((1, 3)), 1, rtol=1e-4)


def test_float32_keeps_its_digits_far_from_zero():
    # The sum of squares less the squared mean would leave no digit of a variance of 1 at 1e4.
    x, scale, bias = numbers(offset=1e4, dtype=np.float32)
    wide = tuple(a.astype(np.float64) for a in (x, scale, bias))
    with jax.enable_x64(True):
        expected = definition(*map(jnp.asarray, wide), 4, True)
    got = group_norm(x, scale, bias, 4, True)
    assert np.max(np.abs(got - np.asarray(expected))) < 5e-3


def test_bfloat16_has_statistics_in_float32():
    x, scale, bias = numbers(dtype=np.float32)
    rounded = jnp.asarray(x, jnp.bfloat16)
    y = group_norm(rounded, scale, bias, 2)
    assert y.dtype == jnp.bfloat16
    expected = group_norm(rounded.astype(jnp.float32), scale, bias, 2)
    np.testing.assert_array_equal(y, expected.astype(jnp.bfloat16))


def test_groups_must_divide_channels():
    with pytest.raises(ValueError, match="8 channels cannot be split into 3"):
        group_norm(*numbers(dtype=np.float32), 3)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA's choices on GPUs are others")
def test_there_and_back_writes_three_arrays_as_large_as_its_input():
    def there_and_back(x, scale, bias, dy):
        y, pull = jax.vjp(lambda *args: group_norm(*args, 8, True), x, scale, bias)
        return y, pull(dy)

    x, scale = jnp.ones((4, 32, 32, 32)), jnp.ones(32)
    program = jax.jit(there_and_back).lower(x, scale, scale, x).compile().as_text()
    entry = program[program.index("ENTRY") :]
    # The result, its gradient after the swish, the input's gradient; no sigmoids kept between.
    assert len(re.findall(r"= f32\[4,32,32,32\]\S* fusion\(", entry)) == 3
