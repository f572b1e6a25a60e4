"""The hours of a split as cases to sample and to score: whole areas, or fixed windows."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxrain.errors import InputError
from jaxrain.grids.boxes import Box
from jaxrain.grids.grid import Grid
from jaxrain.pairs.pieces import Place, places
from jaxrain.pairs.recipe import DataConfig, Window
from jaxrain.pairs.steering import Drift, drift_of
from jaxrain.pairs.store import Area, Store
from jaxrain.pairs.surroundings import StaticMap


@dataclass(frozen=True, eq=False)
class Case:
    """Hours over one piece of one area.

    Attributes:
      name: unique among the cases, made of letters, digits, '_', '-' (a NetCDF group's name).
      area: name of the area.
      fine_grid: the piece's H x W fine points.
      origin: the piece's first row and column in the area's fine grid, (y0, x0).
      hours: valid times, datetime64[s], [T].
      coarse_grid: h x w points; of the whole area, for its rim is interpolated from cells outside.
      channels: names of the C predictors.
      coarse: predictors, canonical units, NaN where missing, [T, C, h, w].
      truth: fine rain in mm, NaN where missing, [T, H, W]; None where it isn't known.
      sources: names of the input files.
      statics: static fields of the whole area.
      drift: of rain with the wind, over the whole area, of all hours that were read; None where the
        predictors hold no wind.
    """

    name: str
    area: str
    fine_grid: Grid
    origin: tuple[int, int]
    hours: np.ndarray
    coarse_grid: Grid
    channels: list[str]
    coarse: np.ndarray
    truth: np.ndarray | None = None
    sources: list[str] = field(default_factory=list)
    statics: tuple[StaticMap, ...] = ()
    drift: Drift | None = None


def cases(
    store: Store, config: DataConfig, split: str, *, truth: bool = True, box: Box | None = None
) -> list[Case]:
    """The cases of a split.

    Args:
      store: finished.
      config: its `windows` make the test split's cases where there are any.
      split: 'train', 'validation' or 'test'.
      truth: whether to read the fine rain, which is large, too.
      box: instead of windows and of whole areas, the points in it.

    Returns:
      One case per window, or one per area that has hours in the split, or per box in one.

    Raises:
      InputError: the split has no hours, or a window's hour isn't in it or the window leaves the
        area, or the box does, or touches none.
    """
    if split == "test" and config.windows and box is None:
        return [_window_case(store, window, split, truth) for window in config.windows]
    areas = [area for area in store.areas if area.indices(split)]
    if not areas:
        raise InputError(
            f"the store {store.path} has no hours of the split '{split}': name some in "
            f"data.splits.{split} and run prepare again"
        )
    found = places(areas, box)
    for place in found:
        if place.beyond:
            raise InputError(
                f"the box {box} reaches beyond {place}, or does not touch it: choose one within "
                "it, or give --input with predictors that reach there"
            )
    return [_place_case(store, place, split, truth) for place in found]


def piece(
    store: Store,
    area: Area,
    indices: Sequence[int],
    origin: tuple[int, int],
    size: tuple[int, int],
    name: str,
    *,
    truth: bool = True,
) -> Case:
    """The case of one piece of an area.

    Args:
      store: the area's.
      area: where.
      indices: of its hours.
      origin: first row and column of the fine grid.
      size: rows and columns, all inside it.
      name: of the case.
      truth: whether to read the fine rain too.
    """
    (y, x), (height, width) = origin, size
    fine = [area.fine(index)[y : y + height, x : x + width] for index in indices if truth]
    hours, coarse = area.hours[indices], np.stack([area.coarse(index) for index in indices])
    grids = (area.coarse_grid, area.fine_grid)
    return Case(
        name=name,
        area=area.name,
        fine_grid=area.fine_grid.window(y, x, height, width),
        origin=origin,
        hours=hours,
        coarse_grid=area.coarse_grid,
        channels=list(store.channels),
        coarse=coarse,
        truth=np.stack(fine) if truth else None,
        sources=list(dict.fromkeys(name for index in indices for name in area.sources[index])),
        statics=area.statics,
        drift=drift_of(hours, coarse, list(store.channels), *grids),
    )


def hash_cases(cases: Sequence[Case]) -> str:
    """sha256 of all that a sample is made from: places, hours, grids and predictors."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(f"{case.name} {case.area} {case.origin} {case.hours}".encode())
        grids = (case.fine_grid, case.coarse_grid)
        for array in (*(axis for grid in grids for axis in (grid.y, grid.x)), case.coarse):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def hash_drifts(cases: Sequence[Case]) -> str:
    """sha256 of the wind beyond the hours drawn too, which `hash_cases` does not see."""
    digest = hashlib.sha256()
    for case in cases:
        if case.drift is not None:
            digest.update(f"{case.name} {case.drift.hours}".encode())
            digest.update(np.rint(case.drift.pixels).astype(np.int32).tobytes())
    return digest.hexdigest()


def _place_case(store: Store, place: Place, split: str, truth: bool) -> Case:
    where = (place.origin, place.grid.shape, place.area.name)
    return piece(store, place.area, place.area.indices(split), *where, truth=truth)


def _window_case(store: Store, window: Window, split: str, truth: bool) -> Case:
    time = np.datetime64(window.time, "s")
    for area in store.areas:
        for index in area.indices(split):
            if area.hours[index] == time and area.sources[index][0] == window.file:
                window.check_inside(area.fine_grid.shape)
                stamp = str(time.astype("datetime64[m]")).replace("-", "").replace(":", "")
                name = f"{area.name}_{stamp}_y{window.y}_x{window.x}"
                size = (window.size, window.size)
                return piece(store, area, [index], (window.y, window.x), size, name, truth=truth)
    raise InputError(f"{window.where}: no such hour in the split '{split}' of {store.path}")
