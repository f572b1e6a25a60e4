"""Group normalisation (Wu and He 2018, arXiv:1803.08494), optionally followed by swish, with its
own backward pass.

Compilers turn the textbook formula into many passes over the activations. Here the statistics are
taken per channel, where the memory layout [B, H, W, C] makes them cheap, and merged to groups
afterwards; all that is left for the activations is one affine map. The backward pass keeps only the
input and the statistics, and is one affine map of the input and the incoming gradient.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

EPS = 1e-5


def group_norm(x: Array, scale: Array, bias: Array, groups: int, swish: bool = False) -> Array:
    """Normalises over (H, W, channels of a group), then applies scale and bias per channel.

    Args:
      x: [B, H, W, C].
      scale: [C].
      bias: [C].
      groups: number of groups; divides C.
      swish: whether z * sigmoid(z) follows, fused.

    Returns:
      [B, H, W, C] in the dtype of x. Statistics are never taken in less than float32; the variance
      is the biased one, with eps 1e-5.

    Raises:
      ValueError: groups does not divide C.
    """
    if x.shape[-1] % groups:
        raise ValueError(f"{x.shape[-1]} channels cannot be split into {groups} equal groups")
    return _group_norm(x, scale, bias, groups, swish)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _group_norm(x: Array, scale: Array, bias: Array, groups: int, swish: bool) -> Array:
    return _forward(x, scale, bias, groups, swish)[0]


def _forward(
    x: Array, scale: Array, bias: Array, groups: int, swish: bool
) -> tuple[Array, tuple[Array, ...]]:
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    # Two passes: the sum of squares minus the squared mean would lose digits where |mean| >> std.
    mean_c = jnp.mean(wide, (1, 2))  # [B, C]
    variance_c = jnp.mean(jnp.square(wide - mean_c[:, None, None]), (1, 2))
    mean = _group_mean(mean_c, groups)
    # Law of total variance: within the channels, plus between their means.
    variance = _group_mean(variance_c + jnp.square(mean_c - mean), groups)
    rstd = jax.lax.rsqrt(variance + EPS)
    z = _affine(wide, mean, rstd, scale, bias)
    y = z * jax.nn.sigmoid(z) if swish else z
    return y.astype(x.dtype), (x, scale, bias, mean, rstd)


def _backward(
    groups: int, swish: bool, residuals: tuple[Array, ...], dy: Array
) -> tuple[Array, Array, Array]:
    # The barrier keeps the compiler from merging this with the forward pass, which would hold the
    # sigmoids from there to here: an array as large as x, for what one pass computes again.
    x, scale, bias, mean, rstd, dy = jax.lax.optimization_barrier((*residuals, dy))
    wide = x.astype(mean.dtype)
    dz = dy.astype(mean.dtype)
    if swish:
        z = _affine(wide, mean, rstd, scale, bias)
        sigmoid = jax.nn.sigmoid(z)
        dz = dz * (sigmoid * (1 + z * (1 - sigmoid)))
    sum_dz = jnp.sum(dz, (1, 2))  # [B, C]
    sum_dz_x = jnp.sum(dz * (wide - mean[:, None, None]), (1, 2))
    # Else XLA would sum all of dz once more for the gradients of scale and bias.
    sum_dz, sum_dz_x = jax.lax.optimization_barrier((sum_dz, sum_dz_x))
    sum_dz_xhat = sum_dz_x * rstd
    pixels = x.shape[1] * x.shape[2]
    # dx = rstd * (g - <g> - xhat <g xhat>), g = scale * dz, <.> the mean over a group.
    mean_g = _group_mean(scale * sum_dz, groups) / pixels
    mean_g_xhat = _group_mean(scale * sum_dz_xhat, groups) / pixels
    on_x = -mean_g_xhat * rstd * rstd
    constant = -mean_g * rstd - on_x * mean
    dx = dz * (rstd * scale)[:, None, None] + wide * on_x[:, None, None] + constant[:, None, None]
    return (
        dx.astype(x.dtype),
        jnp.sum(sum_dz_xhat, 0).astype(scale.dtype),
        jnp.sum(sum_dz, 0).astype(bias.dtype),
    )


def _affine(x: Array, mean: Array, rstd: Array, scale: Array, bias: Array) -> Array:
    slope = rstd * scale  # [B, C]
    return x * slope[:, None, None] + (bias - mean * slope)[:, None, None]


def _group_mean(per_channel: Array, groups: int) -> Array:
    """[B, C] to the mean of each channel's group, repeated, [B, C]."""
    batch, channels = per_channel.shape
    means = jnp.mean(per_channel.reshape(batch, groups, -1), -1)
    # By a product with zeros and ones, exact: a plain repeat would be fused into the loops over
    # pixels, where finding each channel's group takes longer than all the rest.
    members = jnp.repeat(jnp.eye(groups, dtype=means.dtype), channels // groups, axis=1)
    return jnp.matmul(means, members, precision=jax.lax.Precision.HIGHEST)


_group_norm.defvjp(_forward, _backward)
