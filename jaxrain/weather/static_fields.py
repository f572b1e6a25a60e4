"""Fields that do not change with time, as terrain or a land mask: one field of a file."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.weather.grib import decode, read_headers
from jaxrain.weather.netcdf import file_kind, open_netcdf
from jaxrain.weather.region import crop, upright
from jaxrain.weather.variables import spell_units

_AXES = {"lat": "latitude", "lon": "longitude"}
_HORIZONTAL = ("latitude", "longitude", "y", "x")
_KILOMETRES = {"km": 1.0, "m": 1e-3}
# Fill values that elevation models use and some files do not declare.
_FILLS = (-9999.0, -99999.0, -32768.0)
_IMPOSSIBLE = 1e15


class StaticField(NamedTuple):
    """One field.

    Attributes:
      values: [h, w] float32, the file's units, NaN where missing.
      grid: its points; rows from north to south, columns from west to east.
      units: as the file spells them; '' where it doesn't.
      variable: its name in the file.
    """

    values: np.ndarray
    grid: Grid
    units: str
    variable: str


class Surround(NamedTuple):
    """A box in degrees around what a field is wanted for."""

    north: float
    south: float
    west: float
    east: float


def read_static(
    path: Path, variable: str | None = None, around: Surround | None = None
) -> StaticField:
    """Reads a field.

    Args:
      path: GRIB, or NetCDF on latitude and longitude or on y and x in km or m.
      variable: its name in the file; None takes the only one.
      around: keeps the points in this box and two cells beyond; a projected field is read whole.

    Raises:
      InputError: the file can't be read, has no such variable (names what it has), has it at
        several times or levels, has other dimensions, or no point in the box.
    """
    kind = file_kind(path)
    if kind == "grib":
        field, units = _from_grib(path, variable)
        return _boxed(field, units, around, path)
    if kind != "netcdf":
        raise InputError(f"{path}: is {kind}, expected a static field in NetCDF or GRIB")
    with open_netcdf(path) as dataset:
        names = [str(name) for name, each in dataset.data_vars.items() if each.ndim >= 2]
        names = [name for name in names if name not in (*_AXES, *_AXES.values())]
        array = dataset[_choose(names, variable, path)]
        array = array.rename({a: b for a, b in _AXES.items() if a in (*array.dims, *array.coords)})
        units = str(array.attrs.get("units", ""))
        for dim in [dim for dim in array.dims if dim not in _HORIZONTAL]:
            array = array.isel({dim: 0}, drop=True) if array.sizes[dim] == 1 else array
        if set(array.dims) == {"y", "x"}:
            return _projected(array, units, path)
        if set(array.dims) != {"latitude", "longitude"}:
            raise InputError(
                f"{path}: {array.name} has dimensions {', '.join(map(str, array.dims))}, expected "
                "latitude, longitude or y, x alone: keep one time and level"
            )
        return _boxed(array, units, around, path)


def _choose(names: list[str], variable: str | None, path: Path) -> str:
    there = ", ".join(names) or "no field"
    if variable is None and len(names) == 1:
        return names[0]
    if variable is None:
        raise InputError(
            f"{path}: holds {there}, expected one field: name it as variable in data.static"
        )
    if variable not in names:
        raise InputError(
            f"{path}: has no variable '{variable}'; it holds {there}: mend variable in data.static"
        )
    return variable


def _from_grib(path: Path, variable: str | None) -> tuple[xr.DataArray, str]:
    headers = read_headers(path)
    name = _choose(list(dict.fromkeys(header.name for header in headers)), variable, path)
    found = [header for header in headers if header.name == name]
    if len(found) > 1:
        raise InputError(
            f"{path}: holds {name} in {len(found)} messages, expected one: keep one time and level"
        )
    (header,) = found
    axes = {"latitude": header.latitude, "longitude": header.longitude}
    field = xr.DataArray(decode(path, header), axes, ("latitude", "longitude"), name=name)
    return field, header.units


def _boxed(field: xr.DataArray, units: str, around: Surround | None, path: Path) -> StaticField:
    name = str(field.name)
    field = field.transpose("latitude", "longitude")
    dataset = upright(field.to_dataset(name=name), str(path))
    y, x = dataset["latitude"].values, dataset["longitude"].values
    if min(len(y), len(x)) < 2:
        raise InputError(f"{path}: {name} has {len(y)} x {len(x)} points, expected 2 x 2 or more")
    if around is not None:
        # A cell more on each side: a box within one cell of a coarse file holds none of its points.
        dy, dx = float(np.abs(np.diff(y)).max()), float(np.abs(np.diff(x)).max())
        around = Surround(around.north + dy, around.south - dy, around.west - dx, around.east + dx)
        dataset = crop(dataset, around, str(path), margin=1)
    grid = Grid(y=dataset["latitude"].values, x=dataset["longitude"].values)
    return StaticField(_known(dataset[name].values), grid, units, name)


def _projected(array: xr.DataArray, units: str, path: Path) -> StaticField:
    axes = []
    for name in ("y", "x"):
        spelt = str(array[name].attrs.get("units", "")) if name in array.coords else ""
        factor = _KILOMETRES.get(spell_units(spelt))
        if factor is None:
            raise InputError(f"{path}: {name} has units '{spelt}', expected km or m")
        axes.append(np.asarray(array[name].values, np.float64) * factor)
    array = array.transpose("y", "x")
    known = {"latitude", "longitude"} <= set(array.coords)
    grid = Grid(
        y=axes[0],
        x=axes[1],
        projected=True,
        latitude=array["latitude"].transpose("y", "x").values if known else None,
        longitude=array["longitude"].transpose("y", "x").values if known else None,
    )
    return StaticField(_known(array.values), grid, units, str(array.name))


def _known(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float32)
    missing = ~(np.abs(values) < _IMPOSSIBLE) | np.isin(values, _FILLS)
    return np.where(missing, np.float32(np.nan), values)
