"""Maps: where the fine rain is missing and where it rains, and a pair side by side."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from jaxrain.grids.grid import Grid
from jaxrain.pages.field_map import draw_field, map_extent, map_inches
from jaxrain.pages.palette import (
    DIFFERENCE_EDGES_MM,
    GAP_EDGES,
    RAIN_EDGES_MM,
    WET_EDGES,
    difference_scale,
    gap_scale,
    rain_scale,
    wet_scale,
)
from jaxrain.pages.pictures import new_figure
from jaxrain.pairs.audit.random_pair import Pair
from jaxrain.pairs.audit.survey import Gaps
from jaxrain.pairs.placement import BLOCK
from jaxrain.pairs.store import Area
from jaxrain.weather.variables import VARIABLES, split_channel

_ARROWS = 12  # along a side


def gaps_figure(area: Area, gaps: Gaps) -> Figure:
    """Share of hours in which the fine rain is missing, and in which it is wet, by 8 x 8 points."""
    height, width = map_inches(area.fine_grid)
    figure = new_figure(2 * (width + 1.0), height + 0.75)
    grid = _block_grid(area.fine_grid)
    points = np.outer(*(_block_sizes(size) for size in area.fine_grid.shape)) * len(area.hours)
    known = gaps.valid / points
    wet = np.where(gaps.valid > 0, gaps.wet / np.maximum(gaps.valid, 1), np.nan)
    missing_ax, wet_ax = figure.subplots(1, 2)
    for ax, values, title, (colours, norm), edges, extend in (
        (missing_ax, 1.0 - known, "Missing [% of hours]", gap_scale(), GAP_EDGES, "min"),
        (wet_ax, wet, "0.1 mm or more [% of known hours]", wet_scale(), WET_EDGES, "both"),
    ):
        image = draw_field(ax, grid, values, title, cmap=colours, norm=norm)
        _crop(ax, area.fine_grid)
        _scale(figure, ax, image, edges, "", [f"{100 * edge:g}" for edge in edges], extend)
    return figure


def pair_figure(pair: Pair) -> Figure:
    """Coarse rain, a predictor, fine rain, difference: as many of them as the store has."""
    panels: list[Callable[[Figure, Axes], None]] = []
    if pair.rain is not None:
        panels.append(partial(_rain, pair.coarse_grid, pair.rain, "Coarse rain, as the predictor"))
    if pair.channel is not None and pair.predictor is not None:
        panels.append(partial(_predictor, pair, pair.channel, pair.predictor))
    panels.append(partial(_rain, pair.grid, pair.fine, "Fine rain"))
    if pair.difference is not None:
        panels.append(partial(_difference, pair.grid, pair.difference))
    height, width = map_inches(pair.grid)
    columns = 2 if len(panels) == 4 else len(panels)
    rows = len(panels) // columns
    figure = new_figure(columns * (width + 0.9), rows * (height + 0.65))
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for ax, draw in zip(axes, panels, strict=True):
        draw(figure, ax)
        _crop(ax, pair.grid)
    return figure


def _rain(grid: Grid, values: np.ndarray, title: str, figure: Figure, ax: Axes) -> None:
    colours, norm = rain_scale()
    image = draw_field(ax, grid, values, title, cmap=colours, norm=norm)
    _scale(figure, ax, image, RAIN_EDGES_MM, "mm", extend="both")


def _difference(grid: Grid, values: np.ndarray, figure: Figure, ax: Axes) -> None:
    colours, norm = difference_scale()
    title = "Fine minus interpolated coarse rain"
    image = draw_field(ax, grid, values, title, cmap=colours, norm=norm)
    _scale(figure, ax, image, DIFFERENCE_EDGES_MM, "mm", extend="both")


def _predictor(pair: Pair, channel: str, values: np.ndarray, figure: Figure, ax: Axes) -> None:
    variable, level = split_channel(channel)
    about = VARIABLES[variable]
    title = about.long_name.capitalize() + (f", {level} hPa" if level else "")
    if pair.wind:
        title += f"; wind, {pair.wind[2]} hPa"
    if variable == "r":
        edges = np.arange(0, 101, 10)
    else:
        low, high = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0, 0)
        edges = np.linspace(low, max(high, low + 1e-6), 11)
    colours = colormaps["BuPu"].resampled(len(edges) + 1)
    norm = BoundaryNorm(edges, colours.N, extend="both")
    image = draw_field(ax, pair.coarse_grid, values, title, cmap=colours, norm=norm)
    if pair.wind:
        _arrows(ax, pair, *pair.wind[:2])
    ticks = edges[::2]
    _scale(figure, ax, image, ticks, about.units, [f"{tick:.4g}" for tick in ticks])


def _arrows(ax: Axes, pair: Pair, u: np.ndarray, v: np.ndarray) -> None:
    west, east, south, north = map_extent(pair.grid)
    grid = pair.coarse_grid
    rows = np.flatnonzero((grid.y >= south) & (grid.y <= north))
    columns = np.flatnonzero((grid.x >= west) & (grid.x <= east))
    rows, columns = (each[:: max(1, len(each) // _ARROWS)] for each in (rows, columns))
    here = np.ix_(rows, columns)
    arrows = ax.quiver(grid.x[columns], grid.y[rows], u[here], v[here], zorder=2, width=0.006)
    ax.quiverkey(arrows, 0.8, -0.12, 10, "10 m s⁻¹", labelpos="E", fontproperties={"size": 7})


def _scale(
    figure: Figure,
    ax: Axes,
    image: Any,
    ticks: Any,
    label: str,
    labels: list[str] | None = None,
    extend: str | None = None,
) -> None:
    """A colour scale beside its map; `extend` where the norm does not say it."""
    style: dict[str, Any] = {"extend": extend} if extend else {}
    # An inset is as high as the map, whose shape is not that of its place.
    bar = figure.colorbar(image, cax=ax.inset_axes((1.03, 0, 0.05, 1)), ticks=list(ticks), **style)
    bar.ax.set_yticklabels(labels or [f"{tick:g}" for tick in ticks])
    bar.ax.tick_params(labelsize=7, length=2)
    bar.set_label(label, fontsize=8)


def _crop(ax: Axes, grid: Grid) -> None:
    west, east, south, north = map_extent(grid)
    ax.set_xlim(west, east)
    ax.set_ylim(south, north)


def _block_grid(grid: Grid) -> Grid:
    """Centres of blocks as if the last were whole; a map is cropped to the area anyway."""
    axes = []
    for axis in (grid.y, grid.x):
        step = (axis[-1] - axis[0]) / (len(axis) - 1)
        count = max(-(-len(axis) // BLOCK), 2)
        axes.append(axis[0] + step * (BLOCK * np.arange(count) + (BLOCK - 1) / 2))
    return Grid(axes[0], axes[1], grid.projected)


def _block_sizes(points: int) -> np.ndarray:
    return np.minimum(points - BLOCK * np.arange(-(-points // BLOCK)), BLOCK)
