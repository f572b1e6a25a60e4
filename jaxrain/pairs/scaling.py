"""Physical units to the network's units and back, from a store's statistics alone.

Rain is bent by a function g (the identity, a root, a logarithm or normal scores), then scaled by
the fine rain's training minimum and maximum, fine and coarse alike, so that their difference means
the same everywhere:

    n(mm) = (g(mm) - g(min)) / (g(max) - g(min))
    x0 = (n(fine) - n(coarse)) / std        (difference), or (2 n(fine) - 1) / std       (direct)

with std = 1 unless the target is standardized. What a regression leaves is a difference of two such
x0 and needs no scaling of its own. Everything here is traceable by JAX.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrain.pairs.bending import RAIN_CHANNEL, bend_rain, given
from jaxrain.pairs.normal_score import Knots, from_score, kept_knots
from jaxrain.pairs.recipe import DataConfig
from jaxrain.weather.variables import VARIABLES

# Keeps a channel that never varies (a sea-level constant, a dry month) from dividing by zero.
_SMALLEST_RANGE = 1e-6


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["low", "high"],
    meta_fields=[
        "channels",
        "difference",
        "bend",
        "scale_mm",
        "rain_min_mm",
        "rain_max_mm",
        "target_std",
        "knots",
    ],
)
@dataclass(frozen=True)
class Scaling:
    """What encoding needs to know; a JAX pytree whose arrays are [C].

    Attributes:
      channels: names of the C predictors, as 'u850' or 'tp'.
      difference: whether the target is fine minus coarse rain.
      bend: 'linear', 'sqrt', 'log1p' or 'normal_score'.
      scale_mm: scale of log1p, mm.
      rain_min_mm: least fine rain of the training hours, mm.
      rain_max_mm: most fine rain of the training hours, mm.
      target_std: what the target and the rain predictors are divided by; 1 where not standardized.
      low: physical value that becomes 0 (-1 for winds), shape [C].
      high: physical value that becomes 1, shape [C].
      knots: of normal_score; None for the others.
    """

    channels: tuple[str, ...]
    difference: bool
    bend: str
    scale_mm: float
    rain_min_mm: float
    rain_max_mm: float
    target_std: float
    low: Any
    high: Any
    knots: Knots | None = None

    @classmethod
    def from_manifest(cls, manifest: dict[str, Any], config: DataConfig) -> "Scaling":
        """Builds the scaling from a store's manifest, without the store.

        Args:
          manifest: content of manifest.json; its statistics are of the training hours.
          config: says the target, the bend and whether to standardize.
        """
        statistics = manifest["statistics"]
        rain = statistics["fine_rain"]
        channels = tuple(manifest["channels"])
        ranges = [statistics["channels"][name] for name in channels]
        return cls(
            channels=channels,
            difference=config.measured_from == "difference",
            bend=config.rain_scaling,
            scale_mm=config.rain_scale_mm,
            rain_min_mm=float(rain["min"]),
            rain_max_mm=float(rain["max"]),
            target_std=float(statistics["target"]["std"]) if config.standardize else 1.0,
            low=np.asarray([r["min"] for r in ranges], np.float32),
            high=np.asarray([r["max"] for r in ranges], np.float32),
            knots=kept_knots(statistics),
        )

    @property
    def rain_index(self) -> int | None:
        """Where the coarse rain is among the channels, if it is."""
        return self.channels.index(RAIN_CHANNEL) if RAIN_CHANNEL in self.channels else None


def encode_predictors(scaling: Scaling, fields: jax.Array) -> jax.Array:
    """Physical predictors [..., C] -> the network's units, [..., C].

    Winds go to [-1, 1], everything else to [0, 1], by the training minimum and maximum; rain by
    the fine rain's, as the target is.
    """
    signed = np.asarray([VARIABLES[_variable(c)].signed for c in scaling.channels])
    span = jnp.maximum(scaling.high - scaling.low, _SMALLEST_RANGE)
    unit = (fields - scaling.low) / span
    scaled = jnp.where(signed, 2.0 * unit - 1.0, unit)
    rain = scaling.rain_index
    if rain is None:
        return scaled
    return scaled.at[..., rain].set(encode_rain(scaling, fields[..., rain]) / scaling.target_std)


def decode_predictors(scaling: Scaling, scaled: jax.Array) -> jax.Array:
    """Inverse of `encode_predictors`, [..., C] -> [..., C]."""
    signed = np.asarray([VARIABLES[_variable(c)].signed for c in scaling.channels])
    unit = jnp.where(signed, (scaled + 1.0) / 2.0, scaled)
    fields = scaling.low + unit * jnp.maximum(scaling.high - scaling.low, _SMALLEST_RANGE)
    rain = scaling.rain_index
    if rain is None:
        return fields
    return fields.at[..., rain].set(decode_rain(scaling, scaled[..., rain] * scaling.target_std))


def encode_rain(scaling: Scaling, mm: jax.Array) -> jax.Array:
    """Rain in mm -> [0, 1] over the training hours; any shape."""
    bend = bend_rain(scaling.bend, scaling.scale_mm, scaling.knots, jnp)
    low, span = _rain_range(scaling)
    return (bend(mm) - low) / span


def decode_rain(scaling: Scaling, unit: jax.Array) -> jax.Array:
    """Inverse of `encode_rain`; any shape. What lies below 0 mm comes back below 0, or as 0."""
    unbend = _unbend(scaling.bend, scaling.scale_mm, scaling.knots)
    low, span = _rain_range(scaling)
    return unbend(unit * span + low)


def encode_target(scaling: Scaling, fine_mm: jax.Array, coarse_mm: jax.Array) -> jax.Array:
    """Fine and interpolated coarse rain in mm, same shape -> the target x0 of the diffusion."""
    fine = encode_rain(scaling, fine_mm)
    if scaling.difference:
        return (fine - encode_rain(scaling, coarse_mm)) / scaling.target_std
    return (2.0 * fine - 1.0) / scaling.target_std


def decode_target(scaling: Scaling, x0: jax.Array, coarse_mm: jax.Array) -> jax.Array:
    """Inverse of `encode_target`, clipped at 0 mm: x0 and coarse rain -> rain in mm >= 0."""
    x0 = x0 * scaling.target_std
    if scaling.difference:
        unit = x0 + encode_rain(scaling, coarse_mm)
    else:
        unit = (x0 + 1.0) / 2.0
    return jnp.maximum(decode_rain(scaling, unit), 0.0)


def target_bounds(scaling: Scaling) -> tuple[float, float]:
    """The range of x0 over the training hours: (-1, 1), over the standard deviation if any."""
    return -1.0 / scaling.target_std, 1.0 / scaling.target_std


def _unbend(bend: str, scale_mm: float, knots: Knots | None) -> Callable[[jax.Array], jax.Array]:
    return {
        "linear": lambda bent: bent,
        "sqrt": lambda bent: jnp.square(jnp.maximum(bent, 0.0)),
        "log1p": lambda bent: scale_mm * jnp.expm1(jnp.maximum(bent, 0.0)),
        "normal_score": lambda bent: from_score(bent, given(knots), jnp),
    }[bend]


def _rain_range(scaling: Scaling) -> tuple[float, float]:
    bend = bend_rain(scaling.bend, scaling.scale_mm, scaling.knots, np)
    low, high = float(bend(scaling.rain_min_mm)), float(bend(scaling.rain_max_mm))
    return low, max(high - low, _SMALLEST_RANGE)


def _variable(channel: str) -> str:
    return channel.rstrip("0123456789")
