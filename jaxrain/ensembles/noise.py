"""White noise that belongs to pixels: a function of (seed, member, hour, step, global pixel).

It is made in fixed blocks anchored to the area's grid, each from its own key, and cut to the
window asked for. So the same pixel of the same member and hour gets the same noise whatever the
window, the tiling, the batch or the device, and any one member and hour can be made again alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK = 64  # edge of a block [pixels]; part of what defines a sample


def minutes_since_epoch(times: ArrayLike) -> NDArray[np.int32]:
    """Whole minutes from 1970-01-01 00:00 UTC to each `datetime64`, the hour's name in a key."""
    minutes = np.asarray(times, "datetime64[ns]").astype("datetime64[m]").astype(np.int64)
    return minutes.astype(np.int32)


def white_noise(
    seed: jax.Array,
    members: jax.Array,
    minutes: jax.Array,
    step: jax.Array,
    origin: jax.Array,
    shape: tuple[int, int],
) -> jax.Array:
    """Standard normal noise of one window, for several members and hours at once.

    Args:
      seed: the ensemble's seed, uint32 scalar.
      members: number of each member, counted from 0, int32 [n].
      minutes: valid hour of each, as `minutes_since_epoch` gives it, int32 [n].
      step: which draw of the chain (0 the initial one), int32 scalar.
      origin: row and column of the window's first pixel in the area's grid, int32 [2], or each
        field's own, [n, 2].
      shape: (height, width) of the window [pixels], static.

    Returns:
      float32 [n, height, width].
    """
    height, width = shape
    # One block more than fit, since the window may start anywhere inside the first.
    rows, columns = (-(-(size - 1) // BLOCK) + 1 for size in shape)
    root = jax.random.key(seed, impl="threefry2x32")

    def one(member: jax.Array, minute: jax.Array, origin: jax.Array) -> jax.Array:
        first = origin // BLOCK

        def block(row: jax.Array, column: jax.Array) -> jax.Array:
            name = jnp.stack(
                [part.astype(jnp.uint32) for part in (member, minute, step, row, column)]
            )
            # A loop, because five hashes in a row take seconds to compile.
            key, _ = jax.lax.scan(
                lambda key, part: (jax.random.fold_in(key, part), None), root, name
            )
            return jax.random.normal(key, (BLOCK, BLOCK), jnp.float32)

        in_row = jax.vmap(block, in_axes=(None, 0))
        blocks = jax.vmap(in_row, in_axes=(0, None))(
            first[0] + jnp.arange(rows), first[1] + jnp.arange(columns)
        )  # [rows, columns, BLOCK, BLOCK]
        field = blocks.transpose(0, 2, 1, 3).reshape(rows * BLOCK, columns * BLOCK)
        return jax.lax.dynamic_slice(field, tuple(origin % BLOCK), (height, width))

    return jax.vmap(one)(members, minutes, jnp.broadcast_to(origin, (len(members), 2)))
