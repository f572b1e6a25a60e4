"""A field on its grid as a map: the right way up, in true proportions, unknown points hatched."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from jaxrain.grids.grid import Grid
from jaxrain.pages.palette import MISSING

_MAP_INCHES = 3.1


def map_inches(grid: Grid) -> tuple[float, float]:
    """Height and width of a map of the grid."""
    rows, columns = grid.shape
    ratio = rows / columns * cell_aspect(grid)
    return float(np.clip(_MAP_INCHES * ratio, 1.6, 5.0)), _MAP_INCHES


def cell_aspect(grid: Grid) -> float:
    """How much taller a cell is than wide, on the ground."""
    return _aspect(grid) * _cell(grid.y) / _cell(grid.x)


def draw_field(ax: Axes, grid: Grid, values: np.ndarray, title: str, **style: Any) -> Any:
    """Draws a field [H, W], NaN where not known.

    Args:
      ax: where.
      grid: H x W points.
      values: the field.
      title: plain text.
      style: `cmap` and `norm` and whatever else goes to imshow.

    Returns:
      The image, for a colour scale.
    """
    west, east, south, north = map_extent(grid)
    upright = values if grid.y[0] > grid.y[-1] else values[::-1]
    # Unknown points are left open, and what shines through is hatched: not to be taken for dry.
    hatched = Rectangle(
        (0, 0), 1, 1, transform=ax.transAxes, facecolor=MISSING, edgecolor="#8a8a8a", hatch="////"
    )
    hatched.set(linewidth=0, zorder=0)
    ax.add_patch(hatched)
    style["cmap"] = colormaps.get_cmap(style["cmap"]).with_extremes(bad=(0, 0, 0, 0))
    image = ax.imshow(
        np.ma.masked_invalid(upright),
        extent=(west, east, south, north),
        interpolation="nearest",
        aspect=_aspect(grid),
        zorder=1,
        **style,
    )
    ax.set_title(title, fontsize=10)
    ax.tick_params(labelsize=7, length=2)
    ax.locator_params(nbins=4)
    unit = "{x:g}" if grid.projected else "{x:g}°"
    ax.xaxis.set_major_formatter(unit)
    ax.yaxis.set_major_formatter(unit)
    return image


def map_extent(grid: Grid) -> tuple[float, float, float, float]:
    """West, east, south and north rim of the outermost cells."""
    half_y, half_x = _cell(grid.y) / 2, _cell(grid.x) / 2
    return (
        grid.x.min() - half_x,
        grid.x.max() + half_x,
        grid.y.min() - half_y,
        grid.y.max() + half_y,
    )


def _cell(axis: np.ndarray) -> float:
    return abs(float(axis[-1] - axis[0])) / (len(axis) - 1)


def _aspect(grid: Grid) -> float:
    """How much longer a unit of y is than one of x."""
    return 1.0 if grid.projected else 1 / float(np.cos(np.radians(grid.y.mean())))
