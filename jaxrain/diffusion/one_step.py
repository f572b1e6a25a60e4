"""Members in one step from pure noise, learned by a proper score of two of them.

The fair CRPS of single points leaves a field's texture free; that of means over blocks beside it
asks for the right variability at each scale (as in FGN, Alet et al. 2025, arXiv:2506.10772, and
AIFS-CRPS, Lang et al. 2024, arXiv:2412.15832, which score points alone).
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

# Sides of the blocks whose means are scored, in points; each counts alike.
SCALES = (1, 4, 16)


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


def fair_crps_of_two(first: Array, second: Array, x0: Array, mask: Array) -> Array:
    """Fair CRPS of two members, of points and of means over blocks, summed over known points.

    (|a - y| + |b - y| - |a - b|) / 2, in which no third member's absence is felt (Ferro 2014,
    doi:10.1002/qj.2270). A block's mean is over its known points, and it counts as many.

    Args:
      first, second: members, [B, H, W, 1].
      x0: truth, the same shape; any number where mask is 0.
      mask: the same shape, 1 where x0 is known.

    Returns:
      [B], the mean over SCALES.
    """
    total = jnp.zeros(len(x0), x0.dtype)
    for scale in SCALES:
        counts = _block_sums(mask > 0, mask, scale)
        a, b, y = (
            _block_sums(mask > 0, field, scale) / jnp.maximum(counts, 1)
            for field in (first, second, x0)
        )
        score = (jnp.abs(a - y) + jnp.abs(b - y) - jnp.abs(a - b)) / 2
        total += jnp.sum(score * counts, (1, 2)) / len(SCALES)
    return total


def _block_sums(known: Array, field: Array, side: int) -> Array:
    """Sums over side x side blocks, [B, h, w]; the last ones may be cut off by the edge."""
    field = jnp.where(known, field, 0)[..., 0]  # a missing target may be NaN
    batch, height, width = field.shape
    padded = jnp.pad(field, ((0, 0), (0, -height % side), (0, -width % side)))
    return padded.reshape(batch, -(-height // side), side, -1, side).sum((2, 4))
