import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.ensembles.fusion import fuse
from jaxrain.grids.tiling import Lattice

LATTICE = Lattice((37, 50), tile=16, overlap=6)
N = 3


def canvases(seed=0):
    return jax.random.normal(jax.random.key(seed), (N, *LATTICE.canvas, 1))


def blur(x, s, item, corner):
    """Looks at its neighbours, so that tiles disagree near their edges."""
    return s[:, :, None, None] * (x + jnp.roll(x, 1, 1) + jnp.roll(x, 1, 2)) / 3


@pytest.mark.parametrize("batch", [1, 5, 16, 1000])
def test_a_pointwise_denoiser_does_not_notice_tiles(batch):
    x = canvases()
    denoise = fuse(lambda x, s, item, corner: 2 * x + 1, LATTICE, N, batch)
    np.testing.assert_allclose(jax.jit(denoise)(x, 0.5), 2 * x + 1, atol=2e-6)


def test_every_tile_knows_its_place_and_its_canvas():
    y = jnp.arange(LATTICE.tile)[None, :, None]
    x = jnp.arange(LATTICE.tile)[None, None, :]

    def coordinates(noisy, s, item, corner):
        row, column = corner[:, :1, None] + y, corner[:, 1:, None] + x
        return (item[:, None, None] * 1e4 + row * 1e2 + column)[..., None].astype(jnp.float32)

    height, width = LATTICE.canvas
    expected = np.add.outer(np.arange(N) * 1e4, np.add.outer(np.arange(height) * 1e2, range(width)))
    fused = fuse(coordinates, LATTICE, N, 7)(canvases(), 1.0)
    np.testing.assert_allclose(fused[..., 0], expected, rtol=1e-6)


def test_the_batch_changes_rounding_alone():
    x = canvases()
    one, many = (jax.jit(fuse(blur, LATTICE, N, batch))(x, 0.7) for batch in (1, 64))
    np.testing.assert_allclose(one, many, atol=1e-6)


def test_canvases_do_not_see_each_other():
    x = canvases()
    together = fuse(blur, LATTICE, N, 4)(x, 0.7)
    alone = fuse(blur, LATTICE, 1, 4)(x[1:2], 0.7)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-6)


def test_each_canvas_may_have_its_own_noise_level():
    x = canvases()
    s = jnp.asarray([[0.1], [0.5], [1.0]])
    fused = fuse(blur, LATTICE, N, 4)(x, s)
    unit = fuse(blur, LATTICE, N, 4)(x, 1.0)
    np.testing.assert_allclose(fused, s[:, :, None, None] * unit, atol=1e-6)


def test_one_tile_is_the_denoiser_itself():
    lattice = Lattice((10, 16), 16, 4)
    x = jax.random.normal(jax.random.key(1), (2, 16, 16, 1))
    s = jnp.full((2, 1), 0.3)
    np.testing.assert_allclose(fuse(blur, lattice, 2, 8)(x, s), blur(x, s, None, None), atol=1e-7)
