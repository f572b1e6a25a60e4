import math

import numpy as np
import pytest

from jaxrain.diffusion.resample import depth_to_space, space_to_depth, upsample


def cubic(x, a=-0.75):
    """Keys' kernel, from its definition."""
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def bicubic_matrix(length):
    """[2 n, n]: output k lies at (k + 1/2) / 2 - 1/2; neighbours beyond the edge are the edge."""
    matrix = np.zeros((2 * length, length))
    for k in range(2 * length):
        place = (k + 0.5) / 2 - 0.5
        for i in range(math.floor(place) - 1, math.floor(place) + 3):
            matrix[k, min(max(i, 0), length - 1)] += cubic(place - i)
    return matrix


def test_bicubic_is_the_kernel_at_half_pixel_centres():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    expected = np.einsum("ph,qw,bhwc->bpqc", bicubic_matrix(5), bicubic_matrix(4), x)
    np.testing.assert_allclose(upsample(x, "bicubic"), expected, atol=1e-6)


def test_bicubic_keeps_constants_also_at_edges():
    constant = np.full((1, 3, 2, 1), 0.7, np.float32)
    np.testing.assert_allclose(upsample(constant, "bicubic"), 0.7, rtol=3e-7)


def test_nearest_repeats():
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(
        upsample(x, "nearest")[0, :, :, 0],
        [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5], [3, 3, 4, 4, 5, 5]],
    )


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_space_to_depth_and_back(factor):
    x = np.random.default_rng(0).normal(size=(2, 6, 12, 5))
    deep = np.asarray(space_to_depth(x, factor))
    assert deep.shape == (2, 6 // factor, 12 // factor, 5 * factor**2)
    # Channel c f^2 + i f + j of a cell is channel c at its row i, column j.
    c, i, j = 3, factor - 1, 0
    np.testing.assert_array_equal(
        deep[:, 1, 0, c * factor**2 + i * factor + j], x[:, factor + i, j, c]
    )
    np.testing.assert_array_equal(depth_to_space(deep, factor), x)
