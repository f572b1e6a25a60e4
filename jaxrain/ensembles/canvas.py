"""A canvas: the field that is sampled, with its tiles and its interpolation from coarse fields."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from jaxrain.ensembles.settings import SampleConfig
from jaxrain.ensembles.sharing import FIELDS
from jaxrain.grids.cells import points_across
from jaxrain.grids.grid import Grid
from jaxrain.grids.tiling import Lattice
from jaxrain.pairs.interpolation import interpolation_matrices

FORM = 2  # of what lies around a field and of where tiles begin; see `fingerprint`

# (points, row and column of their first in the area's grid) -> what the network knows of them
Maps = Callable[[Grid, tuple[int, int]], NDArray[np.float32] | None]


@dataclass(frozen=True, eq=False)
class Canvas:
    """Where a field is sampled: its tiles, its place in the area's grid, its interpolation.

    Attributes:
      lattice: of tiles, over the field.
      weights_y: rows of the interpolation matrices at the canvas's rows, [I, Hp, k].
      weights_x: likewise for columns, [I, Wp, l].
      origin: row and column of the canvas's first pixel in the area's grid, which noise is indexed
        by.
      cell: pixels that a coarse cell is wide, rows and columns.
      maps: static fields and position in the network's units, [Hp, Wp, M]; None for none.
    """

    lattice: Lattice
    weights_y: NDArray[np.float32]
    weights_x: NDArray[np.float32]
    origin: tuple[int, int]
    cell: tuple[int, int]
    maps: NDArray[np.float32] | None = None


def make_canvas(
    fine: Grid,
    coarse: Grid,
    *,
    interpolations: list[str] | tuple[str, ...],
    origin: tuple[int, int] = (0, 0),
    tile: int,
    overlap: int,
    maps: Maps | None = None,
) -> Canvas:
    """Lays tiles over a fine grid and finds its interpolation from the coarse one.

    Around the field the canvas shows the network what the predictors hold there, as far as they
    reach.

    Args:
      fine: grid of the field to be made, H x W.
      coarse: grid of the predictors, k x l.
      interpolations: 'bilinear' and 'nearest', in the order of the network's channels.
      origin: row and column of `fine`'s first point in its area's grid.
      tile: edge of a tile [pixels].
      overlap: pixels shared by neighbouring tiles.
      maps: from the canvas's grid and its first point's row and column in the area's to static
        fields and position there, in the network's units, [Hp, Wp, M]; None for none.

    Raises:
      InputError: `fine` reaches more than half a cell beyond `coarse`.
      ValueError: there is no such lattice.
    """
    lattice = Lattice.anchored(fine.shape, tile, overlap, origin)
    interpolation_matrices(coarse, fine, list(interpolations))  # refuses what they do not cover
    whole = fine.padded(lattice.before, lattice.canvas)
    first = origin[0] - lattice.before[0], origin[1] - lattice.before[1]
    # Beyond the predictors' edges, those at the edge: of the padding alone.
    reached = dataclasses.replace(whole, y=_within(whole.y, coarse.y), x=_within(whole.x, coarse.x))
    matrices = interpolation_matrices(coarse, reached, list(interpolations))
    return Canvas(
        lattice,
        matrices.y.astype(np.float32),
        matrices.x.astype(np.float32),
        first,
        (points_across(coarse.y, fine.y), points_across(coarse.x, fine.x)),
        None if maps is None else maps(whole, first),
    )


def _within(points: NDArray[np.float64], coarse: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points of one axis, those beyond the outermost of another on that one."""
    return np.clip(points, coarse.min(), coarse.max())


def items_at_once(canvas: Canvas, config: SampleConfig, mesh: Mesh | None = None) -> int:
    """How many members and hours to sample together: enough to fill the network's batch.

    A canvas of many tiles fills it alone; so memory grows with neither members nor hours.
    """
    rows, columns = canvas.lattice.counts
    return max(1, config.batch // (rows * columns)) * (1 if mesh is None else mesh.shape[FIELDS])
