"""Self-attention over all positions of a feature map."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from jaxrain.diffusion.convolution import PRECISION
from jaxrain.diffusion.layers import Conv, GroupNorm


class SelfAttention(nnx.Module):
    """One head over H x W positions, with its residual, [B, H, W, C] -> the same.

    Scores are divided by sqrt(C). The 3 C outputs of `qkv` are query, key, value in that order.
    """

    def __init__(
        self,
        channels: int,
        groups: int,
        *,
        param_dtype: DTypeLike,
    ):
        self.norm = GroupNorm(channels, groups, param_dtype=param_dtype)
        self.qkv = Conv(
            channels,
            3 * channels,
            size=1,
            use_bias=False,
            param_dtype=param_dtype,
        )
        self.out = Conv(channels, channels, size=1, param_dtype=param_dtype)

    def __call__(self, x: Array) -> Array:
        """Softmax in float32 or better, the rest in the dtype of x."""
        batch, height, width, channels = x.shape
        qkv = self.qkv(self.norm(x)).reshape(batch, height * width, 3 * channels)
        query, key, value = jnp.split(qkv, 3, -1)  # [B, N, C] each
        score = jnp.einsum("bqc,bkc->bqk", query, key, precision=PRECISION) / math.sqrt(channels)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        weight = jax.nn.softmax(score.astype(wide), -1).astype(x.dtype)
        mixed = jnp.einsum("bqk,bkc->bqc", weight, value, precision=PRECISION)
        return x + self.out(mixed.reshape(x.shape))
