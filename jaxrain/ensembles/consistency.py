"""Members that keep the coarse rain: the mean over each coarse cell is held to what came in.

In mm, after the chain. Points are multiplied by a factor whose logarithm is interpolated between
the middles of cells, where rounds bring it to what their means need, and then, by what that leaves,
cell by cell: one factor a cell alone would draw the coarse grid into the rain. No point is
multiplied by more than `MOST_FACTOR`, which no cell goes beyond either, nor to more than a limit,
which every round heeds, so that what it cuts off goes to points nearby. Where that does not bring a
cell what it lacks, the rest is laid over all of it, most in its middle: a single wet point is not
blown up to a flood, and the more points a cell is wide, the smaller the edge that is drawn. So rain
is never negative, and a cell that is dry in the coarse rain is dry.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxrain.errors import InputError
from jaxrain.grids.cells import whole_cells
from jaxrain.grids.regrid import bilinear_matrix, nearest_matrix
from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.cases import Case

# Share of the way from a member's own mean to the coarse rain.
STRENGTHS = {"off": 0.0, "soft": 0.5, "hard": 1.0}

FORM = 7  # of how members are held; fields of another are not of one ensemble with these

MOST_FACTOR = 4.0

_ROUNDS = 20  # at most
_NEAR = 1e-6  # of every mean, relative: where they end

# Relative: what sums of a cell may differ by, which is nothing that a cell lacks.
_ROUNDING = 1e-12

# (rain of one field [H, W], its hour) -> the same held to the coarse rain
Adjust = Callable[[NDArray[np.float32], int], NDArray[np.float32]]


def consistent(case: Case, name: str, most_mm: float = math.inf) -> Adjust | None:
    """How the fields of a case are adjusted.

    Args:
      case: whose coarse rain it is.
      name: of `STRENGTHS`; soft goes half the way from the field's own means, hard all of it.
      most_mm: to which points are multiplied at most; those that have more keep it.

    Returns:
      None for off. Cells that the case holds only in part, or of which the coarse rain or a point
      is missing, keep their mean.

    Raises:
      InputError: the predictors hold no rain.
    """
    strength = STRENGTHS[name]
    if not strength:
        return None
    if RAIN_CHANNEL not in case.channels:
        raise InputError(
            f"sample.consistency={name}: the predictors ({', '.join(case.channels)}) hold no rain "
            f"to agree with; set it to off, or train with {RAIN_CHANNEL}"
        )
    channel = case.channels.index(RAIN_CHANNEL)
    y = Axis.of(case.coarse_grid.y, case.fine_grid.y)
    x = Axis.of(case.coarse_grid.x, case.fine_grid.x)

    def adjust(rain_mm: NDArray[np.float32], hour: int) -> NDArray[np.float32]:
        own = cell_means(rain_mm, y, x)
        coarse = np.maximum(case.coarse[hour, channel][np.ix_(y.chosen, x.chosen)], 0)
        return adjusted(rain_mm, own + strength * (coarse - own), y, x, most_mm)

    return adjust


def nothing_held(case: Case, name: str) -> list[str]:
    """Says in a line that a case is too small for consistency to change it."""
    if not STRENGTHS[name] or RAIN_CHANNEL not in case.channels:
        return []
    coarse, fine = case.coarse_grid, case.fine_grid
    if Axis.of(coarse.y, fine.y).chosen.size and Axis.of(coarse.x, fine.x).chosen.size:
        return []
    return [f"{case.name} holds no coarse cell whole: consistency={name} changes nothing there"]


@dataclass(frozen=True, eq=False)
class Axis:
    """The cells of one axis of the fine grid, m points, k cells of which n are whole.

    Attributes:
      chosen: which of them are whole, [n].
      member: 1 where a point belongs to a whole cell, else 0, [m, n].
      nearest: 1 where a point belongs to a cell, whole or not, else 0, [m, k].
      smooth: weights of cells on points, [m, k]: on the middle half of each its own alone, from
        there to the next one's middle half evenly less.
    """

    chosen: NDArray[np.intp]
    member: NDArray[np.float64]
    nearest: NDArray[np.float64]
    smooth: NDArray[np.float64]

    @classmethod
    def of(cls, coarse: NDArray[np.float64], fine: NDArray[np.float64]) -> "Axis":
        """From the centres of the cells and the points."""
        member, chosen = whole_cells(coarse, fine)
        smooth = np.clip(2 * bilinear_matrix(coarse, fine) - 0.5, 0, 1)
        return cls(chosen, member, nearest_matrix(coarse, fine), smooth)

    @functools.cached_property
    def cell(self) -> NDArray[np.intp]:
        """Which cell each point belongs to, [m]."""
        return self.nearest.argmax(1)

    @functools.cached_property
    def runs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where the points of each cell that has some begin, and which cell it is."""
        starts = np.flatnonzero(np.diff(self.cell, prepend=-1))
        return starts, self.cell[starts]

    @functools.cached_property
    def pairs(self) -> tuple[tuple[NDArray[np.intp], NDArray[np.float64]], ...]:
        """`smooth`, of which a row has two weights at most: two cells and weights, each [m]."""
        used, rows = self.smooth > 0, np.arange(len(self.smooth))
        first, last = used.argmax(1), used.shape[1] - 1 - used[:, ::-1].argmax(1)
        other = np.where(first == last, 0.0, self.smooth[rows, last])
        return (first, self.smooth[rows, first]), (last, other)

    @functools.cached_property
    def middle(self) -> NDArray[np.float64]:
        """Rises from the edges of each cell to its middle, 1 on average, 0 outside cells, [m]."""
        size = self.member.sum(0)
        place = (self.member * np.cumsum(self.member, axis=0)).sum(1)
        inwards = np.minimum(place, self.member @ (size + 1) - place)
        mean: NDArray[np.float64] = self.member @ (self.member.T @ inwards / size)
        return np.divide(inwards, mean, out=np.zeros_like(mean), where=mean > 0)


def cell_means(rain_mm: NDArray[np.floating], y: Axis, x: Axis) -> NDArray[np.float64]:
    """Of the whole cells, [h, w]; missing points [H, W] count as dry."""
    rain = np.nan_to_num(rain_mm.astype(np.float64))
    sums = _sums(rain, y, x)[np.ix_(y.chosen, x.chosen)]
    return sums / np.outer(y.member.sum(0), x.member.sum(0))


# Products with the matrices of the axes would be the same, and most of the time where cells are
# narrow: a cell's points are neighbours, and a point has a cell or two.


def _sums(field: NDArray[np.float64], y: Axis, x: Axis) -> NDArray[np.float64]:
    """Over the points of each cell, [H, W] -> [h, w]."""
    (rows, of_rows), (columns, of_columns) = y.runs, x.runs
    found = np.zeros((y.nearest.shape[1], x.nearest.shape[1]))
    along = np.add.reduceat(field, columns, axis=1)
    found[np.ix_(of_rows, of_columns)] = np.add.reduceat(along, rows, axis=0)
    return found


def _spread(cells: NDArray[np.float64], y: Axis, x: Axis) -> NDArray[np.float64]:
    """Each cell's value at all its points, [h, w] -> [H, W]."""
    return cells.take(y.cell, 0).take(x.cell, 1)


def _between(cells: NDArray[np.float64], y: Axis, x: Axis) -> NDArray[np.float64]:
    """Values of cells, weighed by `smooth`, [h, w] -> [H, W]."""
    (above, of_above), (below, of_below) = y.pairs
    (left, of_left), (right, of_right) = x.pairs
    rows = cells[above] * of_above[:, None] + cells[below] * of_below[:, None]
    found: NDArray[np.float64] = rows.take(left, 1) * of_left
    found += rows.take(right, 1) * of_right
    return found


def adjusted(
    rain_mm: NDArray[np.float32],
    goal_mm: NDArray[np.float64],
    y: Axis,
    x: Axis,
    most_mm: float = math.inf,
) -> NDArray[np.float32]:
    """One field whose cells get the means that they are to have.

    Args:
      rain_mm: [H, W], not negative, NaN where missing.
      goal_mm: of the whole cells, [h, w], NaN where missing.
      y: rows of points and of cells.
      x: columns.
      most_mm: to which points are multiplied at most; those that have more keep it.

    Returns:
      [H, W], not negative.
    """
    rain = np.nan_to_num(rain_mm.astype(np.float64))
    size = np.maximum(np.outer(y.nearest.sum(0), x.nearest.sum(0)), 1)

    def means(field: NDArray[np.float64]) -> NDArray[np.float64]:
        return _sums(field, y, x) / size

    # Of all cells; those that have no goal are to keep their mean.
    goal, whole = means(rain), np.ix_(y.chosen, x.chosen)
    known = np.isfinite(goal_mm) & (means(np.isnan(rain_mm).astype(np.float64))[whole] == 0)
    goal[whole] = np.where(known, goal_mm, goal[whole])
    limit = np.clip(_ratio(np.full_like(rain, most_mm), rain), 1.0, MOST_FACTOR)
    most = means(rain * limit)
    has_say = (goal > 0).astype(np.float64)  # a dry cell takes nothing from its neighbours
    weight = _between(has_say, y, x)
    factor, logarithm = np.ones_like(rain), np.zeros_like(goal)
    for _ in range(_ROUNDS):
        before, ratio = logarithm, _ratio(goal, means(rain * factor))
        logarithm = before + np.log(ratio, out=np.zeros_like(ratio), where=has_say > 0)
        logarithm = np.minimum(logarithm, math.log(MOST_FACTOR))
        if np.abs(logarithm - before).max(initial=0) < _NEAR:
            break
        between = _between(logarithm, y, x)
        factor = np.minimum(
            np.exp(np.divide(between, weight, out=between, where=weight > 0)), limit
        )
    factor = np.minimum(factor * _spread(_ratio(goal, means(rain * factor)), y, x), limit)
    # What the limit cut off goes to the points below it, all by one share of what they may take.
    held = means(rain * factor)
    room = most - held
    share = np.divide(goal - held, room, out=np.zeros_like(goal), where=room > 0)
    factor += _spread(np.clip(share, 0, 1), y, x) * (limit - factor)
    short = goal > most * (1 + _ROUNDING)
    lacking = np.where(short, np.maximum(goal - means(rain * factor), 0), 0.0)
    laid = _spread(lacking, y, x) * np.outer(y.middle, x.middle)
    return (rain_mm * factor + laid).astype(np.float32)


def _ratio(goal: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """goal / mean; 1 where there is nothing to multiply."""
    return np.divide(goal, mean, out=np.ones_like(goal), where=mean > 0)
