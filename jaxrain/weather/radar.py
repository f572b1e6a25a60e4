"""Radar rain on its own projection, as RADOLAN's: axes in km, places in two dimensions."""

from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.fine_rain import fine_dataset
from jaxrain.weather.projections import grid_mapping, with_mapping
from jaxrain.weather.region import Box
from jaxrain.weather.variables import spell_units, to_canonical

_KILOMETRES = {"km": 1.0, "m": 1e-3}


def read_projected(
    dataset: xr.Dataset, array: xr.DataArray, times: np.ndarray, region: Box | None, path: Path
) -> xr.Dataset:
    """Reads rain on a projected grid.

    Args:
      dataset: the opened file, with 2-D `latitude` and `longitude` where known.
      array: its rain, dims (time, y, x).
      times: ends of the hours, datetime64 [T].
      region: box to crop to: the smallest window that holds its points.
      path: for errors.

    Returns:
      A canonical Dataset, see `jaxrain.weather.fine_rain`; rows from north to south.

    Raises:
      InputError: an axis is in other units than km or m, an axis isn't regular, or no point lies
        in the region.
    """
    places = [name for name in ("latitude", "longitude") if name in dataset.variables]
    known = len(places) == 2
    field = array.reset_coords(drop=True).to_dataset(name="rain")
    for name in places:
        field = field.assign_coords({name: dataset[name].variable})
    mapping = str(array.attrs.get("grid_mapping", ""))
    if mapping in dataset.variables:
        field = field.assign({mapping: dataset[mapping].variable})
    for axis in ("y", "x"):
        units = str(array[axis].attrs.get("units", ""))
        factor = _KILOMETRES.get(spell_units(units))
        if factor is None:
            raise InputError(f"{path}: {axis} has units '{units}', expected km or m")
        # Rounded, since the products of decimals differ in their last digits from file to file.
        kilometres = np.round(np.asarray(array[axis].values, np.float64) * factor, 6)
        steps = np.diff(kilometres)
        if not (np.all(steps > 0) or np.all(steps < 0)):
            raise InputError(f"{path}: {axis} is not monotonic, expected a regular grid; regrid it")
        field = field.assign_coords({axis: (axis, kilometres)})
    if field.sizes["y"] > 1 and field["y"][0] < field["y"][-1]:
        field = field.isel(y=slice(None, None, -1))
    if field.sizes["x"] > 1 and field["x"][0] > field["x"][-1]:
        field = field.isel(x=slice(None, None, -1))
    if region is not None:
        if not known:
            raise InputError(
                f"{path}: is on a projected grid without latitude and longitude, expected them to "
                "crop to data.region; unset data.region"
            )
        field = _window(field, region, path)
    coordinates: dict[str, tuple[str | tuple[str, ...], np.ndarray]] = {
        axis: (axis, field[axis].values) for axis in ("y", "x")
    }
    if known:
        for axis in ("latitude", "longitude"):
            degrees = np.asarray(field[axis].transpose("y", "x").values, np.float64)
            coordinates[axis] = (("y", "x"), degrees)
    units = str(array.attrs.get("units", ""))
    values = to_canonical("rain", field["rain"].values, units, str(path))
    canonical = fine_dataset(values, times, coordinates, ("y", "x"))
    return with_mapping(canonical, grid_mapping(field, "rain"))


def _window(dataset: xr.Dataset, region: Box, path: Path) -> xr.Dataset:
    latitude = dataset["latitude"].transpose("y", "x").values
    longitude = dataset["longitude"].transpose("y", "x").values
    width = (region.east - region.west) % 360.0 or 360.0
    inside = (latitude >= region.south) & (latitude <= region.north)
    inside &= (longitude - region.west) % 360.0 <= width
    if not inside.any():
        raise InputError(
            f"{path}: no point lies in the region {region.south} to {region.north} N, "
            f"{region.west} to {region.east} E; the file covers {np.nanmin(latitude):g} to "
            f"{np.nanmax(latitude):g} N, {np.nanmin(longitude):g} to {np.nanmax(longitude):g} E"
        )
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return dataset.isel(
        y=slice(int(rows[0]), int(rows[-1]) + 1), x=slice(int(columns[0]), int(columns[-1]) + 1)
    )
