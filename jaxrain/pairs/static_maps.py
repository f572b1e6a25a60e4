"""Static fields of files on the fine grids of a store: one array an area, with its statistics."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.grids.regrid import bilinear_at
from jaxrain.pairs.digests import name_digest
from jaxrain.pairs.encodings import positions
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.statistics import Moments, merge, moments
from jaxrain.pairs.store import save_array

if TYPE_CHECKING:
    from jaxrain.weather.static_fields import StaticField, Surround  # brings xarray

_ROWS = 256  # interpolated at a time: memory stays small on grids of any size
_FINER = 1.5  # times: a file this much finer is sampled, not averaged, and that is said


class MappedArea(Protocol):
    """An area as pairing finds it."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def fine_grid(self) -> Grid: ...  # noqa: D102


def find_statics(config: DataConfig) -> list[dict[str, Any]]:
    """What the config says of each static field, with its file's hash.

    Raises:
      InputError: a file is not there.
    """
    found = []
    for static in config.static:
        path = Path(config.root) / static.file
        if not path.is_file():
            raise InputError(
                f"{path}: no such file; data.static names it for {static.name}, a path that "
                f"starts from data.root={config.root}"
            )
        found.append(asdict(static) | {"sha256": _hash(path)})
    return found


def same_statics(manifest: dict[str, Any], found: list[dict[str, Any]]) -> bool:
    """Whether a manifest's static fields were made from what `find_statics` found now."""
    kept = manifest.get("static", [])
    return len(kept) == len(found) and all(
        made | field == made for made, field in zip(kept, found, strict=True)
    )


def make_statics(
    store: Path,
    config: DataConfig,
    found: list[dict[str, Any]],
    areas: Iterable[tuple[MappedArea, bool]],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Writes each static field on each area's fine grid, where it isn't there yet.

    Args:
      store: its folder; arrays go to STORE/static.
      config: root, static, encodings.
      found: of `find_statics`.
      areas: each with whether it has hours of training; those set the scale.
      say: takes a line about each field.

    Returns:
      The manifest's `static`: the content of `found` with units, arrays by area, the number of
      fine points that were filled, statistics over the training areas, and the values that
      become 0 (`low`) and 1 (`high`). Nothing where no static field is declared.

    Raises:
      InputError: a file can't be read, lacks the variable, doesn't cover an area or lacks points
        of it and no fill is given; or an encoding of the position is asked for and not known.
    """
    areas = list(areas)
    for area, _ in areas:
        positions(config.encodings, area.fine_grid, area.name)  # known, or it says so
    described = [_make_static(store, config, about, areas, say) for about in found]
    return {"static": described} if described else {}


def drop_other_arrays(store: Path, manifest: dict[str, Any]) -> None:
    """Removes static arrays that a manifest doesn't name, once it is written."""
    named = {name for about in manifest.get("static", []) for name in about["arrays"].values()}
    for path in (store / "static").glob("*.npy"):
        if path.name not in named:
            path.unlink()


def _make_static(
    store: Path,
    config: DataConfig,
    about: dict[str, Any],
    areas: list[tuple[MappedArea, bool]],
    say: Callable[[str], None],
) -> dict[str, Any]:
    from jaxrain.weather.static_fields import read_static

    path, name = Path(config.root) / about["file"], about["name"]
    units, filled, seen, arrays = "", 0, Moments(), {}
    for area, training in areas:
        field = read_static(path, about["variable"], surround(area.fine_grid))
        values, missing = on_grid(field, area.fine_grid, path, area.name, about["fill"])
        if missing.any() and about["fill"] is None:
            y, x = np.argwhere(missing)[0]
            raise InputError(
                f"{path}: {field.variable} is missing at {int(missing.sum())} of {missing.size} "
                f"points of {area.name}, the first in row {y}, column {x}: say what they are with "
                f"fill in data.static, as fill: 0 for the sea in a terrain"
            )
        units, filled = field.units, filled + int(missing.sum())
        seen = merge(seen, moments(values)) if training else seen
        arrays[area.name] = _save(store, about, area, values)
        if _finer(field.grid, area.fine_grid):
            say(
                f"{path} is finer than {area.name}: {name} takes its values at the points; average "
                "it beforehand if it shall be their surroundings' mean"
            )
    shares = seen.least >= 0.0 and seen.most <= 1.0
    as_it_is = about["scale"] == "none" or (about["scale"] is None and shares)
    low, high = (0.0, 1.0) if as_it_is else (seen.least, seen.most)
    say(
        f"static {name}: {seen.least:g} to {seen.most:g} {units} in the areas of training, "
        f"{filled} points filled"
    )
    return about | {
        "units": units,
        "arrays": arrays,
        "filled": filled,
        "statistics": {"mean": seen.mean, "std": seen.std, "min": seen.least, "max": seen.most},
        "low": low,
        "high": high,
    }


def surround(grid: Grid) -> "Surround | None":
    """The box around a grid's points; None where a projected one doesn't know them."""
    from jaxrain.weather.static_fields import Surround

    if not grid.projected:
        return Surround(grid.y.max(), grid.y.min(), grid.x.min(), grid.x.max())
    if grid.latitude is None or grid.longitude is None:
        return None
    # Counted from the first point on: a box over the date line is no band round the globe.
    first = grid.longitude.flat[0]
    eastward = first + (grid.longitude - first + 180.0) % 360.0 - 180.0
    return Surround(grid.latitude.max(), grid.latitude.min(), eastward.min(), eastward.max())


def on_grid(
    field: "StaticField", fine: Grid, path: Path, area: str, fill: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolates a field bilinearly.

    Args:
      field: on any grid of the fine one's kind, or on latitude and longitude where the fine grid
        is projected and knows them.
      fine: H x W points.
      path: of the field, for messages.
      area: name of the fine grid, for messages.
      fill: value of missing points of the file, before they are interpolated.

    Returns:
      (values float32 [H, W]; missing bool [H, W], where a point of the file that contributes
      is missing: without a fill the value means nothing there).

    Raises:
      InputError: the field doesn't cover the grid, or the two can't be brought together.
    """
    grid = field.grid
    if grid.projected and not fine.projected:
        raise InputError(
            f"{path}: is on a projected grid, {area} on latitude and longitude: regrid the file"
        )
    if grid.projected:
        _check_projection(grid, fine, path, area)
    y, x = _points(grid, fine, path, area)
    missing_there = np.isnan(field.values)
    known = np.where(missing_there, 0.0 if fill is None else fill, field.values)
    values = np.empty(fine.shape, np.float32)
    missing = np.zeros(fine.shape, bool)
    try:
        for start in range(0, fine.shape[0], _ROWS):
            rows = slice(start, start + _ROWS)
            at = grid.y, grid.x, y[rows], x[rows] if len(x) > 1 else x
            values[rows] = bilinear_at(known, *at)
            if missing_there.any():
                missing[rows] = bilinear_at(missing_there.astype(np.float64), *at) > 0
    except ValueError as error:
        raise InputError(
            f"{path} covers {grid.extent()}, not the whole of {area} ({fine.extent()}), {error}: "
            "bring a file that does, or crop with data.region"
        ) from None
    return values, missing


def _points(grid: Grid, fine: Grid, path: Path, area: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the fine points lie in a field's coordinates: [H, 1] and [1, W], or both [H, W]."""
    if grid.projected == fine.projected:
        y, x = fine.y[:, None], fine.x[None, :]
    elif fine.latitude is None or fine.longitude is None:
        raise InputError(
            f"{path}: is on latitude and longitude, {area} on a projected grid whose files lack "
            "them: regrid the file to its y and x"
        )
    else:
        y, x = fine.latitude, fine.longitude
    if not grid.projected:
        middle = (grid.x[0] + grid.x[-1]) / 2
        x = middle + (x - middle + 180.0) % 360.0 - 180.0
    return y, x


def _check_projection(grid: Grid, fine: Grid, path: Path, area: str) -> None:
    """Two files may both say km and mean other projections; where both know better, compare."""
    if grid.latitude is None or fine.latitude is None:
        return
    try:
        there = bilinear_at(grid.latitude, grid.y, grid.x, fine.y[:1, None], fine.x[None, :1])
    except ValueError:
        return  # does not cover it, which is said elsewhere
    here, cell = fine.latitude[0, 0], np.abs(np.diff(fine.latitude[:, 0])).max(initial=0.0)
    if abs(there.item() - here) > max(cell, 1e-3):
        raise InputError(
            f"{path}: is on another projection than {area}: the same y and x are at "
            f"{there.item():.3f} N there and at {here:.3f} N here: regrid the file"
        )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _save(store: Path, about: dict[str, Any], area: MappedArea, values: np.ndarray) -> str:
    """Writes an area's array under a name that holds a hash of its content; returns the name."""
    array = store / "static" / f"{about['name']}_{area.name}_{name_digest(values)}.npy"
    if not array.exists():
        array.parent.mkdir(parents=True, exist_ok=True)
        save_array(array, values)
    return array.name


def _finer(grid: Grid, fine: Grid) -> bool:
    if grid.projected != fine.projected:
        return False
    axes = ((grid.y, fine.y), (grid.x, fine.x))
    return any(abs(a[1] - a[0]) * _FINER < abs(b[1] - b[0]) for a, b in axes if len(b) > 1)
