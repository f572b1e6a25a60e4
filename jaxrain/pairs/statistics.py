"""Statistics of the training hours: one streaming pass in float64, whatever the length."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxrain.errors import InputError
from jaxrain.pairs.interpolation import Matrices, interpolate, interpolation_matrices
from jaxrain.pairs.recipe import SPLITS, DataConfig
from jaxrain.pairs.scaling import RAIN_CHANNEL, bend_rain
from jaxrain.pairs.store import Area, Store

# Takes an area, an hour's index in it, its predictors [C, h, w] and its fine rain [H, W].
Look = Callable[[Area, int, np.ndarray, np.ndarray], None]


class Moments(NamedTuple):
    """Number, mean, sum of squared deviations, least and most of the values seen."""

    size: int = 0
    mean: float = 0.0
    m2: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    @property
    def std(self) -> float:
        """Standard deviation (biased); 0 where nothing was seen."""
        return math.sqrt(self.m2 / self.size) if self.size else 0.0


def moments(values: np.ndarray) -> Moments:
    """Moments of the finite values, any shape."""
    values = values[np.isfinite(values)].astype(np.float64)
    if values.size == 0:
        return Moments()
    mean = float(values.mean())
    m2 = float(np.square(values - mean).sum())
    return Moments(values.size, mean, m2, float(values.min()), float(values.max()))


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of both together (Chan, Golub and LeVeque 1979, equation 2.1)."""
    size = a.size + b.size
    if size == 0:
        return a
    delta = b.mean - a.mean
    return Moments(
        size=size,
        mean=a.mean + delta * b.size / size,
        m2=a.m2 + b.m2 + delta**2 * a.size * b.size / size,
        least=min(a.least, b.least),
        most=max(a.most, b.most),
    )


class Tally(NamedTuple):
    """What one pass over a split's hours leaves.

    Attributes:
      channels: moments of each predictor.
      fine: of the fine rain, mm.
      target: of what the target is before it is scaled: g(fine) - g(coarse), or g(fine).
      points: fine points, missing ones included.
    """

    channels: list[Moments]
    fine: Moments
    target: Moments
    points: int

    def add(self, coarse: np.ndarray, fine: np.ndarray, target: np.ndarray) -> "Tally":
        """The tally with one more hour: coarse [C, h, w], fine [H, W], target [H, W]."""
        return Tally(
            channels=[
                merge(seen, moments(field))
                for seen, field in zip(self.channels, coarse, strict=True)
            ],
            fine=merge(self.fine, moments(fine)),
            target=merge(self.target, moments(target)),
            points=self.points + fine.size,
        )


def tally_hours(store: Store, config: DataConfig, look: Look | None = None) -> dict[str, Tally]:
    """One pass over all hours of a store, by split.

    Args:
      store: its arrays are read once.
      config: the data section.
      look: is shown each hour while it is in memory.
    """
    empty = Tally([Moments()] * len(store.channels), Moments(), Moments(), 0)
    tallies = dict.fromkeys(SPLITS, empty)
    for area in store.areas:
        matrices = interpolation_matrices(area.coarse_grid, area.fine_grid, ["bilinear"], area.name)
        for index, split in enumerate(area.splits):
            coarse, fine = np.asarray(area.coarse(index)), np.asarray(area.fine(index))
            target = _bent_target(store, config, matrices, coarse, fine)
            tallies[split] = tallies[split].add(coarse, fine, target)
            if look is not None:
                look(area, index, coarse, fine)
    return tallies


def training_statistics(store: Store, config: DataConfig, tally: Tally) -> dict[str, Any]:
    """The manifest's statistics, from the training hours' tally.

    Returns:
      `channels`: of each predictor mean, std, min and max in its units; `fine_rain`: likewise in
      mm; `target`: likewise in the scaled target's own units before standardizing.

    Raises:
      InputError: a predictor or the rain is missing at every training point, or it never rains.
    """
    for name, seen in zip(store.channels, tally.channels, strict=True):
        if seen.size == 0:
            raise InputError(f"{name} is missing at every point of every training hour")
    if tally.fine.size == 0 or tally.fine.most <= tally.fine.least:
        raise InputError(
            "the fine rain of the training hours never varies, so there is nothing to learn: "
            "check data.fine and data.splits.train"
        )
    low, span = _bent_range(config, tally.fine.least, tally.fine.most)
    if config.target == "difference":
        scale, shift = 1.0 / span, 0.0
    else:
        scale, shift = 2.0 / span, -2.0 * low / span - 1.0
    target = tally.target
    return {
        "channels": {
            name: _summary(seen) for name, seen in zip(store.channels, tally.channels, strict=True)
        },
        "fine_rain": _summary(tally.fine),
        "target": {
            "mean": target.mean * scale + shift,
            "std": max(target.std * scale, 1e-6),
            "min": target.least * scale + shift,
            "max": target.most * scale + shift,
        },
    }


def share_beyond(store: Store, config: DataConfig, split: str) -> float | None:
    """Share of a split's points whose target lies beyond [-1, 1], which clipping x0 would cap.

    Needs the statistics in the store's manifest. None where the split has no point.
    """
    rain = store.manifest["statistics"]["fine_rain"]
    low, span = _bent_range(config, rain["min"], rain["max"])
    beyond = points = 0
    for area in store.areas:
        matrices = interpolation_matrices(area.coarse_grid, area.fine_grid, ["bilinear"], area.name)
        for index in area.indices(split):
            coarse, fine = np.asarray(area.coarse(index)), np.asarray(area.fine(index))
            target = _bent_target(store, config, matrices, coarse, fine)
            target = target[np.isfinite(target)]
            # Rounding in float32 must not count the training maximum itself.
            limit = span * (1 + 1e-6)
            outside = (
                np.abs(target) > limit
                if config.target == "difference"
                else (target > low + limit) | (target < low - 1e-6 * span)
            )
            beyond, points = beyond + int(outside.sum()), points + target.size
    return beyond / points if points else None


def _bent_target(
    store: Store, config: DataConfig, matrices: Matrices, coarse: np.ndarray, fine: np.ndarray
) -> np.ndarray:
    bend = bend_rain(config.rain_scaling, config.rain_scale_mm, np)
    bent = bend(fine.astype(np.float64))
    if config.target == "direct":
        return bent
    rain = coarse[store.channels.index(RAIN_CHANNEL)]
    return bent - bend(interpolate(matrices, rain))


def _bent_range(config: DataConfig, least: float, most: float) -> tuple[float, float]:
    bend = bend_rain(config.rain_scaling, config.rain_scale_mm, np)
    low, high = float(bend(least)), float(bend(most))
    return low, high - low


def _summary(seen: Moments) -> dict[str, float]:
    return {"mean": seen.mean, "std": seen.std, "min": seen.least, "max": seen.most}
