"""The network's layers with parameters. All kernels start at 0; `initial.py` draws them."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from jaxrain.diffusion.convolution import PRECISION, convolve
from jaxrain.diffusion.groupnorm import group_norm


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
        param_dtype: DTypeLike,
    ):
        shape = (size, size, inputs, outputs)
        self.kernel = nnx.Param(jnp.zeros(shape, param_dtype))
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
        param_dtype: DTypeLike,
    ):
        shape = (inputs, outputs)
        self.kernel = nnx.Param(jnp.zeros(shape, param_dtype))
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
