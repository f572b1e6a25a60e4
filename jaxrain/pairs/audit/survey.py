"""What the audit keeps of each hour: rain by amount, rain of a few boxes on both sides, gaps.

Gathered while the statistics are, so that no array is read twice. An hour leaves a few hundred
numbers, whatever its size.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from jaxrain.grids.regrid import nearest_matrix
from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.recipe import SPLITS, DataConfig
from jaxrain.pairs.store import Area

# Amounts are counted to a hundredth of a millimetre, which is finer than any product; the last
# bin takes what lies above 400 mm, more than has ever been measured in an hour.
BIN_MM = 0.01
_LAST_BIN = 40_000
# Values that are counted at once, so that a whole-China field takes little room beside itself.
_AT_ONCE = 1 << 20
# Along a side: enough for the place of rain to count, few enough to keep years of hours.
_BOXES = 8
# Of a box's fine points: with fewer its mean is that of another place.
_MIN_VALID = 0.5


class Boxes(NamedTuple):
    """Boxes of coarse cells, with the fine points that are nearest to them.

    Attributes:
      fine: first row and first column of each box in the fine grid.
      cells: rows and columns of the coarse grid that have fine points, in the fine grid's order.
      coarse: first row and first column of each box among `cells`.
    """

    fine: tuple[np.ndarray, np.ndarray]
    cells: tuple[np.ndarray, np.ndarray]
    coarse: tuple[np.ndarray, np.ndarray]


class BoxRain(NamedTuple):
    """Rain of an area's boxes by hour, mm, NaN where not known.

    Attributes:
      times: ends of hours, datetime64[s] [T], ascending.
      fine: shape [T, R].
      coarse: shape [T, R].
    """

    times: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray


@dataclass(eq=False)
class Gaps:
    """Counts of an area's hours by blocks of fine points, as `placement.cover` makes them.

    Attributes:
      valid: known points over all hours, shape [by, bx].
      wet: those with 0.1 mm or more, shape [by, bx].
      wet_by_hour: wet points of each hour, by its time.
    """

    valid: np.ndarray
    wet: np.ndarray
    wet_by_hour: dict[np.datetime64, int] = field(default_factory=dict)


class Survey:
    """Gathers hours, in any order: `add` takes one, `update` what another survey has gathered.

    Small enough to be sent between processes.

    Attributes:
      gaps: by area.
      digests: hashes of the arrays of hours that have none yet, by area and time.
    """

    def __init__(self, areas: Sequence[Area], channels: list[str], config: DataConfig) -> None:
        self.gaps: dict[str, Gaps] = {}
        self.digests: dict[str, dict[str, dict[str, str]]] = {}
        self._counts = {name: np.zeros(0, np.int64) for name in (*SPLITS, "coarse")}
        self._rain = channels.index(RAIN_CHANNEL) if RAIN_CHANNEL in channels else None
        # Coarse rain that is made from the fine agrees with it by construction.
        compares = self._rain is not None and config.coarsen is None
        self._boxes = {area.name: divide(area) for area in areas} if compares else {}
        self._box_rain: dict[str, dict[np.datetime64, tuple[np.ndarray, np.ndarray]]] = {}

    def add(self, area: Area, index: int, coarse: np.ndarray, fine: np.ndarray) -> None:
        """Adds an hour: coarse [C, h, w] in canonical units, fine [H, W] in mm."""
        time = area.hours[index]
        if not (area.digests and area.digests[index]):
            self.digests.setdefault(area.name, {})[str(time)] = area.made_digests(index)
        self._count(area.splits[index], count_amounts(fine))
        valid, wet = area.cover(index).astype(np.int64)
        self._add_gaps(area.name, Gaps(valid, wet, {time: int(wet.sum())}))
        if self._rain is None:
            return
        rain = coarse[self._rain]
        self._count("coarse", count_amounts(rain))
        if self._boxes:
            where = self._boxes[area.name]
            self._box_rain.setdefault(area.name, {})[time] = (
                box_means(fine, *where.fine),
                box_means(rain[np.ix_(*where.cells)], *where.coarse),
            )

    def update(self, other: "Survey") -> None:
        """Adds the hours of another survey of the same store."""
        for name, counts in other._counts.items():
            self._count(name, counts)
        for name, digests in other.digests.items():
            self.digests.setdefault(name, {}).update(digests)
        for name, gaps in other.gaps.items():
            self._add_gaps(name, gaps)
        for name, hours in other._box_rain.items():
            self._box_rain.setdefault(name, {}).update(hours)

    def counts(self) -> dict[str, np.ndarray]:
        """Fine points by amount and split, and coarse points as 'coarse'.

        Each int64 [bins], all of one length; bin k holds k * BIN_MM.
        """
        size = max(len(counts) for counts in self._counts.values())
        return {name: _longer(counts, size) for name, counts in self._counts.items()}

    def box_rain(self) -> list[BoxRain]:
        """Rain of boxes, area by area; none where there is nothing to compare."""
        series = []
        for _, hours in sorted(self._box_rain.items()):
            times = sorted(hours)
            fine, coarse = (np.stack([hours[time][side] for time in times]) for side in (0, 1))
            series.append(BoxRain(np.asarray(times, "datetime64[s]"), fine, coarse))
        return series

    def _count(self, name: str, counts: np.ndarray) -> None:
        self._counts[name] = _add(self._counts[name], counts)

    def _add_gaps(self, name: str, more: Gaps) -> None:
        have = self.gaps.get(name)
        if have is None:
            self.gaps[name] = Gaps(more.valid.copy(), more.wet.copy(), dict(more.wet_by_hour))
            return
        have.valid += more.valid
        have.wet += more.wet
        have.wet_by_hour.update(more.wet_by_hour)


def count_amounts(rain_mm: np.ndarray) -> np.ndarray:
    """How many of the known values lie at each hundredth of a millimetre, int64, to the largest."""
    counts = np.zeros(0, np.int64)
    flat = rain_mm.reshape(-1)
    for start in range(0, flat.size, _AT_ONCE):
        part = flat[start : start + _AT_ONCE]
        known = part[np.isfinite(part)]
        bins = np.clip(np.rint(known / np.float32(BIN_MM)), 0, _LAST_BIN).astype(np.int32)
        counts = _add(counts, np.bincount(bins))
    return counts


def divide(area: Area) -> Boxes:
    """Divides an area into up to 8 x 8 boxes of whole coarse cells."""
    axes = [
        _starts(nearest_matrix(coarse, fine).argmax(axis=1))
        for coarse, fine in (
            (area.coarse_grid.y, area.fine_grid.y),
            (area.coarse_grid.x, area.fine_grid.x),
        )
    ]
    (fine_y, cells_y, coarse_y), (fine_x, cells_x, coarse_x) = axes
    return Boxes((fine_y, fine_x), (cells_y, cells_x), (coarse_y, coarse_x))


def box_means(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Means over boxes.

    Args:
      values: shape [H, W], NaN where missing.
      rows: first row of each box, ascending from 0.
      columns: first column of each box.

    Returns:
      float32 [rows * columns]; NaN where fewer than half of a box's points are known.
    """
    # A row of boxes at a time, so that what is made on the way stays small, whatever the size.
    sums, counts = [], []
    for top, bottom in itertools.pairwise([*rows, values.shape[0]]):
        band = values[top:bottom]
        valid = np.isfinite(band)
        known = np.where(valid, band, 0).sum(axis=0, dtype=np.float64)
        sums.append(np.add.reduceat(known, columns))
        counts.append(np.add.reduceat(np.count_nonzero(valid, axis=0), columns))
    count = np.stack(counts)
    sizes = np.outer(
        *(np.diff([*s, n]) for s, n in zip((rows, columns), values.shape, strict=True))
    )
    enough = count >= np.maximum(_MIN_VALID * sizes, 1)
    means = np.where(enough, np.stack(sums) / np.maximum(count, 1), np.nan)
    return means.ravel().astype(np.float32)


def _starts(owners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From the coarse cell of each fine point, first points of boxes, cells, first cells."""
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    firsts = np.array(
        [each[0] for each in np.array_split(np.arange(len(starts)), _BOXES) if each.size]
    )
    return starts[firsts], owners[starts], firsts


def _add(counts: np.ndarray, more: np.ndarray) -> np.ndarray:
    size = max(len(counts), len(more))
    return _longer(counts, size) + _longer(more, size)


def _longer(counts: np.ndarray, size: int) -> np.ndarray:
    return np.pad(counts, (0, size - len(counts)))
