"""Hourly radar rain in NetCDF: on a projected grid as RADOLAN, or regular as MRMS."""

from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.fine_rain import choose_variable, fine_dataset
from jaxrain.weather.netcdf import file_kind, open_netcdf
from jaxrain.weather.projections import grid_mapping, with_mapping
from jaxrain.weather.region import Box, crop, upright
from jaxrain.weather.variables import spell_units, to_canonical

_HOUR = np.timedelta64(1, "h")
_KILOMETRES = {"km": 1.0, "m": 1e-3}


def read_radar(
    path: str | Path, *, variable: str | None = None, region: Box | None = None
) -> xr.Dataset:
    """Reads hourly rain whose `time` is the end of the hour.

    Args:
      path: NetCDF with dims (time, y, x) or (time, lat, lon), latitude and longitude of a
        projected grid as 2-D `lat` and `lon` where known.
      variable: the rain's name; None takes the only one.
      region: box to crop to; on a projected grid the smallest window that holds its points.

    Returns:
      A canonical Dataset, see `jaxrain.weather.fine_rain`; rows from north to south.

    Raises:
      InputError: the file can't be read, has other dimensions or units, its time bounds aren't
        the hour that ends at its time, or no point lies in the region.
    """
    path = Path(path)
    if file_kind(path) != "netcdf":
        raise InputError(f"{path}: is no NetCDF file, expected radar rain in NetCDF")
    with open_netcdf(path) as dataset:
        names = [str(name) for name, each in dataset.data_vars.items() if each.ndim >= 2]
        bounds = str(dataset["time"].attrs.get("bounds", "")) if "time" in dataset else ""
        name = choose_variable([each for each in names if each != bounds], variable, path)
        _check_bounds(dataset, bounds, path)
        if {"y", "x"} <= set(dataset[name].dims):
            canonical = _projected(dataset, name, region, path)
        else:
            canonical = _regular(dataset, name, region, path)
        told = ("title", "institution", "license", "source", "grid", "comment")
        kept = {key: str(dataset.attrs[key]) for key in told if key in dataset.attrs}
        kept["file_units"] = str(dataset[name].attrs.get("units", ""))
    return canonical.assign_attrs(kept, time_source="file")


def _check_bounds(dataset: xr.Dataset, bounds: str, path: Path) -> None:
    if "time" not in dataset.coords or not np.issubdtype(dataset["time"].dtype, np.datetime64):
        raise InputError(f"{path}: has no dates in 'time', expected ends of hours")
    if bounds in dataset:
        window = dataset[bounds].values.astype("datetime64[m]")
        end = dataset["time"].values.astype("datetime64[m]")
        minute = np.timedelta64(1, "m")  # hours as floats miss by one minute at most
        length = window[:, 1] - window[:, 0]
        off = (abs(window[:, 1] - end) > minute) | (abs(length - _HOUR) > minute)
        if off.any():
            first = int(np.argmax(off))
            raise InputError(
                f"{path}: hour {first} sums from {window[first, 0]} to {window[first, 1]} with "
                f"time {end[first]}, expected the hour that ends at its time"
            )


def _values(array: xr.DataArray, path: Path) -> np.ndarray:
    return to_canonical("rain", array.values, str(array.attrs.get("units", "")), str(path))


def _regular(dataset: xr.Dataset, name: str, region: Box | None, path: Path) -> xr.Dataset:
    names = {"lat": "latitude", "lon": "longitude"}
    dataset = dataset.rename({old: new for old, new in names.items() if old in dataset.variables})
    array = dataset[name]
    if set(array.dims) != {"time", "latitude", "longitude"}:
        raise InputError(
            f"{path}: {name} has dimensions {tuple(map(str, array.dims))}, expected time and "
            "latitude, longitude or y, x; rename or select them"
        )
    array = array.transpose("time", "latitude", "longitude")
    boxed = crop(upright(array.to_dataset(name=name), str(path)), region, str(path))
    axes = {axis: (axis, boxed[axis].values) for axis in ("latitude", "longitude")}
    values = _values(boxed[name], path)
    return fine_dataset(values, boxed["time"].values, axes, ("latitude", "longitude"))


def _projected(dataset: xr.Dataset, name: str, region: Box | None, path: Path) -> xr.Dataset:
    for axis in ("y", "x"):
        units = str(dataset[axis].attrs.get("units", "")) if axis in dataset.coords else ""
        factor = _KILOMETRES.get(spell_units(units))
        if factor is None:
            raise InputError(f"{path}: {axis} has units '{units}', expected km or m")
        # Rounded, since the products of decimals differ in their last digits from file to file.
        kilometres = np.round(np.asarray(dataset[axis].values, np.float64) * factor, 6)
        dataset = dataset.assign_coords({axis: (axis, kilometres)})
    if dataset.sizes["y"] > 1 and dataset["y"][0] < dataset["y"][-1]:
        dataset = dataset.isel(y=slice(None, None, -1))
    if dataset.sizes["x"] > 1 and dataset["x"][0] > dataset["x"][-1]:
        dataset = dataset.isel(x=slice(None, None, -1))
    for new, old in (("latitude", "lat"), ("longitude", "lon")):
        if old in dataset.variables:
            dataset = dataset.rename({old: new})
    known = {"latitude", "longitude"} <= set(dataset.variables)
    if region is not None:
        if not known:
            raise InputError(
                f"{path}: is on a projected grid without latitude and longitude, expected them to "
                "crop to data.region; unset data.region"
            )
        dataset = _window(dataset, region, path)
    coordinates: dict[str, tuple[str | tuple[str, ...], np.ndarray]] = {
        axis: (axis, dataset[axis].values) for axis in ("y", "x")
    }
    if known:
        for axis in ("latitude", "longitude"):
            values = np.asarray(dataset[axis].transpose("y", "x").values, np.float64)
            coordinates[axis] = (("y", "x"), values)
    array = dataset[name].transpose("time", "y", "x")
    times = dataset["time"].values
    canonical = fine_dataset(_values(array, path), times, coordinates, ("y", "x"))
    return with_mapping(canonical, grid_mapping(dataset, name))


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
