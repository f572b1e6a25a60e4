"""A canvas: the field that is sampled, with its tiles and its interpolation from coarse fields."""

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


@dataclass(frozen=True, eq=False)
class Canvas:
    """Where a field is sampled: its tiles, its place in the area's grid, its interpolation.

    Attributes:
      lattice: of tiles, over the field.
      weights_y: rows of the interpolation matrices at the canvas's rows, [I, Hp, k].
      weights_x: likewise for columns, [I, Wp, l].
      origin: row and column of the first pixel in the area's grid, which noise is indexed by.
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
    maps: NDArray[np.float32] | None = None,
) -> Canvas:
    """Lays tiles over a fine grid and finds its interpolation from the coarse one.

    Args:
      fine: grid of the field to be made, H x W.
      coarse: grid of the predictors, k x l.
      interpolations: 'bilinear' and 'nearest', in the order of the network's channels.
      origin: row and column of `fine`'s first point in its area's grid.
      tile: edge of a tile [pixels].
      overlap: pixels shared by neighbouring tiles.
      maps: static fields and position at `fine`'s points in the network's units, [H, W, M].

    Raises:
      InputError: `fine` reaches more than half a cell beyond `coarse`.
      ValueError: there is no such lattice.
    """
    lattice = Lattice(fine.shape, tile, overlap)

    matrices = interpolation_matrices(coarse, fine, list(interpolations))

    def padded(weights: NDArray, length: int) -> NDArray[np.float32]:
        beyond = length - weights.shape[1]  # the padding takes the edge's predictors
        return np.pad(weights, ((0, 0), (0, beyond), (0, 0)), mode="edge").astype(np.float32)

    height, width = lattice.canvas
    if maps is not None:
        beyond = (height - maps.shape[0], width - maps.shape[1])
        maps = np.pad(maps, ((0, beyond[0]), (0, beyond[1]), (0, 0)), mode="edge")
    weights = padded(matrices.y, height), padded(matrices.x, width)
    cell = points_across(coarse.y, fine.y), points_across(coarse.x, fine.x)
    return Canvas(lattice, *weights, origin, cell, maps)


def items_at_once(canvas: Canvas, config: SampleConfig, mesh: Mesh | None = None) -> int:
    """How many members and hours to sample together: enough to fill the network's batch.

    A canvas of many tiles fills it alone; so memory grows with neither members nor hours.
    """
    rows, columns = canvas.lattice.counts
    return max(1, config.batch // (rows * columns)) * (1 if mesh is None else mesh.shape[FIELDS])
