"""One pair to look at, drawn by lot so that nobody has picked it."""

from dataclasses import dataclass

import numpy as np

from jaxrain.grids.grid import Grid
from jaxrain.grids.regrid import block_axis, block_mean
from jaxrain.pairs.audit.survey import Gaps
from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.interpolation import interpolate, interpolation_matrices
from jaxrain.pairs.store import Area, Store
from jaxrain.weather.variables import split_channel

SEED = 0
# Points along the longer side of a map; a screen shows no more.
_MOST_POINTS = 700
_HUMIDITY_HPA, _WIND_HPA = 700, 850


@dataclass(frozen=True, eq=False)
class Pair:
    """Fields of one hour.

    Attributes:
      title: area, hour and split.
      grid: of the fine rain as drawn: averaged where it has more points than a screen shows.
      fine: mm, on `grid`.
      coarse_grid: h x w points.
      rain: coarse rain, mm, on the coarse grid; None where the store has none.
      difference: fine minus the bilinearly interpolated coarse rain, mm, on `grid`; or None.
      channel: name of another predictor, or None.
      predictor: its field on the coarse grid, canonical units; or None.
      wind: eastward and northward, m s-1, on the coarse grid, and their level; or None.
    """

    title: str
    grid: Grid
    fine: np.ndarray
    coarse_grid: Grid
    rain: np.ndarray | None
    difference: np.ndarray | None
    channel: str | None
    predictor: np.ndarray | None
    wind: tuple[np.ndarray, np.ndarray, int] | None


def choose(store: Store, gaps: dict[str, Gaps]) -> tuple[Area, int]:
    """An hour from the wetter half of all, by lot: dry ones show nothing."""
    hours = [
        (wet, name, time) for name, each in gaps.items() for time, wet in each.wet_by_hour.items()
    ]
    wetter = sorted(hours, reverse=True)[: -(-len(hours) // 2)]
    _, name, time = wetter[np.random.default_rng(SEED).integers(len(wetter))]
    area = next(area for area in store.areas if area.name == name)
    return area, int(np.flatnonzero(area.hours == time)[0])


def read_pair(store: Store, area: Area, index: int) -> Pair:
    """Reads an hour's fields for drawing."""
    coarse = np.array(area.coarse(index))
    grid, fine = _thinned(area.fine_grid, np.asarray(area.fine(index)))
    rain = difference = None
    if RAIN_CHANNEL in store.channels:
        rain = coarse[store.channels.index(RAIN_CHANNEL)]
        matrices = interpolation_matrices(area.coarse_grid, grid, ["bilinear"], area.name)
        difference = fine - interpolate(matrices, rain)
    channel = _nearest(store.channels, "r", _HUMIDITY_HPA) or _another(store.channels)
    u, v = (_nearest(store.channels, name, _WIND_HPA) for name in ("u", "v"))
    wind = None
    if u and v:
        fields = (coarse[store.channels.index(name)] for name in (u, v))
        wind = (*fields, split_channel(u)[1] or 0)
    return Pair(
        title=f"{area.name}, hour to {str(area.hours[index])[:16].replace('T', ' ')} UTC "
        f"({area.splits[index]})",
        grid=grid,
        fine=fine,
        coarse_grid=area.coarse_grid,
        rain=rain,
        difference=difference,
        channel=channel,
        predictor=coarse[store.channels.index(channel)] if channel else None,
        wind=wind,
    )


def _thinned(grid: Grid, values: np.ndarray) -> tuple[Grid, np.ndarray]:
    factor = -(-max(grid.shape) // _MOST_POINTS)
    if factor == 1:
        return grid, values
    height, width = (size // factor * factor for size in grid.shape)
    kept = grid.window(0, 0, height, width)
    axes = block_axis(kept.y, factor), block_axis(kept.x, factor)
    return Grid(*axes, kept.projected), block_mean(values[:height, :width], factor)


def _nearest(channels: list[str], name: str, level: int) -> str | None:
    """The channel of a variable whose level is nearest."""
    found = [each for each in channels if split_channel(each)[0] == name]
    return min(found, key=lambda each: abs((split_channel(each)[1] or 0) - level), default=None)


def _another(channels: list[str]) -> str | None:
    return next((each for each in channels if each != RAIN_CHANNEL), None)
