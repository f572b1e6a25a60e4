"""A rectangular grid: two axes, on the sphere or on a map projection."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_KM_PER_DEGREE = np.pi / 180 * 6371.0

# Axes are files' decimals: two readers may differ in the last digits of the same grid.
_SAME_AXIS = 1e-3  # of a grid cell


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid of H x W points.

    Attributes:
      y: shape [H]; latitude in degrees, or km on a projection. Monotonic.
      x: shape [W]; longitude in degrees, or km on a projection. Monotonic.
      projected: whether y and x are km.
      latitude: shape [H, W], degrees, where known for a projected grid.
      longitude: shape [H, W], degrees, where known for a projected grid.
      mapping: attributes of CF's grid mapping, where known for a projected grid.
    """

    y: np.ndarray
    x: np.ndarray
    projected: bool = False
    latitude: np.ndarray | None = None
    longitude: np.ndarray | None = None
    mapping: Mapping[str, str | float] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return len(self.y), len(self.x)

    def window(self, y0: int, x0: int, height: int, width: int) -> "Grid":
        """The grid of rows y0..y0+height and columns x0..x0+width.

        Raises:
          ValueError: the window leaves the grid.
        """
        rows, columns = self.shape
        if not (0 <= y0 <= y0 + height <= rows and 0 <= x0 <= x0 + width <= columns):
            raise ValueError(
                f"window of {height} x {width} at ({y0}, {x0}) leaves a grid of {rows} x {columns}"
            )
        ys, xs = slice(y0, y0 + height), slice(x0, x0 + width)
        return Grid(
            y=self.y[ys],
            x=self.x[xs],
            projected=self.projected,
            latitude=None if self.latitude is None else self.latitude[ys, xs],
            longitude=None if self.longitude is None else self.longitude[ys, xs],
            mapping=self.mapping,
        )

    def padded(self, before: tuple[int, int], shape: tuple[int, int]) -> "Grid":
        """The grid that goes on around this one as its points do near its edges.

        Args:
          before: rows and columns more at its beginning.
          shape: of the whole, at least as much as this grid and what comes before it.
        """
        after = (n - first - own for n, first, own in zip(shape, before, self.shape, strict=True))
        beyond = list(zip(before, after, strict=True))

        def more(values: np.ndarray | None, pads: list[tuple[int, int]]) -> np.ndarray | None:
            if values is None:
                return None
            return np.pad(values, pads, mode="reflect", reflect_type="odd")

        y, x = more(self.y, beyond[:1]), more(self.x, beyond[1:])
        assert y is not None
        assert x is not None
        places = more(self.latitude, beyond), more(self.longitude, beyond)
        return Grid(y, x, self.projected, *places, self.mapping)

    def same_as(self, other: "Grid") -> bool:
        """Whether both have the same points, to a thousandth of a cell."""
        return (
            self.projected == other.projected
            and _same_axis(self.y, other.y)
            and _same_axis(self.x, other.x)
        )

    def spacing_km(self) -> float:
        """Distance of neighbouring points: the geometric mean of both directions, mid-grid."""
        y, x = (abs(axis[-1] - axis[0]) / (len(axis) - 1) for axis in (self.y, self.x))
        if self.projected:
            return float(np.sqrt(y * x))
        narrowing = np.cos(np.radians(self.y.mean()))
        return float(_KM_PER_DEGREE * np.sqrt(y * x * narrowing))

    def extent(self) -> str:
        """The outermost points, for messages: '10.00..20.00 N, 100.00..110.00 E'."""
        units = ("km", "km") if self.projected else ("N", "E")
        axes = zip((self.y, self.x), units, strict=True)
        return ", ".join(f"{axis.min():.2f}..{axis.max():.2f} {unit}" for axis, unit in axes)


def _same_axis(a: np.ndarray, b: np.ndarray) -> bool:
    if len(a) != len(b):
        return False
    cell = float(np.min(np.abs(np.diff(a)))) if len(a) > 1 else 1.0
    return bool(np.max(np.abs(a - b), initial=0.0) <= _SAME_AXIS * cell)
