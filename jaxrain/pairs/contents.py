"""What a canonical file holds, small enough to be sent between processes by the thousand."""

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxrain.grids.grid import Grid

if TYPE_CHECKING:
    import xarray as xr  # the command compares contents without it

_POINTS = 1 << 22  # that are looked through at once


@dataclass(frozen=True, eq=False)
class Contents:
    """Hours and grid of a canonical file, without its fields.

    Attributes:
      times: valid times, datetime64[s], [T].
      present: from a variable's name to which of the hours it has, bool [T]. In files where an hour
        has one variable alone the others are NaN.
      units: the file's own units of each variable.
      windows: what the reader said of sums and derivations, by variable.
      time_source: what told a fine file's time, '' of a coarse one.
      grid_key: hash of the grid; the grid itself is read from one file of each key.
    """

    times: np.ndarray
    present: dict[str, np.ndarray]
    units: dict[str, str]
    windows: dict[str, tuple[str, ...]]
    time_source: str
    grid_key: str


def contents_of(dataset: "xr.Dataset") -> Contents:
    """Looks through a canonical Dataset, hour by hour where it is not in memory."""
    grid = grid_of(dataset)
    if "rain" in dataset:
        return Contents(
            times=dataset["time"].values.astype("datetime64[s]"),
            present={"rain": np.ones(dataset.sizes["time"], bool)},
            units={"rain": str(dataset.attrs["file_units"])},
            windows={"rain": _windows(dataset["rain"])},
            time_source=str(dataset.attrs["time_source"]),
            grid_key=_key(grid),
        )
    names = [str(name) for name in dataset.data_vars]
    return Contents(
        times=dataset["time"].values.astype("datetime64[s]"),
        present={name: _hours_with_values(dataset[name]) for name in names},
        units={name: str(dataset[name].attrs["file_units"]) for name in names},
        windows={name: _windows(dataset[name]) for name in names},
        time_source="",
        grid_key=_key(grid),
    )


def grid_of(dataset: "xr.Dataset") -> Grid:
    """The grid of a canonical Dataset."""
    if "y" not in dataset.dims:
        return Grid(
            y=dataset["latitude"].values.astype(np.float64),
            x=dataset["longitude"].values.astype(np.float64),
        )
    from jaxrain.weather.projections import grid_mapping

    known = "latitude" in dataset.variables and "longitude" in dataset.variables
    return Grid(
        y=dataset["y"].values.astype(np.float64),
        x=dataset["x"].values.astype(np.float64),
        projected=True,
        latitude=dataset["latitude"].values if known else None,
        longitude=dataset["longitude"].values if known else None,
        mapping=grid_mapping(dataset, "rain"),
    )


def _windows(variable: "xr.DataArray") -> tuple[str, ...]:
    words = {"summed": "", "derived_from": "from "}
    return tuple(
        f"{word}{variable.attrs[told]}" for told, word in words.items() if told in variable.attrs
    )


def _hours_with_values(array: "xr.DataArray") -> np.ndarray:
    hours, *others = array.sizes.values()
    step = max(1, _POINTS // int(np.prod(others)))
    return np.concatenate(
        [_any_value(array[first : first + step].values) for first in range(0, hours, step)]
    )


def _any_value(slab: np.ndarray) -> np.ndarray:
    return ~np.isnan(slab).all(axis=tuple(range(1, slab.ndim)))


def _key(grid: Grid) -> str:
    about = [grid.shape, grid.projected, grid.mapping and dict(grid.mapping)]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for axis in (grid.y, grid.x, grid.latitude, grid.longitude):
        if axis is not None:
            digest.update(np.ascontiguousarray(axis).tobytes())
    return digest.hexdigest()
