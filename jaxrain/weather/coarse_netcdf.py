"""Predictors in NetCDF: both forms of the Climate Data Store, short and long names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.accumulation import runs_on
from jaxrain.weather.netcdf import open_netcdf, whole_minutes
from jaxrain.weather.valid_times import on_valid_times
from jaxrain.weather.variables import VARIABLES, canonical_name, spell_units, to_canonical

# What files call our dimensions: the store's old form, its new one, CF's and cfgrib's words.
DIMENSIONS = {
    "time": ("time", "valid_time"),
    "level": ("level", "pressure_level", "isobaricInhPa", "plev", "levels"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon"),
}
_PRESSURE_FACTORS = {"Pa": 0.01, "hPa": 1.0, "millibars": 1.0, "mbar": 1.0, "mb": 1.0}

_HOUR = np.timedelta64(1, "h")
_MINUTE = np.timedelta64(1, "m")
_LAND_SPACING = 0.1  # degrees, of ERA5-Land


def read_fields(
    path: Path, pick: Callable[[str, xr.DataArray], xr.DataArray | None]
) -> dict[str, xr.DataArray]:
    """The predictors of a NetCDF file in canonical units, not yet turned.

    Args:
      path: a NetCDF file.
      pick: takes our name of a variable and its array, not loaded, with dims (time, [level,]
        latitude, longitude) and levels in hPa; returns the part to load, or None.

    Returns:
      By our names; float32. Rain as it was summed: `jaxrain.weather.rain_windows`.

    Raises:
      InputError: the file can't be read, or a variable has units or axes that we don't know.
    """
    found: dict[str, xr.DataArray] = {}
    with open_netcdf(path) as dataset:
        for name, array in _predictors(dataset, path).items():
            part = pick(name, array)
            if part is not None:
                units = str(array.attrs.get("units", ""))
                loaded = part.copy(data=to_canonical(name, part.values, units, str(path)))
                there = _there(loaded)
                if VARIABLES[name].cell_methods == "time: sum":
                    found[name] = _windows(there, path)
                else:  # without what tells of forecasts
                    found[name] = there.drop_vars(["base", "start"], errors="ignore")
    return found


def read_axes(path: Path) -> tuple[dict[str, xr.DataArray], list[str]]:
    """The predictors with values of no meaning, for their axes; and names of what else is there."""
    with open_netcdf(path) as dataset:
        predictors = _predictors(dataset, path)
        ours = {array.attrs["file_name"] for array in predictors.values()}
        ours |= {str(dataset[axis].attrs.get("bounds")) for axis in dataset.coords}
        axes = {
            name: xr.DataArray(
                np.broadcast_to(np.float32(0), array.shape), array.coords, array.dims
            )
            for name, array in predictors.items()
        }
        return axes, [str(name) for name in dataset.data_vars if str(name) not in ours]


def _predictors(dataset: xr.Dataset, path: Path) -> dict[str, xr.DataArray]:
    found: dict[str, xr.DataArray] = {}
    dataset = _renamed(dataset)
    for file_name, array in dataset.data_vars.items():
        name = canonical_name(str(file_name))
        if name is None or (file_name != name and name in dataset.data_vars):
            continue  # no predictor, or geopotential height beside the geopotential itself
        if name in found:
            raise InputError(
                f"{path}: holds {name} twice, as {found[name].attrs['file_name']} and as "
                f"{file_name}; keep one of them"
            )
        if VARIABLES[name].cell_methods == "time: sum":
            array = _with_starts(array, dataset, path)
        found[name] = _canonical_axes(array, name, path).assign_attrs(
            file_name=str(file_name), units=array.attrs.get("units", "")
        )
    return found


def _renamed(dataset: xr.Dataset) -> xr.Dataset:
    if {"forecast_reference_time", "forecast_period"} <= set(dataset.coords):
        dataset = dataset.drop_vars("valid_time", errors="ignore").rename(
            forecast_reference_time="time", forecast_period="step"
        )
    present = {*dataset.dims, *dataset.coords}
    names = {
        alias: ours
        for ours, aliases in DIMENSIONS.items()
        for alias in aliases
        if alias != ours and alias in present and ours not in present
    }
    return dataset.rename(names)


def _canonical_axes(array: xr.DataArray, name: str, path: Path) -> xr.DataArray:
    if "expver" in array.dims:
        array = _merge_streams(array)
    array = on_valid_times(array, path)
    for dimension in ("number", "realization", "height", "surface"):
        if array.sizes.get(dimension) == 1:
            array = array.isel({dimension: 0})
    for dimension in ("time", *(["level"] if VARIABLES[name].on_levels else [])):
        if dimension not in array.dims and dimension in array.coords:
            array = array.expand_dims(dimension)
    dims = ["time", *(["level"] if VARIABLES[name].on_levels else []), "latitude", "longitude"]
    if set(array.dims) != set(dims):
        raise InputError(
            f"{path}: {array.name} has dimensions {tuple(map(str, array.dims))}, expected "
            f"{', '.join(dims)}; rename or select them"
        )
    array = array.transpose(*dims)
    missing = [dim for dim in dims if dim not in array.coords]
    if missing:
        raise InputError(
            f"{path}: {array.name} has no coordinate {missing[0]}; write its values to the file"
        )
    if not np.issubdtype(array["time"].dtype, np.datetime64):
        raise InputError(f"{path}: time is not a date, expected units like 'hours since ...'")
    if "level" in dims:
        array = array.assign_coords(level=_hectopascal(array["level"], path))
    coords = {dim: (dim, np.asarray(array[dim].values)) for dim in dims}
    coords["time"] = ("time", whole_minutes(coords["time"][1]))
    for extra in ("base", "start"):
        if extra in array.coords:
            coords[extra] = ("time", np.asarray(array[extra].values))
    try:
        return xr.DataArray(array.variable, coords=coords, name=name)
    except ValueError as error:  # an axis of a damaged file with another length
        raise InputError(f"{path}: {name} does not fit its axes: {error}") from error


def _hectopascal(level: xr.DataArray, path: Path) -> tuple[str, np.ndarray]:
    units = str(level.attrs.get("units", "hPa"))
    factor = _PRESSURE_FACTORS.get(spell_units(units))
    if factor is None:
        raise InputError(f"{path}: levels have units '{units}', expected hPa or Pa")
    return "level", np.asarray(level.values, np.float64) * factor


def _merge_streams(array: xr.DataArray) -> xr.DataArray:
    """ERA5 (expver 1), and ERA5T (5) where ERA5 is not out yet and filled with NaN."""
    streams = [array.isel(expver=index, drop=True) for index in np.argsort(array["expver"].values)]
    merged = streams[0]
    for other in streams[1:]:
        merged = merged.fillna(other)
    return merged.assign_attrs(array.attrs)


def _with_starts(array: xr.DataArray, dataset: xr.Dataset, path: Path) -> xr.DataArray:
    """Adds the coordinate `start`, of the windows of sums, where the file says them (CF, 7.1)."""
    name = dataset["time"].attrs.get("bounds") if "time" in array.dims else None
    if name not in dataset.variables:
        return array
    bounds = dataset[name]
    if bounds.dims[:1] != ("time",) or not np.issubdtype(bounds.dtype, np.datetime64):
        raise InputError(f"{path}: {name} is no start and end of each time, expected CF's bounds")
    windows = np.asarray(bounds.values)
    if windows.shape[1:] != (2,) or (abs(windows[:, 1] - array["time"].values) > _MINUTE).any():
        raise InputError(f"{path}: the windows of {name} do not end at their times; mend the file")
    return array.assign_coords(start=("time", whole_minutes(windows[:, 0])))


def _there(array: xr.DataArray) -> xr.DataArray:
    """Without the pairs of start and step that no forecast had; they are filled with NaN."""
    if "base" not in array.coords:
        return array
    rest = tuple(range(1, array.ndim))
    return array.isel(time=~np.isnan(array.values).all(axis=rest))


def _windows(array: xr.DataArray, path: Path) -> xr.DataArray:
    """Rain by the windows that it is summed over, instead of by time."""
    ends = array["time"].values
    kept = array.drop_vars(["base", "start", "time"], errors="ignore").rename(time="window")
    where = np.full(len(ends), f"{path}: tp")
    windows = {"end": ends, "where": where, **_window_starts(array, ends)}
    return kept.assign_coords({name: ("window", each) for name, each in windows.items()})


def _window_starts(array: xr.DataArray, ends: np.ndarray) -> dict[str, np.ndarray]:
    """`start` of each window; and where it is guessed, `since`, from where it would run on."""
    if "start" in array.coords:
        return {"start": array["start"].values}
    # Where nothing says it: forecasts sum from their start or over each hour, and of analyses
    # ERA5-Land's alone run on, from 00 UTC.
    days = (ends - _MINUTE).astype("datetime64[D]").astype("datetime64[ns]")
    since = array["base"].values if "base" in array.coords else days
    forecast = "base" in array.coords
    running = runs_on(array.values, since, ends)
    if running is None:
        running = not forecast and _spacing(array) == _LAND_SPACING
    start = since if running else ends - _HOUR
    return {"start": start, "since": since, "forecast": np.full(len(ends), forecast)}


def _spacing(array: xr.DataArray) -> float:
    latitude = array["latitude"].values
    return round(float(abs(latitude[-1] - latitude[0])) / max(len(latitude) - 1, 1), 4)
