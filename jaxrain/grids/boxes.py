"""A box of latitudes and longitudes as a piece of a grid, or of the grid as it would go on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxrain.grids.grid import Grid

# Of a cell: how far a point may lie beyond the box, for boxes are told in decimals.
_ROUNDING = 0.01
# Of a cell: how far a grid may be from even, which goes on beyond its edges.
_EVEN = 0.05
_FARTHEST = 720.0  # degrees of longitude, of any turn


class Box(NamedTuple):
    """In degrees; where `west` exceeds `east` the box crosses the date line."""

    north: float
    west: float
    south: float
    east: float

    def __str__(self) -> str:
        over = " over the date line" * (self.west > self.east)
        return f"{self.south:g}..{self.north:g} N, {self.west:g}..{self.east:g} E{over}"


class Piece(NamedTuple):
    """Points of a box.

    Attributes:
      grid: they, H x W.
      origin: row and column of the first in the whole grid, below 0 before it begins.
      beyond: how many of them are beyond the whole grid's edges.
      cut: whether the box seems to go on where a projected grid ends.
    """

    grid: Grid
    origin: tuple[int, int]
    beyond: int
    cut: bool = False


def boxed(whole: Grid, box: Box) -> Piece:
    """The points of a grid, as it goes on beyond its edges, that lie in a box.

    Of a projected grid, which is not known beyond its edges, the smallest rectangle of points that
    holds all that lie in the box.

    Args:
      whole: on the sphere, even; or projected, with latitude and longitude.
      box: the edges belong to it.

    Raises:
      ValueError: the box is none, holds fewer than two rows and columns of points, or the grid is
        projected and doesn't know where its points lie, or is uneven and ends within the box.
    """
    _check(box)
    piece = _piece(whole, box)
    if min(piece.grid.shape) < 2:
        rows, columns = piece.grid.shape
        raise ValueError(f"holds {rows} x {columns} points, expected 2 x 2 or more: make it larger")
    return piece


def is_located(whole: Grid) -> bool:
    """Whether a grid knows the latitude and longitude of its points."""
    return not whole.projected or (whole.latitude is not None and whole.longitude is not None)


def overlaps(whole: Grid, box: Box) -> bool:
    """Whether any point of the grid lies in the box, one is enough; else errors as `boxed`."""
    _check(box)
    try:
        piece = _piece(whole, box)
    except _NoPoints:
        return False
    return piece.beyond < piece.grid.shape[0] * piece.grid.shape[1]


def _check(box: Box) -> None:
    if not -90 <= box.south < box.north <= 90:
        raise ValueError(
            f"south {box.south:g} and north {box.north:g}: expected -90 <= south < north <= 90"
        )
    if not max(abs(box.west), abs(box.east)) <= _FARTHEST or box.west == box.east:
        raise ValueError(
            f"west {box.west:g} and east {box.east:g}: expected two longitudes in degrees"
        )


def _piece(whole: Grid, box: Box) -> Piece:
    return _projected(whole, box) if whole.projected else _on_sphere(whole, box)


class _NoPoints(ValueError):
    """The box holds none."""


def _on_sphere(whole: Grid, box: Box) -> Piece:
    west, east = _same_turn(box, whole.x)
    rows, columns = (
        _indices(axis, low, high)
        for axis, low, high in ((whole.y, box.south, box.north), (whole.x, west, east))
    )
    grid = Grid(_points(whole.y, rows), _points(whole.x, columns))
    inside = [
        int(((indices >= 0) & (indices < size)).sum())
        for indices, size in zip((rows, columns), whole.shape, strict=True)
    ]
    beyond = len(rows) * len(columns) - inside[0] * inside[1]
    return Piece(grid, (int(rows[0]), int(columns[0])), beyond)


def _projected(whole: Grid, box: Box) -> Piece:
    if whole.latitude is None or whole.longitude is None:  # as `is_located` says
        raise ValueError("the grid is projected, and its files hold no latitude and longitude")
    west, east = _same_turn(box, whole.longitude)
    within = (whole.latitude >= box.south) & (whole.latitude <= box.north)
    within &= (whole.longitude >= west) & (whole.longitude <= east)
    if not within.any():
        raise _NoPoints(f"no point of the grid lies in {box}")
    rows, columns = (np.flatnonzero(within.any(axis=axis)) for axis in (1, 0))
    y, x = int(rows[0]), int(columns[0])
    cut = bool(max(within[0].any(), within[-1].any(), within[:, 0].any(), within[:, -1].any()))
    size = int(rows[-1]) - y + 1, int(columns[-1]) - x + 1
    return Piece(whole.window(y, x, *size), (y, x), 0, cut)


def _same_turn(box: Box, longitudes: NDArray[np.float64]) -> tuple[float, float]:
    """West and east of the box in that turn of the globe in which it holds most longitudes, or
    where it holds none lies nearest; of a box around the globe, all of them."""
    first, last = float(np.nanmin(longitudes)), float(np.nanmax(longitudes))
    east = box.east + 360.0 * (box.east < box.west)
    if east - box.west >= 360:
        return first, last
    nearest = np.round(((first + last) / 2 - (box.west + east) / 2) / 360.0)
    turns = 360.0 * (nearest + np.array([0, -1, 1]))
    shared = np.minimum(east + turns, last) - np.maximum(box.west + turns, first)
    turn = float(turns[np.argmax(np.maximum(shared, 0))])
    return box.west + turn, east + turn


def _indices(axis: NDArray[np.float64], low: float, high: float) -> NDArray[np.intp]:
    """Of the points from low to high, counted from the axis's first."""
    if len(axis) < 2:
        raise ValueError("the grid has one point along an axis, whose spacing nothing tells")
    step = (axis[-1] - axis[0]) / (len(axis) - 1)
    if np.abs(np.diff(axis) / step - 1).max() <= _EVEN:
        ends = sorted(((low - axis[0]) / step, (high - axis[0]) / step))
        found = np.arange(np.ceil(ends[0] - _ROUNDING), np.floor(ends[1] + _ROUNDING) + 1)
    else:
        found = np.flatnonzero((axis >= low) & (axis <= high))
        if found.size and (low < axis.min() or high > axis.max()):
            raise ValueError(f"the grid is uneven and ends between {low:g} and {high:g}")
    if not found.size:
        raise _NoPoints(f"no point lies between {low:g} and {high:g}")
    return found.astype(np.intp)


def _points(axis: NDArray[np.float64], indices: NDArray[np.intp]) -> NDArray[np.float64]:
    """The axis at indices, going on evenly beyond its ends; inside, its own values."""
    step = (axis[-1] - axis[0]) / (len(axis) - 1)
    within = np.clip(indices, 0, len(axis) - 1)
    points: NDArray[np.float64] = axis[within] + step * (indices - within)
    return points
