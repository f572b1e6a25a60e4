"""The network's layers with parameters, and how these start."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from jaxrain.diffusion.convolution import PRECISION, convolve
from jaxrain.diffusion.groupnorm import group_norm

Initialisation = Literal["kaiming", "normal", "orthogonal"]


def initial_weight(
    init: Initialisation, key: Array, shape: tuple[int, ...], dtype: DTypeLike
) -> Array:
    """Draws a weight [..., I, O]; all axes but the last make up fan_in.

    kaiming: normal with std sqrt(2 / fan_in) (He et al. 2015, arXiv:1502.01852); normal: std 0.02;
    orthogonal: semi-orthogonal as a [fan_in, O] matrix (Saxe et al. 2014, arXiv:1312.6120).
    """
    match init:
        case "kaiming":
            return math.sqrt(2 / math.prod(shape[:-1])) * jax.random.normal(key, shape, dtype)
        case "normal":
            return 0.02 * jax.random.normal(key, shape, dtype)
        case "orthogonal":
            return nnx.initializers.orthogonal()(key, shape, dtype)


class Conv(nnx.Module):
    """k x k convolution, padded on every side, [B, H, W, I] -> [B, H/stride, W/stride, O]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        size: int = 3,
        stride: int = 1,
        use_bias: bool = True,
        init: Initialisation,
        param_dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        shape = (size, size, inputs, outputs)
        self.kernel = nnx.Param(initial_weight(init, rngs.params(), shape, param_dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, param_dtype)) if use_bias else None
        self.stride = stride

    def __call__(self, x: Array) -> Array:
        """Computes in the dtype of x."""
        y = convolve(x, self.kernel[...].astype(x.dtype), stride=self.stride)
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class Linear(nnx.Module):
    """x W + b on the last axis, [..., I] -> [..., O]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        init: Initialisation,
        param_dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        shape = (inputs, outputs)
        self.kernel = nnx.Param(initial_weight(init, rngs.params(), shape, param_dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, param_dtype))

    def __call__(self, x: Array) -> Array:
        """Computes in the dtype of x."""
        product = jnp.matmul(x, self.kernel[...].astype(x.dtype), precision=PRECISION)
        return product + self.bias[...].astype(x.dtype)


class GroupNorm(nnx.Module):
    """Group normalisation, with swish after it where asked, [B, H, W, C] -> the same."""

    def __init__(self, channels: int, groups: int, *, swish: bool = False, param_dtype: DTypeLike):
        self.scale = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype))
        self.groups = groups
        self.swish = swish

    def __call__(self, x: Array) -> Array:
        """Statistics in float32 or better, result in the dtype of x."""
        return group_norm(x, self.scale[...], self.bias[...], self.groups, self.swish)


def dropout(x: Array, rate: float, key: Array, *, whole_channels: bool) -> Array:
    """Zeroes elements, or whole channels of an example, and scales the rest by 1 / (1 - rate).

    Args:
      x: [B, H, W, C].
      rate: probability of zero, below 1.
      key: jax PRNG key.
      whole_channels: drop channels (Tompson et al. 2015, arXiv:1411.4280) and not elements.
    """
    shape = (x.shape[0], 1, 1, x.shape[3]) if whole_channels else x.shape
    kept = jax.random.bernoulli(key, 1 - rate, shape)
    return jnp.where(kept, x / (1 - rate), 0).astype(x.dtype)
