"""Statistics of the training hours: one streaming pass in float64, whatever the length."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxrain.errors import InputError
from jaxrain.pairs.audit.survey import Survey
from jaxrain.pairs.bending import RAIN_CHANNEL, bend_rain
from jaxrain.pairs.interpolation import Matrices, interpolation_matrices
from jaxrain.pairs.normal_score import Knots, fit_knots, kept_knots
from jaxrain.pairs.quantiles import rain_counts
from jaxrain.pairs.recipe import SPLITS, DataConfig
from jaxrain.pairs.store import Area, Store, forget_arrays
from jaxrain.pairs.workers import Run, in_this_process

T = TypeVar("T")

_BAND_POINTS = 1 << 20


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
      knots: of the normal scores that the target is of; None of another scaling.
    """

    channels: list[Moments]
    fine: Moments
    target: Moments
    points: int
    knots: Knots | None = None

    def merged(self, other: "Tally") -> "Tally":
        """The tally of both together."""
        return Tally(
            channels=[merge(a, b) for a, b in zip(self.channels, other.channels, strict=True)],
            fine=merge(self.fine, other.fine),
            target=merge(self.target, other.target),
            points=self.points + other.points,
            knots=self.knots,
        )


def tally_hours(
    store: Store, config: DataConfig, run: Run = in_this_process, survey: Survey | None = None
) -> dict[str, Tally]:
    """One pass over all hours of a store, by split; for normal scores one over training's before.

    Days are summed each for itself and then in their order, so the sums are the same whoever works.

    Args:
      store: its arrays are read once.
      config: the data section.
      run: who does the work.
      survey: gathers the same hours, where given.
    """
    knots = None
    if config.rain_scaling == "normal_score":  # a pass of its own, for the target is made of them
        counts = sum(_over_days(_count_day, store, ["train"], run))
        knots = fit_knots(np.asarray(counts))
    tallies = dict.fromkeys(SPLITS, _empty(store.channels)._replace(knots=knots))
    by_day = partial(_tally_day, config=config, look=survey is not None, knots=knots)
    for tallied, looked in _over_days(by_day, store, SPLITS, run):
        if survey is not None:
            survey.update(looked)
        for split, tally in tallied.items():
            tallies[split] = tallies[split].merged(tally)
    return tallies


def training_statistics(store: Store, config: DataConfig, tally: Tally) -> dict[str, Any]:
    """The manifest's statistics, from the training hours' tally.

    Returns:
      `channels`: of each predictor mean, std, min and max in its units; `fine_rain`: likewise in
      mm; `target`: likewise in the scaled target's own units before standardizing; and
      `normal_score`, its knots, where the rain is scaled so.

    Raises:
      InputError: a predictor or the rain is missing at every training point, or it never rains.
    """
    check_training_values(store.channels, tally)
    low, span = _bent_range(config, tally.knots, tally.fine.least, tally.fine.most)
    if config.measured_from == "difference":
        scale, shift = 1.0 / span, 0.0
    else:
        scale, shift = 2.0 / span, -2.0 * low / span - 1.0
    target = tally.target
    scores = (
        {"normal_score": dict(zip(("mm", "score"), tally.knots, strict=True))}
        if tally.knots
        else {}
    )
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
        **scores,
    }


def check_training_values(channels: list[str], tally: Tally) -> None:
    """Makes sure that the training hours hold something to learn.

    Raises:
      InputError: a predictor or the rain is missing at every training point, or it never rains.
    """
    for name, seen in zip(channels, tally.channels, strict=True):
        if seen.size == 0:
            raise InputError(f"{name} is missing at every point of every training hour")
    if tally.fine.size == 0 or tally.fine.most <= tally.fine.least:
        raise InputError(
            "the fine rain of the training hours never varies, so there is nothing to learn: "
            "check data.fine and data.splits.train"
        )


def share_beyond(
    store: Store, config: DataConfig, split: str, run: Run = in_this_process
) -> float | None:
    """Share of a split's points whose target lies beyond [-1, 1], which clipping x0 would cap.

    Needs the statistics in the store's manifest. None where the split has no point.
    """
    rain = store.manifest["statistics"]["fine_rain"]
    range_mm = rain["min"], rain["max"]
    knots = kept_knots(store.manifest["statistics"])
    count = partial(_count_beyond, config=config, range_mm=range_mm, knots=knots)
    counts = list(_over_days(count, store, [split], run))
    beyond, points = (sum(column) for column in zip((0, 0), *counts, strict=True))
    return beyond / points if points else None


class _Day(NamedTuple):
    """The hours of an area's day, small enough to be sent to another process."""

    area: Area
    channels: list[str]


def _over_days(
    work: Callable[[_Day], T], store: Store, splits: Sequence[str], run: Run
) -> Iterator[T]:
    """Does work for the days of each area that have an hour in one of the splits, in order."""
    days, names = [], []
    for area in store.areas:
        hours: dict[str, list[int]] = {}
        for index, (day, _) in enumerate(area.days):
            if area.splits[index] in splits:
                hours.setdefault(day, []).append(index)
        days += [_Day(area.only(indices), store.channels) for indices in hours.values()]
        names += [f"{area.folder}, day {day}" for day in hours]
    return run(work, days, names)


def _empty(channels: list[str]) -> Tally:
    return Tally([Moments()] * len(channels), Moments(), Moments(), 0)


def _count_day(day: _Day) -> np.ndarray:
    forget_arrays()
    fields = (np.asarray(day.area.fine(index)) for index in range(len(day.area.hours)))
    return np.sum([rain_counts(field) for field in fields], axis=0)


def _tally_day(
    day: _Day, config: DataConfig, look: bool, knots: Knots | None
) -> tuple[dict[str, Tally], Survey]:
    forget_arrays()  # a worker that outlives the store's last making may hold its maps
    tallies: dict[str, Tally] = {}
    survey = Survey([day.area], day.channels, config)
    matrices = _matrices(day.area)
    for index, split in enumerate(day.area.splits):
        channels = [moments(field) for field in np.asarray(day.area.coarse(index))]
        tally = tallies.get(split, _empty(day.channels))
        tally = tally.merged(Tally(channels, Moments(), Moments(), 0))
        for fine, target in _bands(day, config, knots, matrices, index):
            rain = Tally([Moments()] * len(channels), moments(fine), moments(target), fine.size)
            tally = tally.merged(rain)
        tallies[split] = tally
        if look:
            survey.add(day.area, index, day.area.coarse(index), day.area.fine(index))
    return tallies, survey


def _count_beyond(
    day: _Day, config: DataConfig, range_mm: tuple[float, float], knots: Knots | None
) -> tuple[int, int]:
    low, span = _bent_range(config, knots, *range_mm)
    # Rounding in float32 must not count the training maximum itself.
    limit = span * (1 + 1e-6)
    beyond = points = 0
    matrices = _matrices(day.area)
    for index in range(len(day.area.hours)):
        for _, target in _bands(day, config, knots, matrices, index):
            target = target[np.isfinite(target)]
            outside = (
                np.abs(target) > limit
                if config.measured_from == "difference"
                else (target > low + limit) | (target < low - 1e-6 * span)
            )
            beyond, points = beyond + int(outside.sum()), points + target.size
    return beyond, points


def _bands(
    day: _Day, config: DataConfig, knots: Knots | None, matrices: Matrices, index: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An hour's rain and its target before it is scaled, float64, in bands of whole rows.

    A whole-China field in float64 takes a third of a GiB, and its target several times that.
    """
    area = day.area
    bend = bend_rain(config.rain_scaling, config.rain_scale_mm, knots, np)
    height, width = area.fine_grid.shape
    rows = max(1, _BAND_POINTS // width)
    if config.measured_from == "difference":
        rain = area.coarse(index)[day.channels.index(RAIN_CHANNEL)].astype(np.float64)
        y, x = matrices.y[0], matrices.x[0]
        # Along longitude first: that is the same for all bands.
        known, unknown = np.nan_to_num(rain) @ x.T, np.isnan(rain) @ x.T
    for top in range(0, height, rows):
        fine = area.fine(index)[top : top + rows].astype(np.float64)
        target = bend(fine)
        if config.measured_from == "difference":
            weights = y[top : top + rows]
            target = target - bend(weights @ known)
            if unknown.any():
                target[weights @ unknown > 0] = np.nan
        yield fine, target


def _matrices(area: Area) -> Matrices:
    return interpolation_matrices(area.coarse_grid, area.fine_grid, ["bilinear"], area.name)


def _bent_range(
    config: DataConfig, knots: Knots | None, least: float, most: float
) -> tuple[float, float]:
    bend = bend_rain(config.rain_scaling, config.rain_scale_mm, knots, np)
    low, high = float(bend(least)), float(bend(most))
    return low, high - low


def _summary(seen: Moments) -> dict[str, float]:
    return {"mean": seen.mean, "std": seen.std, "min": seen.least, "max": seen.most}
