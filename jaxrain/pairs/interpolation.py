"""The interpolation matrices of an area, one pair per interpolation."""

from typing import NamedTuple

import numpy as np

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.grids.regrid import bilinear_matrix, nearest_matrix

_MATRIX = {"bilinear": bilinear_matrix, "nearest": nearest_matrix}


class Matrices(NamedTuple):
    """Weights of I interpolations: y [I, H, h] and x [I, W, w], float64, rows sum to 1."""

    y: np.ndarray
    x: np.ndarray


def interpolation_matrices(
    coarse: Grid, fine: Grid, interpolations: list[str], name: str = "the fine grid"
) -> Matrices:
    """Makes the matrices from a coarse grid to a fine one.

    Args:
      coarse: h x w points.
      fine: H x W points, inside the coarse grid's cells.
      interpolations: 'bilinear' and 'nearest', in order.
      name: of the fine grid, for messages.

    Raises:
      InputError: the grids are of different kinds, or the fine one reaches beyond the coarse
        one's cells; names both extents.
    """
    if coarse.projected != fine.projected:
        raise InputError(
            f"{name} is {_kind(fine)}, the predictors' grid is {_kind(coarse)}: both have to be "
            "of one kind; regrid one of them, or set data.coarsen"
        )
    try:
        return Matrices(
            y=np.stack([_MATRIX[kind](coarse.y, fine.y) for kind in interpolations]),
            x=np.stack([_MATRIX[kind](coarse.x, fine.x) for kind in interpolations]),
        )
    except ValueError as error:
        raise InputError(
            f"{name} ({fine.extent()}) lies outside the predictors' ({coarse.extent()}), {error}: "
            "bring predictors that cover it, or crop with data.region"
        ) from None


def interpolate(matrices: Matrices, field: np.ndarray) -> np.ndarray:
    """A coarse field [h, w] by the first interpolation, float64 [H, W].

    NaN where a point that counts is missing.
    """
    y, x = matrices.y[0], matrices.x[0]
    field = field.astype(np.float64)
    missing = y @ np.isnan(field) @ x.T > 0
    return np.where(missing, np.nan, y @ np.nan_to_num(field) @ x.T)


def _kind(grid: Grid) -> str:
    return "projected (km)" if grid.projected else "latitude-longitude"
