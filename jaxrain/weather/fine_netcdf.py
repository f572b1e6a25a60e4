"""Fine rain in NetCDF: made from CMPA, from MRMS, or by a radar's own projection."""

import re
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.fine_rain import choose_variable, fine_dataset
from jaxrain.weather.netcdf import open_netcdf
from jaxrain.weather.radar import read_projected
from jaxrain.weather.region import Box, crop, upright
from jaxrain.weather.variables import to_canonical

_HOUR = np.timedelta64(1, "h")
_AXES = {"lat": "latitude", "latitude": "latitude", "lon": "longitude", "longitude": "longitude"}
_WINDOW = re.compile(r"PRE_(\d+)H", re.IGNORECASE)  # PRE_1h, PRE_3h, PRE_24h
_TOLD = ("title", "institution", "license", "source", "grid", "comment")


def read_netcdf(path: Path, variable: str | None, region: Box | None) -> xr.Dataset:
    """Reads hourly sums; of the values only the slab that the region takes.

    Args:
      path: NetCDF with dims (latitude, longitude) or (y, x), and time where it has several hours.
      variable: the rain's name in the file; None takes the only one.
      region: box to crop to, its edges included; on a projected grid the smallest window that
        holds its points.

    Returns:
      A canonical Dataset, see `jaxrain.weather.fine_rain`, its times NaT where the file has none.

    Raises:
      InputError: the file can't be read, holds no rain or several candidates, has other
        dimensions or units, or says that its sums aren't those of the hour before their time.
    """
    with open_netcdf(path) as raw:
        dataset = _renamed(raw)
        bounds = str(dataset["time"].attrs.get("bounds", "")) if "time" in dataset else ""
        names = [str(name) for name, each in dataset.data_vars.items() if each.ndim >= 2]
        name = choose_variable([each for each in names if each != bounds], variable, path)
        _check_window(dataset, name, bounds, path)
        array = _one_field_an_hour(dataset[name], path)
        times = _ends(dataset, array, path)
        if {"y", "x"} <= set(array.dims):
            canonical = read_projected(dataset, array, times, region, path)
        else:
            canonical = _regular(array, times, region, path)
        told = {key: str(dataset.attrs[key]) for key in _TOLD if key in dataset.attrs}
        units = str(array.attrs.get("units", ""))
    return canonical.assign_attrs(told, file_units=units)


def _renamed(dataset: xr.Dataset) -> xr.Dataset:
    """Our names of the axes. `valid_time` is what cfgrib calls a message's end of the window."""
    if "valid_time" in dataset.variables:
        valid = dataset["valid_time"]
        if valid.dims in ((), ("time",)) and "time" in dataset.variables:
            # Beside the valid time, `time` is the start of the forecast.
            ends = {"time": (valid.dims, valid.values)}
            others = dataset.drop_vars(["valid_time", "step"], errors="ignore")
            return _renamed(others.assign_coords(ends))
        if "time" not in dataset.variables and "time" not in dataset.dims:
            return _renamed(dataset.rename({"valid_time": "time"}))
    present = {*map(str, dataset.variables), *map(str, dataset.dims)}
    return dataset.rename(
        {
            name: _AXES[name.lower()]
            for name in present
            if name.lower() in _AXES and name != _AXES[name.lower()]
        }
    )


def _check_window(dataset: xr.Dataset, name: str, bounds: str, path: Path) -> None:
    match = _WINDOW.fullmatch(name)
    if match is not None and int(match[1]) != 1:
        raise InputError(
            f"{path}: {name} is a sum over {int(match[1])} hours, expected one hour; leave it out "
            "with data.exclude"
        )
    attributes = dataset[name].attrs
    said = f"{name} {attributes.get('standard_name', '')} {attributes.get('long_name', '')}"
    if re.search(r"rate\b", said, re.IGNORECASE) and "time:" not in str(
        attributes.get("cell_methods", "")
    ):
        raise InputError(
            f"{path}: {name} is a rate ('{said.strip()}'), expected an hour's sum in mm; sum it, "
            "or say cell_methods='time: mean' where it is the hour's mean in mm/h"
        )
    if bounds in dataset:
        _check_bounds(dataset, bounds, path)


def _check_bounds(dataset: xr.Dataset, bounds: str, path: Path) -> None:
    if not np.issubdtype(dataset["time"].dtype, np.datetime64):
        raise InputError(f"{path}: has no dates in 'time', expected ends of hours")
    window = np.atleast_2d(dataset[bounds].values.astype("datetime64[m]"))
    end = np.atleast_1d(dataset["time"].values.astype("datetime64[m]"))
    minute = np.timedelta64(1, "m")  # hours as floats miss by one minute at most
    length = window[:, 1] - window[:, 0]
    off = (abs(window[:, 1] - end) > minute) | (abs(length - _HOUR) > minute)
    if off.any():
        first = int(np.argmax(off))
        raise InputError(
            f"{path}: hour {first} sums from {window[first, 0]} to {window[first, 1]} with "
            f"time {end[first]}, expected the hour that ends at its time"
        )


def _one_field_an_hour(array: xr.DataArray, path: Path) -> xr.DataArray:
    """The array with dims (time, rows, columns)."""
    rows, columns = ("y", "x") if {"y", "x"} <= set(array.dims) else ("latitude", "longitude")
    wanted = ("time", rows, columns)
    for dimension in array.dims:
        if dimension not in wanted and array.sizes[dimension] == 1:
            array = array.isel({dimension: 0}, drop=True)
    if not {rows, columns} <= set(array.dims) <= set(wanted):
        raise InputError(
            f"{path}: {array.name} has dimensions {tuple(map(str, array.dims))}, expected time "
            "and latitude, longitude or y, x; rename or select them"
        )
    for axis in (rows, columns):
        if axis not in array.coords:
            raise InputError(
                f"{path}: {array.name} has no coordinate {axis}; write its values to the file"
            )
    if "time" not in array.dims:
        array = array.expand_dims("time")
    return array.transpose(*wanted)


def _ends(dataset: xr.Dataset, array: xr.DataArray, path: Path) -> np.ndarray:
    """Ends of the hours, datetime64 [T]; NaT where the file has none."""
    if "time" not in array.coords or not np.issubdtype(array["time"].dtype, np.datetime64):
        return np.full(array.sizes["time"], np.datetime64("NaT", "ns"))
    # `step` is still there where a file has no valid time: `time` may be the start of a forecast.
    if "step" in dataset.variables and np.any(dataset["step"].values != 0):
        raise InputError(
            f"{path}: has time and step but no valid_time, expected the ends of hours; add "
            "valid_time = time + step"
        )
    return array["time"].values


def _regular(array: xr.DataArray, times: np.ndarray, region: Box | None, path: Path) -> xr.Dataset:
    boxed = crop(upright(array.to_dataset(name="rain"), str(path)), region, str(path))
    units = str(array.attrs.get("units", ""))
    values = to_canonical("rain", boxed["rain"].values, units, str(path))
    axes = {axis: (axis, boxed[axis].values) for axis in ("latitude", "longitude")}
    try:
        return fine_dataset(values, times, axes, ("latitude", "longitude"))
    except ValueError as error:  # an axis of a damaged file with another length
        raise InputError(f"{path}: the rain does not fit its axes: {error}") from error
