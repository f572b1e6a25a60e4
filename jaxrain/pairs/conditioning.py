"""From a batch of the loader to what the network sees, inside the compiled step.

Physical values are interpolated first and scaled after, so that the coarse rain that the target
is measured from is the bilinear rain in mm, whatever the scaling bends.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrain.pairs.scaling import Scaling, encode_predictors, encode_target


class Example(NamedTuple):
    """One batch in the network's units, fine points P x Q.

    Attributes:
      condition: scaled predictors, [B, P, Q, I*C], 0 where missing; then what is known beside the
        weather, M + K channels, where there is any; then what a regression expects.
      x0: target, [B, P, Q, 1], 0 where missing.
      mask: 1 where fine and coarse are both there, else 0, [B, P, Q, 1].
      coarse_rain_mm: interpolated coarse rain, mm, [B, P, Q, 1]; 0 where missing or not given.
    """

    condition: jax.Array
    x0: jax.Array
    mask: jax.Array
    coarse_rain_mm: jax.Array


def interpolate(coarse: jax.Array, weights_y: jax.Array, weights_x: jax.Array) -> jax.Array:
    """Separable interpolation of every channel by every interpolation.

    Args:
      coarse: [B, C, k, l].
      weights_y: rows of the interpolation matrices, [B, I, P, k].
      weights_x: columns' likewise, [B, I, Q, l].

    Returns:
      [B, P, Q, I*C], the channels of one interpolation beside one another.
    """
    # Rain in mm must not be rounded to what a GPU's or TPU's fast products keep.
    fields = jnp.einsum(
        "bckl,bipk,biql->bpqic", coarse, weights_y, weights_x, precision=jax.lax.Precision.HIGHEST
    )
    return fields.reshape(*fields.shape[:3], -1)


def condition_fields(
    scaling: Scaling, coarse: jax.Array, weights_y: jax.Array, weights_x: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What is known without the fine rain: for sampling, and for `assemble`.

    Args:
      scaling: of the store.
      coarse: predictors in physical units, NaN where missing, [B, C, k, l].
      weights_y: [B, I, P, k].
      weights_x: [B, I, Q, l].

    Returns:
      (condition [B, P, Q, I*C], mask [B, P, Q, 1], coarse rain in mm [B, P, Q, 1]). The mask is 0
      where any coarse cell that contributes is missing; there the rest is 0.
    """
    missing = jnp.isnan(coarse)
    touched = interpolate(missing.astype(coarse.dtype), weights_y, weights_x)
    mask = jnp.all(touched == 0, axis=-1, keepdims=True)
    fields = interpolate(jnp.where(missing, 0, coarse), weights_y, weights_x)
    sets = fields.reshape(*fields.shape[:3], -1, len(scaling.channels))
    condition = encode_predictors(scaling, sets).reshape(fields.shape)
    rain = scaling.rain_index
    # The first interpolation is the one that the target is measured from.
    rain_mm = jnp.zeros_like(fields[..., :1]) if rain is None else fields[..., rain : rain + 1]
    return jnp.where(mask, condition, 0), mask.astype(fields.dtype), jnp.where(mask, rain_mm, 0)


def coarse_rain(
    scaling: Scaling, coarse: jax.Array, weights_y: jax.Array, weights_x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Mask and coarse rain as of `condition_fields`, without the fields of all predictors.

    For whole domains, whose predictors on the fine grid would fill the memory.

    Args: as of `condition_fields`.

    Returns:
      (mask [B, P, Q, 1], coarse rain in mm [B, P, Q, 1]).
    """
    # No weight is negative, so sums over the channels touch what one of them does.
    missing = jnp.isnan(coarse).any(1, keepdims=True)
    touched = interpolate(missing.astype(coarse.dtype), weights_y, weights_x)
    mask = jnp.all(touched == 0, axis=-1, keepdims=True)
    rain_mm = jnp.zeros_like(touched[..., :1])
    rain = scaling.rain_index
    if rain is not None:
        known = jnp.where(missing, 0, coarse[:, rain : rain + 1])
        rain_mm = interpolate(known, weights_y[:, :1], weights_x[:, :1])
    return mask.astype(coarse.dtype), jnp.where(mask, rain_mm, 0)


def with_surroundings(
    condition: jax.Array, maps: jax.Array | None, clock: jax.Array | None
) -> jax.Array:
    """The condition with what is known beside the weather.

    Args:
      condition: [B, P, Q, I*C].
      maps: static fields and position, [B, P, Q, M]; None for none.
      clock: encodings of the time, [B, K]; None for none.

    Returns:
      [B, P, Q, I*C + M + K].
    """
    parts = [condition]
    if maps is not None:
        parts.append(maps)
    if clock is not None:
        size = (*condition.shape[:3], clock.shape[-1])
        parts.append(jnp.broadcast_to(clock[:, None, None, :], size))
    return jnp.concatenate(parts, axis=-1) if len(parts) > 1 else condition


def assemble(
    batch: dict[str, jax.Array],
    scaling: Scaling,
    regress: Callable[[jax.Array], jax.Array] | None = None,
) -> Example:
    """A loader's batch -> condition, target, mask and coarse rain.

    Args:
      batch: `fine` [B, P, Q] in mm, NaN where missing; `coarse` [B, C, k, l]; `weights_y`
        [B, I, P, k]; `weights_x` [B, I, Q, l]; where configured `maps` [B, P, Q, M] and `clock`
        [B, K].
      scaling: of the store.
      regress: condition -> x0 as a regression sees it, [B, P, Q, 1]: it becomes the last channel
        of the condition, and the target what it leaves.
    """
    condition, mask, rain_mm = condition_fields(
        scaling, batch["coarse"], batch["weights_y"], batch["weights_x"]
    )
    condition = with_surroundings(condition, batch.get("maps"), batch.get("clock"))
    fine = batch["fine"][..., None]
    there = jnp.isfinite(fine) & (mask > 0)
    # NaN is taken out before the scaling: a masked NaN would still poison the gradients.
    x0 = encode_target(scaling, jnp.where(there, fine, 0), rain_mm)
    if regress is not None:
        expected = regress(condition)
        condition, x0 = jnp.concatenate([condition, expected], axis=-1), x0 - expected
    return Example(condition, jnp.where(there, x0, 0), there.astype(x0.dtype), rain_mm)
