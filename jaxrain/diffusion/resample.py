"""Changes of resolution by fixed factors: the two upsamplings, and space to depth and back."""

import jax.numpy as jnp
from jax import Array

from jaxrain.diffusion.settings import Upsampling


def _cubic_taps(t: float, a: float = -0.75) -> tuple[float, float, float, float]:
    """Keys' (1981) cubic convolution at offset t of the second of four points; PyTorch's a."""

    def near(x: float) -> float:  # |x| <= 1
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: float) -> float:  # 1 < |x| < 2
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return far(t + 1), near(t), near(1 - t), far(2 - t)


# With half-pixel centres, output 2 i lies at i - 1/4 and output 2 i + 1 at i + 1/4 of the input.
_EVEN, _ODD = _cubic_taps(0.75), _cubic_taps(0.25)


def upsample(x: Array, method: Upsampling) -> Array:
    """Doubles both axes, [B, H, W, C] -> [B, 2 H, 2 W, C].

    'nearest' repeats; 'bicubic' is PyTorch's: a = -0.75, half-pixel centres, clamped edges. Since
    the factor is two, bicubic has two phases of four fixed taps an axis, and needs no gather.
    """
    if method == "nearest":
        batch, height, width, channels = x.shape
        wide = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, 2, width, 2, channels))
        return wide.reshape(batch, 2 * height, 2 * width, channels)
    return _cubic_twice(_cubic_twice(x, 2), 1)


def _cubic_twice(x: Array, axis: int) -> Array:
    length = x.shape[axis]
    margins = [(0, 0)] * x.ndim
    margins[axis] = (2, 2)
    padded = jnp.pad(x, margins, mode="edge")

    def phase(taps: tuple[float, ...], first: int) -> Array:
        def shifted(k: int) -> Array:
            cut = [slice(None)] * x.ndim
            cut[axis] = slice(first + k, first + k + length)
            return padded[tuple(cut)]

        return sum((taps[k] * shifted(k) for k in range(1, 4)), taps[0] * shifted(0))

    both = jnp.stack([phase(_EVEN, 0), phase(_ODD, 1)], axis + 1)
    return both.reshape(*x.shape[:axis], 2 * length, *x.shape[axis + 1 :])


def space_to_depth(x: Array, factor: int) -> Array:
    """[B, H f, W f, C] -> [B, H, W, C f f], channels in the order of torch's pixel_unshuffle.

    Output channel c f^2 + i f + j is input channel c at row i, column j of each f x f cell.
    """
    batch, height, width, channels = x.shape
    cells = x.reshape(batch, height // factor, factor, width // factor, factor, channels)
    return cells.transpose(0, 1, 3, 5, 2, 4).reshape(
        batch, height // factor, width // factor, channels * factor * factor
    )


def depth_to_space(x: Array, factor: int) -> Array:
    """[B, H, W, C f f] -> [B, H f, W f, C], the inverse of `space_to_depth`."""
    batch, height, width, channels = x.shape
    out = channels // (factor * factor)
    cells = x.reshape(batch, height, width, out, factor, factor)
    return cells.transpose(0, 1, 4, 2, 5, 3).reshape(batch, height * factor, width * factor, out)
