"""Members that keep the coarse rain: the mean over each coarse cell is held to what came in.

In mm, cell by cell, after the chain. Where a cell has too much, its points are multiplied by one
factor; where too little, too, but by no more than `MOST_FACTOR`, and what is still lacking is laid
evenly over the cell: a single wet point is not blown up to a flood. So rain is never negative, and
a cell that is dry in the coarse rain is dry.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from jaxrain.errors import InputError
from jaxrain.grids.cells import whole_cells
from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.cases import Case

# Share of the way from a member's own mean to the coarse rain.
STRENGTHS = {"off": 0.0, "soft": 0.5, "hard": 1.0}

MOST_FACTOR = 4.0

# (rain of one field [H, W], its hour) -> the same held to the coarse rain
Adjust = Callable[[NDArray[np.float32], int], NDArray[np.float32]]


def consistent(case: Case, name: str) -> Adjust | None:
    """How the fields of a case are adjusted.

    Args:
      case: whose coarse rain it is.
      name: of `STRENGTHS`; soft goes half the way, hard all of it.

    Returns:
      None for off. Cells that the case holds only in part, or of which the coarse rain or a point
      is missing, stay as they are.

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
    rows, chosen_y = whole_cells(case.coarse_grid.y, case.fine_grid.y)  # [H, h]
    columns, chosen_x = whole_cells(case.coarse_grid.x, case.fine_grid.x)  # [W, w]

    def adjust(rain_mm: NDArray[np.float32], hour: int) -> NDArray[np.float32]:
        coarse = case.coarse[hour, channel][np.ix_(chosen_y, chosen_x)].astype(np.float64)
        return adjusted(rain_mm, coarse, rows, columns, strength)

    return adjust


def adjusted(
    rain_mm: NDArray[np.float32],
    coarse_mm: NDArray[np.float64],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    strength: float,
) -> NDArray[np.float32]:
    """One field held to the coarse rain.

    Args:
      rain_mm: [H, W], not negative, NaN where missing.
      coarse_mm: of the cells, [h, w], NaN where missing.
      rows: 1 where a row of points belongs to a row of cells, [H, h].
      columns: likewise, [W, w].
      strength: share of the way that each cell's mean goes.

    Returns:
      [H, W], not negative.
    """
    size = np.outer(rows.sum(0), columns.sum(0))
    missing = rows.T @ np.isnan(rain_mm).astype(np.float64) @ columns > 0
    mean = np.where(missing, np.nan, rows.T @ np.nan_to_num(rain_mm) @ columns / size)
    goal = mean + strength * (np.maximum(coarse_mm, 0) - mean)
    known = np.isfinite(goal)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.clip(np.where(mean > 0, goal / mean, 0.0), 0.0, MOST_FACTOR)
    factor = np.where(known, factor, 1.0)
    short = known & ((factor == MOST_FACTOR) | (mean == 0))
    lacking = np.where(short, goal - factor * mean, 0.0)
    change = rows @ (factor - 1) @ columns.T  # 0 outside whole cells
    result = rain_mm * (1 + change) + rows @ lacking @ columns.T
    return result.astype(np.float32)
