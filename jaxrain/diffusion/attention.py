"""Self-attention over all positions of a feature map."""

import math
from typing import Literal

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
        attend = _attend if x.dtype.itemsize >= 4 else _attend_in_half
        return x + self.out(attend(query, key, value).reshape(x.shape))


def _attend(query: Array, key: Array, value: Array) -> Array:
    """[B, N, C] each -> [B, N, C], in their own precision: parity asks for float64's digits."""
    score = jnp.einsum("bqc,bkc->bqk", query, key, precision=PRECISION)
    weight = jax.nn.softmax(score / math.sqrt(query.shape[-1]), -1)
    return jnp.einsum("bqk,bkc->bqc", weight, value, precision=PRECISION)


def _attend_in_half(query: Array, key: Array, value: Array) -> Array:
    """The same in bfloat16 with scores in float32, by JAX's kernels."""
    channels = query.shape[-1]
    mixed = jax.nn.dot_product_attention(
        *(each[:, :, None] for each in (query, key, value)),  # one head
        scale=1 / math.sqrt(channels),
        implementation=_kernel(channels, jax.default_backend()),
    )
    return mixed[:, :, 0]


def _kernel(channels: int, backend: str) -> Literal["cudnn", "xla"]:
    """cuDNN's flash attention takes heads of up to 128 channels that 8 divides; XLA takes all."""
    return "cudnn" if backend == "gpu" and channels <= 128 and channels % 8 == 0 else "xla"
