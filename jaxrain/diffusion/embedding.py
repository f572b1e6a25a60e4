"""How the network is told the noise level."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from jaxrain.diffusion.layers import Linear
from jaxrain.diffusion.settings import Scalar

# Beyond these, ln(sigma) is rounding error of s in float32 or pure noise.
_LN_SIGMA_RANGE = 10.0


def embedded_scalar(s: Array, kind: Scalar) -> Array:
    """The scalar whose sines and cosines the network sees.

    Args:
      s: sqrt(alpha_bar), any shape, in [0, 1].
      kind: 'level' is s itself, as in SR3. Its highest frequency is 1 radian over all noise levels,
        so near s = 1, where rain's detail is decided, levels look alike. 'log_snr' is 10 times
        EDM's c_noise = ln(sigma) / 4 (Karras et al. 2022, arXiv:2206.00364, table 1) with
        sigma = sqrt(1 - s^2) / s: a period of 2.5 in ln(sigma) at the highest frequency. ln(sigma)
        is held within 10 of zero.
    """
    if kind == "level":
        return s
    # (1 - s)(1 + s), and not 1 - s^2, keeps the digits near s = 1.
    tiny = jnp.finfo(s.dtype).tiny
    ln_sigma = 0.5 * jnp.log(jnp.maximum((1 - s) * (1 + s), tiny)) - jnp.log(jnp.maximum(s, tiny))
    return 2.5 * jnp.clip(ln_sigma, -_LN_SIGMA_RANGE, _LN_SIGMA_RANGE)


def sinusoids(value: Array, size: int) -> Array:
    """[B, 1] -> [B, size]: sines, then cosines, of value * exp(-ln(1e4) k / (size / 2))."""
    half = size // 2
    frequency = np.exp(-np.log(1e4) * np.arange(half, dtype=np.float64) / half)
    angle = value * jnp.asarray(frequency, value.dtype)
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1)


class NoiseEmbedding(nnx.Module):
    """s [B, 1] -> [B, size]: sinusoids, Linear, swish, Linear."""

    def __init__(
        self,
        size: int,
        *,
        kind: Scalar,
        param_dtype: DTypeLike,
    ):
        self.size = size
        self.kind: Scalar = kind
        self.first = Linear(size, 4 * size, param_dtype=param_dtype)
        self.second = Linear(4 * size, size, param_dtype=param_dtype)

    def __call__(self, s: Array) -> Array:
        """Computes in the dtype of s: levels need more digits than bfloat16 has."""
        return self.second(
            nnx.swish(self.first(sinusoids(embedded_scalar(s, self.kind), self.size)))
        )
