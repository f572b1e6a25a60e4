"""Members in one step from pure noise, learned by a proper score of two of them.

The fair CRPS of single points leaves a field's texture free; that of means over blocks beside it
asks for the right variability at each scale (as in FGN, Alet et al. 2025, arXiv:2506.10772, and
AIFS-CRPS, Lang et al. 2024, arXiv:2412.15832, which score points alone), and that of increments,
how much such means differ from their neighbours, for the right roughness. Each is proper: on
average the least score is that of members drawn as truth is.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array
from jax.lax import slice_in_dim

# Sides of the blocks whose means are scored, in points; each counts alike.
SCALES = (1, 4, 16)
# Sides of the blocks whose differences from the next one down and the next one right are scored.
INCREMENTS = (1, 2, 4, 8)


def generate(
    network: Callable[[Array, Array], Array], condition: Array, noise: Array, prediction: str
) -> Array:
    """A member: what a denoiser says of pure noise, x0 [B, H, W, 1].

    Args:
      network: (input [B, H, W, C + 1], s [B, 1]) -> [B, H, W, 1].
      condition: [B, H, W, C].
      noise: standard normal, [B, H, W, 1].
      prediction: v or x0. Of pure noise v is -x0; eps says nothing of x0.
    """
    s = jnp.zeros((len(noise), 1), noise.dtype)
    output = network(jnp.concatenate([condition, noise], -1), s)
    return -output if prediction == "v" else output


def fair_crps_of_two(
    first: Array, second: Array, x0: Array, mask: Array, increments: float = 0.0
) -> Array:
    """Fair CRPS of two members, of points and of means over blocks, summed over known points.

    (|a - y| + |b - y| - |a - b|) / 2, in which no third member's absence is felt (Ferro 2014,
    doi:10.1002/qj.2270). A block's mean is over its known points, and it counts as many.

    Args:
      first, second: members, [B, H, W, 1].
      x0: truth, the same shape; any number where mask is 0.
      mask: the same shape, 1 where x0 is known.
      increments: weight of the differences between neighbouring blocks, beside all else.

    Returns:
      [B], the mean over SCALES, and `increments` times that over INCREMENTS and both directions,
      where a difference counts as many points as one of its blocks, if both are known whole.
    """
    known = mask > 0
    total = jnp.zeros(len(x0), x0.dtype)
    for side in SCALES:
        means, counts = _block_means(known, (first, second, x0), side)
        total += jnp.sum(_score(*means) * counts, (1, 2)) / len(SCALES)
    for side in INCREMENTS if increments else ():
        means, counts = _block_means(known, (first, second, x0), side)
        whole = counts == side * side
        for axis in (1, 2):
            steps = (jnp.diff(mean, axis=axis) for mean in means)
            both = slice_in_dim(whole, 0, -1, axis=axis) & slice_in_dim(whole, 1, None, axis=axis)
            points = jnp.sum(jnp.where(both, _score(*steps), 0), (1, 2)) * (side * side)
            total += increments * points / (2 * len(INCREMENTS))
    return total


def _score(a: Array, b: Array, y: Array) -> Array:
    return (jnp.abs(a - y) + jnp.abs(b - y) - jnp.abs(a - b)) / 2


def _block_means(
    known: Array, fields: tuple[Array, ...], side: int
) -> tuple[tuple[Array, ...], Array]:
    """Means over the known points of side x side blocks, [B, h, w] each, and how many they are."""
    counts = _block_sums(known, known.astype(fields[0].dtype), side)
    least = jnp.maximum(counts, 1)
    return tuple(_block_sums(known, field, side) / least for field in fields), counts


def _block_sums(known: Array, field: Array, side: int) -> Array:
    """Sums over side x side blocks, [B, h, w]; the last ones may be cut off by the edge."""
    field = jnp.where(known, field, 0)[..., 0]  # a missing target may be NaN
    batch, height, width = field.shape
    padded = jnp.pad(field, ((0, 0), (0, -height % side), (0, -width % side)))
    return padded.reshape(batch, -(-height // side), side, -1, side).sum((2, 4))
