"""Coarse cells and the fine points that lie in them."""

import numpy as np
from numpy.typing import NDArray

from jaxrain.grids.regrid import nearest_matrix

# Of a fine cell: how far rounding may carry the edge of a coarse cell beyond the window's.
_ROUNDING = 0.1


def whole_cells(
    coarse: NDArray[np.float64], fine: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Cells of one axis that lie wholly among the fine points.

    Args:
      coarse: centres of the cells, [k].
      fine: points, [m].

    Returns:
      (1 where a point belongs to a whole cell, else 0, [m, n]; which cells are whole, [n]). Cells
      finer than the points may have none, and are left out.
    """
    if min(len(coarse), len(fine)) < 2:  # whose width nothing tells
        return np.zeros((len(fine), 0)), np.arange(0)
    half = np.abs(np.gradient(coarse)) / 2
    point = np.abs(np.diff(fine)).mean()
    margin = (0.5 + _ROUNDING) * point
    inside = (coarse - half >= fine.min() - margin) & (coarse + half <= fine.max() + margin)
    nearest = nearest_matrix(coarse, fine)
    chosen = np.flatnonzero(inside & (nearest.sum(0) > 0))
    return nearest[:, chosen], chosen


def points_across(coarse: NDArray[np.float64], fine: NDArray[np.float64]) -> int:
    """How many points of one axis a coarse cell is wide, rounded, 1 or more.

    1 where an axis has one point alone, whose width nothing tells.
    """
    if min(len(coarse), len(fine)) < 2:
        return 1
    wide, narrow = (float(np.abs(np.diff(axis)).mean()) for axis in (coarse, fine))
    return max(round(wide / narrow), 1)
