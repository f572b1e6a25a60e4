"""The eight symmetries of the square, for tiles on their way to the network and back.

A network that was trained on turned and mirrored patches has learned the weather from eight sides,
and from each it says something else: members that look from different sides differ as the
network's own errors do. It is the geometric self-ensemble of Lim et al. 2017 (arXiv:1707.02921),
with one side a member instead of the mean of all.
"""

import jax
import jax.numpy as jnp

from jaxrain.pairs.symmetries import COUNT


def side_of(members: jax.Array) -> jax.Array:
    """From which side each member looks, int32 0 to 7; the next member from the next one."""
    return members % COUNT


def turned(tiles: jax.Array, side: jax.Array) -> jax.Array:
    """Tiles as seen from a side.

    Args:
      tiles: [B, P, P, C].
      side: of each, [B]; its bits reverse the rows, reverse the columns and exchange both, in this
        order, as `jaxrain.pairs.symmetries.turned` does.

    Returns:
      [B, P, P, C].
    """
    tiles = jnp.where(_bit(side, 0), tiles[:, ::-1], tiles)
    tiles = jnp.where(_bit(side, 1), tiles[:, :, ::-1], tiles)
    return jnp.where(_bit(side, 2), tiles.swapaxes(1, 2), tiles)


def turned_back(tiles: jax.Array, side: jax.Array) -> jax.Array:
    """The inverse of `turned`, of the same arguments."""
    tiles = jnp.where(_bit(side, 2), tiles.swapaxes(1, 2), tiles)
    tiles = jnp.where(_bit(side, 1), tiles[:, :, ::-1], tiles)
    return jnp.where(_bit(side, 0), tiles[:, ::-1], tiles)


def _bit(side: jax.Array, place: int) -> jax.Array:
    return ((side >> place) & 1)[:, None, None, None] > 0
