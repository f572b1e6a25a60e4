"""A lattice of overlapping tiles over a field of any size, and weights that blend them seamlessly.

Along an axis that is longer than a tile, tiles start at multiples of `tile - overlap` from the
first pixel of the grid that the field is a piece of, so that pieces of one grid are cut along the
same lines. A shorter axis is one tile, which starts with it. The *canvas* is the field padded on
both sides to the lattice's ends. So where a tile of a longer axis lies depends on the grid, the
tile and the overlap alone, never on how far the field goes on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lattice:
    """Where tiles lie over a field.

    Attributes:
      shape: (height, width) of the field [pixels].
      tile: edge of a tile [pixels].
      overlap: pixels shared by neighbouring tiles, less than `tile`.
      before: pixels of the canvas before the field's first row and column, less than `tile -
        overlap`.
    """

    shape: tuple[int, int]
    tile: int
    overlap: int
    before: tuple[int, int] = (0, 0)

    @classmethod
    def anchored(
        cls, shape: tuple[int, int], tile: int, overlap: int, origin: tuple[int, int]
    ) -> "Lattice":
        """The lattice over a piece of a grid.

        Args:
          shape: (height, width) of the piece [pixels].
          tile: edge of a tile [pixels].
          overlap: pixels shared by neighbouring tiles.
          origin: row and column of the piece's first pixel in the grid; below 0 beyond it.

        Raises:
          ValueError: there is no such lattice.
        """
        cls(shape, tile, overlap)  # refused before a stride of 0 divides
        stride = tile - overlap
        y, x = (at % stride if n > tile else 0 for at, n in zip(origin, shape, strict=True))
        return cls(shape, tile, overlap, (y, x))

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.tile < 1 or not 0 <= self.overlap < self.tile:
            raise ValueError(
                f"no lattice of tiles of {self.tile} with overlap {self.overlap} over a field of "
                f"{self.shape}: sizes must be positive, and the overlap less than the tile"
            )

    @property
    def counts(self) -> tuple[int, int]:
        """Tiles along y and x: as few as cover the field."""
        stride = self.tile - self.overlap
        reach = (first + n for first, n in zip(self.before, self.shape, strict=True))
        rows, columns = (1 + max(0, -(-(n - self.tile) // stride)) for n in reach)
        return rows, columns

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) of the padded field, which the tiles cover exactly [pixels]."""
        stride = self.tile - self.overlap
        rows, columns = self.counts
        return (rows - 1) * stride + self.tile, (columns - 1) * stride + self.tile

    @property
    def corners(self) -> NDArray[np.int32]:
        """First row and column of every tile on the canvas, row by row, shape [tiles, 2]."""
        stride = self.tile - self.overlap
        rows, columns = (np.arange(n, dtype=np.int32) * stride for n in self.counts)
        return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)

    @property
    def field(self) -> tuple[slice, slice]:
        """Rows and columns of the canvas that are the field's."""
        rows, columns = (
            slice(first, first + n) for first, n in zip(self.before, self.shape, strict=True)
        )
        return rows, columns


def taper(tile: int, overlap: int) -> NDArray[np.float64]:
    """A raised-cosine window, shape [tile]: 1 inside, falling towards 0 over `overlap` pixels.

    Two such windows that overlap by `overlap <= tile / 2` pixels sum to 1 between them, because
    sin^2 + cos^2 = 1; larger overlaps need the normalisation of `axis_weights`.
    """
    if overlap == 0:
        return np.ones(tile)
    # Half-pixel centres keep the outermost weight above 0: it is divided by where it stands alone.
    ramp = np.sin(np.pi / 2 * np.minimum((np.arange(tile) + 0.5) / overlap, 1.0)) ** 2
    return np.minimum(ramp, ramp[::-1])


def axis_weights(count: int, tile: int, overlap: int) -> NDArray[np.float64]:
    """Weights of the tiles of one axis, shape [count, tile]; at every pixel they sum to 1.

    Args:
      count: tiles along the axis.
      tile: edge of a tile [pixels].
      overlap: pixels shared by neighbours.
    """
    stride = tile - overlap
    window = taper(tile, overlap)
    total = np.zeros((count - 1) * stride + tile)
    for start in range(0, count * stride, stride):
        total[start : start + tile] += window
    return np.stack([window / total[k * stride : k * stride + tile] for k in range(count)])


def blend_weights(lattice: Lattice) -> NDArray[np.float64]:
    """Weights of every tile, in the order of `lattice.corners`, shape [tiles, tile, tile].

    They are separable, and at every pixel of the canvas those of the tiles over it sum to 1.
    """
    rows, columns = (axis_weights(n, lattice.tile, lattice.overlap) for n in lattice.counts)
    weights = rows[:, None, :, None] * columns[None, :, None, :]
    return weights.reshape(-1, lattice.tile, lattice.tile)
