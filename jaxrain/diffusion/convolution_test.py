import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.convolution import convolve


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("shape", [(6, 8), (5, 7)])
def test_is_the_sum_over_a_window_padded_on_every_side(size, stride, shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    kernel = rng.normal(size=(size, size, 3, 4)).astype(np.float32)
    pad = size // 2
    padded = np.pad(x.astype(np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height, width = -(-shape[0] // stride), -(-shape[1] // stride)
    expected = np.zeros((2, height, width, 4))
    for i in range(height):
        for j in range(width):
            row, column = i * stride, j * stride
            window = padded[:, row : row + size, column : column + size]
            expected[:, i, j] = np.einsum("bhwi,hwio->bo", window, kernel)
    np.testing.assert_allclose(convolve(x, kernel, stride=stride), expected, atol=1e-5)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="a choice made for CPUs alone")
def test_no_convolution_on_cpu_is_done_by_ynnpack():
    def gradients(x, kernel):
        return jax.grad(lambda x, kernel: jnp.sum(convolve(x, kernel) ** 2), (0, 1))(x, kernel)

    x, kernel = jnp.ones((2, 16, 16, 32)), jnp.ones((3, 3, 32, 32))
    program = jax.jit(gradients).lower(x, kernel).compile().as_text()
    assert program.count(" convolution(") == 3
    assert "ynn_fusion" not in program
