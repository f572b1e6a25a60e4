"""Fusion: a denoiser of tiles becomes a denoiser of canvases.

At each step the canvas is cut into overlapping tiles, each is denoised, and the estimates of x0
are blended with tapered weights that sum to 1.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxrain.grids.tiling import Lattice, axis_weights

# (tiles x [b, t, t, 1], s [b, 1], item of each [b], corner of each [b, 2]) -> x0_hat [b, t, t, 1]
DenoiseTiles = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]


def fuse(
    denoise_tiles: DenoiseTiles, lattice: Lattice, count: int, batch: int, axis: str | None = None
) -> Callable[[jax.Array, ArrayLike], jax.Array]:
    """Makes a denoiser of canvases from a denoiser of tiles.

    Args:
      denoise_tiles: see `DenoiseTiles`.
      lattice: of the tiles.
      count: canvases denoised together, n.
      batch: at most so many tiles a call, on each device.
      axis: of the mesh (inside `shard_map`) whose devices share the tiles of each call; all of
        them keep the canvas. None: one device works alone.

    Returns:
      denoise(x [n, Hp, Wp, 1], s, scalar or [n, 1]) -> x0_hat [n, Hp, Wp, 1].
    """
    tile, (rows, columns) = lattice.tile, lattice.counts
    taper_y, taper_x = (
        axis_weights(n, tile, lattice.overlap).astype(np.float32) for n in (rows, columns)
    )
    tiles = rows * columns
    sharers = 1 if axis is None else jax.lax.axis_size(axis)
    # Even chunks: a last one that is nearly empty would cost as much as a full one.
    chunks = -(-count * tiles // (batch * sharers))
    share = -(-count * tiles // (chunks * sharers))
    size = share * sharers
    # Spare places of the last chunk repeat the last tile and count for nothing.
    order = np.minimum(np.arange(chunks * size), count * tiles - 1)
    counts = np.arange(chunks * size) < count * tiles
    item, place = np.divmod(order, tiles)
    index = {
        "item": item.astype(np.int32),
        "corner": lattice.corners[place],
        "row": (place // columns).astype(np.int32),
        "column": (place % columns).astype(np.int32),
        "counts": counts.astype(np.float32),
    }
    index = {name: value.reshape(chunks, size, *value.shape[1:]) for name, value in index.items()}

    def denoise(x: jax.Array, s: ArrayLike) -> jax.Array:
        s = jnp.broadcast_to(jnp.asarray(s, x.dtype), (count, 1))

        def chunk(canvas: jax.Array, at: dict[str, jax.Array]) -> tuple[jax.Array, None]:
            own = at
            if axis is not None:
                first = jax.lax.axis_index(axis) * share
                own = {k: jax.lax.dynamic_slice_in_dim(v, first, share) for k, v in at.items()}
            noisy = cut_tiles(x, own["item"], own["corner"], tile)
            x0 = denoise_tiles(noisy, s[own["item"]], own["item"], own["corner"])
            blend = jnp.asarray(taper_y)[own["row"]][:, :, None, None]
            blend = blend * jnp.asarray(taper_x)[own["column"]][:, None, :, None]
            x0 = x0 * blend * own["counts"][:, None, None, None]
            if axis is not None:
                x0 = jax.lax.all_gather(x0, axis, tiled=True)
            return _lay(canvas, x0, at["item"], at["corner"]), None

        return jax.lax.scan(chunk, jnp.zeros_like(x), jax.tree.map(jnp.asarray, index))[0]

    return denoise


def cut_tiles(field: jax.Array, item: jax.Array, corner: jax.Array, tile: int) -> jax.Array:
    """Cuts tiles out of canvases.

    Args:
      field: canvases, [n, Hp, Wp, c].
      item: which canvas each tile is of, [B].
      corner: first row and column of each, [B, 2].
      tile: edge [pixels].

    Returns:
      [B, tile, tile, c].
    """

    def cut(i: jax.Array, at: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(field, (i, *at, 0), (1, tile, tile, field.shape[-1]))[0]

    return jax.vmap(cut)(item, corner)


def _lay(canvas: jax.Array, tiles: jax.Array, item: jax.Array, corner: jax.Array) -> jax.Array:
    """Adds tiles [b, t, t, 1] to canvases [n, Hp, Wp, 1], one after another.

    In order, so that sums of overlapping tiles are the same on every device (a scatter's need not
    be), and in place.
    """

    def add(canvas: jax.Array, this: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        tile, i, at = this
        start = (i, *at, 0)
        there = jax.lax.dynamic_slice(canvas, start, (1, *tile.shape))
        return jax.lax.dynamic_update_slice(canvas, there + tile[None], start), None

    return jax.lax.scan(add, canvas, (tiles, item, corner))[0]
