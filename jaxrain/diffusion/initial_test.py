import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxrain.diffusion.initial import initialise
from jaxrain.diffusion.layers import Conv, Linear


class Two(nnx.Module):
    def __init__(self):
        self.conv = Conv(16, 24, param_dtype=jnp.float32)
        self.linear = Linear(300, 200, param_dtype=jnp.float32)


def drawn(kind, seed=0):
    network = Two()
    initialise(network, kind, jax.random.key(seed))
    return network


@pytest.mark.parametrize(("kind", "conv_std"), [("kaiming", np.sqrt(2 / 144)), ("normal", 0.02)])
def test_standard_deviation_is_that_of_the_formula(kind, conv_std):
    network = drawn(kind)
    linear_std = np.sqrt(2 / 300) if kind == "kaiming" else 0.02
    # The relative error of a standard deviation from n numbers is 1 / sqrt(2 n).
    assert float(jnp.std(network.conv.kernel[...])) == pytest.approx(conv_std, rel=0.05)
    assert float(jnp.std(network.linear.kernel[...])) == pytest.approx(linear_std, rel=0.02)
    assert not np.any(network.conv.bias[...])


def test_orthogonal_has_orthonormal_columns_or_rows():
    network = drawn("orthogonal")
    tall = network.conv.kernel[...].reshape(144, 24)
    np.testing.assert_allclose(tall.T @ tall, np.eye(24), atol=1e-5)
    linear = network.linear.kernel[...]
    np.testing.assert_allclose(linear.T @ linear, np.eye(200), atol=1e-5)


def test_kernels_are_independent_and_follow_the_key():
    network = drawn("kaiming")
    size = min(network.conv.kernel.size, network.linear.kernel.size)
    pair = np.stack([np.ravel(k[...])[:size] for k in (network.conv.kernel, network.linear.kernel)])
    assert abs(np.corrcoef(pair)[0, 1]) < 4 / np.sqrt(size)
    np.testing.assert_array_equal(network.conv.kernel[...], drawn("kaiming").conv.kernel[...])
    assert np.any(network.conv.kernel[...] != drawn("kaiming", seed=1).conv.kernel[...])
