"""NetCDF of forecasts: from time of start and step to the valid time, as one axis."""

from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.netcdf import whole_minutes

# ISO-like spellings of a step's unit, as xarray and cfgrib write them.
_SECONDS = {
    "nanoseconds": 1e-9,
    "seconds": 1.0,
    "second": 1.0,
    "minutes": 60.0,
    "hours": 3600.0,
    "hour": 3600.0,
    "h": 3600.0,
    "days": 86400.0,
}


def on_valid_times(array: xr.DataArray, path: Path) -> xr.DataArray:
    """Puts an array on the times that it is for.

    A file made from forecasts has `time`, when they began, `step`, and often `valid_time`; each
    may be a dimension or a single value. Files without steps are returned as they are.

    Args:
      array: with any of those coordinates.
      path: for an error.

    Returns:
      The array with a dimension `time` of valid times, and in place of time and step the
      coordinate `base` on it: when each forecast began. Its values are then loaded.

    Raises:
      InputError: the step is no time, or the start is not there.
    """
    if "step" not in array.coords:
        valid = array.coords.get("valid_time")
        if valid is None or valid.dims != ("time",):
            return array
        return array.assign_coords(time=("time", valid.values)).drop_vars("valid_time")
    if "time" not in array.coords:
        raise InputError(f"{path}: {array.name} has steps but no time from which they count")
    if not np.issubdtype(array["time"].dtype, np.datetime64):
        raise InputError(f"{path}: time is not a date, expected units like 'hours since ...'")
    for axis in ("time", "step"):
        if axis not in array.dims:
            array = array.expand_dims(axis)
    rest = [dim for dim in array.dims if dim not in ("time", "step")]
    array = array.transpose("time", "step", *rest)
    starts, steps = (np.asarray(array["time"].values), _steps(array["step"], path))
    base = np.repeat(starts.astype("datetime64[ns]"), len(steps))
    valid = whole_minutes(base + np.tile(steps, len(starts)))
    coords = {name: each for name, each in array.coords.items() if set(each.dims) <= set(rest)}
    for axis in ("time", "step", "valid_time"):
        coords.pop(axis, None)
    stacked = array.values.reshape(len(base), *array.shape[2:])
    return xr.DataArray(
        stacked,
        {**coords, "time": ("time", valid), "base": ("time", base)},
        ("time", *rest),
        array.name,
        array.attrs,
    )


def _steps(step: xr.DataArray, path: Path) -> np.ndarray:
    if np.issubdtype(step.dtype, np.timedelta64):
        return np.asarray(step.values, "timedelta64[ns]")
    units = str(step.attrs.get("units", ""))
    if units not in _SECONDS:
        raise InputError(f"{path}: steps have units '{units}', expected hours")
    seconds = np.round(np.asarray(step.values, np.float64) * _SECONDS[units])
    return (seconds * 1e9).astype("timedelta64[ns]")
