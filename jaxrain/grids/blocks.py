"""Squares of a few points, laid along the lines of an area's grid, and means over them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from jaxrain.grids.grid import Grid
from jaxrain.grids.regrid import block_mean


@dataclass(frozen=True)
class Blocks:
    """Those that a piece of an area touches.

    Attributes:
      side: of one [points].
      before: rows and columns that the first of them reach beyond the piece.
      counts: of blocks, rows and columns.
    """

    side: int
    before: tuple[int, int]
    counts: tuple[int, int]

    @classmethod
    def touched(cls, origin: tuple[int, int], shape: tuple[int, int], side: int) -> "Blocks":
        """Of a piece of H x W points at `origin` in its area's grid, whose first block begins with
        the area's first point."""
        before = origin[0] % side, origin[1] % side
        counts = -(-(before[0] + shape[0]) // side), -(-(before[1] + shape[1]) // side)
        return cls(side, before, counts)

    def grid(self, fine: Grid) -> Grid:
        """Their centres, of a piece's own grid, as that would go on beyond its edges."""
        whole = fine.padded(self.before, (self.counts[0] * self.side, self.counts[1] * self.side))
        y, x = (axis.reshape(-1, self.side).mean(1) for axis in (whole.y, whole.x))
        return Grid(y, x, fine.projected)

    def means(self, field: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of a piece's field [H, W], NaN where missing: over what is known of each block, and of a
        block of which nothing is, that of the nearest other (0 where there is none); [k, l]."""
        pads = [
            (before, count * self.side - before - points)
            for before, count, points in zip(self.before, self.counts, field.shape, strict=True)
        ]
        means = block_mean(np.pad(field, pads, constant_values=np.nan), self.side, min_valid=0)
        missing = np.isnan(means)
        if missing.all():
            return np.zeros_like(means)
        nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
        return means[tuple(nearest)]
