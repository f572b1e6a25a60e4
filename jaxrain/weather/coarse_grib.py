"""Predictors in GRIB: fields of either edition gathered to arrays over time and level."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.accumulation import Sum
from jaxrain.weather.grib import Header, decode
from jaxrain.weather.rain_windows import as_windows
from jaxrain.weather.variables import VARIABLES, canonical_name, on_levels, to_canonical

_Key = tuple[np.datetime64, float]
# ECMWF's streams and types of data that hold no weather of an hour.
_NOT_OF_AN_HOUR = {
    **dict.fromkeys(("moda", "mnth", "edmo", "edmm", "msda", "mdfa"), "a mean over a month"),
    **dict.fromkeys(("hcmean", "fcmean", "taem"), "a mean over a time"),
    **dict.fromkeys(("es", "taes", "fcstdev", "ses"), "a spread"),
    **dict.fromkeys(("fcmax", "fcmin"), "an extreme over a time"),
    "cl": "a climate",
}


def axes_of(headers: Iterable[Header]) -> tuple[dict[str, xr.DataArray], list[str]]:
    """The predictors with values of no meaning, for their axes; and names of what else is there."""
    by_name: dict[str, list[Header]] = {}
    others: list[str] = []
    for header in headers:
        name = _predictor(header)
        if name is not None:
            by_name.setdefault(name, []).append(header)
        elif (told := _told(header)) not in others:
            others.append(told)
    axes = {}
    for name, group in by_name.items():
        sample = group[0]
        levels = np.array(list(dict.fromkeys(each.level for each in group)))
        times = np.unique(np.array([each.valid for each in group])).astype("datetime64[ns]")
        coords = {"time": times, "latitude": sample.latitude, "longitude": sample.longitude}
        dims = ["time", "latitude", "longitude"]
        if on_levels(name):
            coords["level"] = levels
            dims.insert(1, "level")
        shape = tuple(len(coords[dim]) for dim in dims)
        axes[name] = xr.DataArray(np.broadcast_to(np.float32(0), shape), coords, dims)
    return axes, others


def read_fields(
    path: Path,
    headers: Sequence[Header],
    pick: Callable[[str, xr.DataArray], xr.DataArray | None],
) -> dict[str, xr.DataArray]:
    """The predictors of a GRIB file in canonical units.

    Args:
      path: a GRIB file.
      headers: of all its fields.
      pick: takes our name of a variable and an array with its axes; returns the part to load, or
        None. Values come from the messages that the part's levels need.

    Returns:
      By our names; float32; only hours that have all the picked levels. Rain as it was summed:
      `jaxrain.weather.rain_windows`.

    Raises:
      InputError: two messages disagree about a field, or a variable is on two grids.
    """
    axes, _ = axes_of(headers)
    parts = {name: part for name, array in axes.items() if (part := pick(name, array)) is not None}
    grids = {
        name: {axis: axes[name][axis].values for axis in ("latitude", "longitude")}
        for name in parts
    }
    levels = {
        name: {float(level) for level in part["level"].values} if on_levels(name) else {0.0}
        for name, part in parts.items()
    }
    found: dict[str, dict[_Key, np.ndarray]] = {name: {} for name in parts}
    units: dict[str, str] = {}
    sums: list[Sum] = []
    ours = {_place(header) for header in headers if _predictor(header) == header.name}
    for header in headers:
        name = _predictor(header)
        if name not in parts or (on_levels(name) and header.level not in levels[name]):
            continue
        if header.name != name and (name, *_place(header)[1:]) in ours:
            continue  # geopotential height beside the geopotential itself
        where = f"{path}: message {header.number}"
        _check_field(header, grids[name], name, where)
        values = to_canonical(name, decode(path, header), header.units, where)
        units[name] = header.units
        if VARIABLES[name].cell_methods == "time: sum":
            sums.append(_sum(header, values, where))
        else:
            _keep(found[name], (header.valid, header.level), values, where)
    return {
        name: (
            _windows(sums, axes[name], part)
            if VARIABLES[name].cell_methods == "time: sum"
            else _pick_values(axes[name], found[name], part, path)
        ).assign_attrs(units=units[name])
        for name, part in parts.items()
    }


def _windows(sums: Sequence[Sum], axes: xr.DataArray, part: xr.DataArray) -> xr.DataArray:
    rows, columns = _places(axes, part)
    cut = [replace(each, rain_mm=each.rain_mm[rows][:, columns]) for each in sums]
    return as_windows(cut, part["latitude"].values, part["longitude"].values)


def _pick_values(
    axes: xr.DataArray, values: dict[_Key, np.ndarray], part: xr.DataArray, path: Path
) -> xr.DataArray:
    """Stacks the hours that are whole and crops them as `part` is cropped."""
    leveled = "level" in part.dims
    wanted = [float(level) for level in part["level"].values] if leveled else [0.0]
    times = sorted({time for time, _ in values})
    whole = [time for time in times if all((time, level) in values for level in wanted)]
    if not whole:
        what = f" on all the levels {wanted} hPa" if leveled else ""
        raise InputError(f"{path}: no hour has {part.name}{what}; fetch the file again")
    stack = np.stack([[values[time, level] for level in wanted] for time in whole])
    rows, columns = _places(axes, part)
    stack = stack[:, :, rows][..., columns]
    coords = {dim: part[dim].values for dim in part.dims if dim != "time"}
    coords["time"] = np.array(whole).astype("datetime64[ns]")
    return xr.DataArray(stack if leveled else stack[:, 0], coords, part.dims, name=part.name)


def _predictor(header: Header) -> str | None:
    name = canonical_name(header.name)
    if name is None or (on_levels(name) and header.level_type != "isobaricInhPa"):
        return None
    if VARIABLES[name].cell_methods == "time: point" and header.start_hours is not None:
        return None
    return name


def _told(header: Header) -> str:
    """What a field that is no predictor is; one of our names needs the reason said."""
    if canonical_name(header.name) is None:
        return header.name
    if header.level_type != "isobaricInhPa":
        return f"{header.name} on {header.level_type}"
    return f"{header.name} over {header.end_hours - (header.start_hours or 0.0):g} hours"


def _place(header: Header) -> tuple[str, np.datetime64, float]:
    return header.name, header.valid, header.level


def _check_field(header: Header, grid: dict[str, np.ndarray], name: str, where: str) -> None:
    if header.member:
        raise InputError(
            f"{where}: {name} is member {header.member} of an ensemble, expected one analysis or "
            "forecast; keep one member in the file"
        )
    means = _NOT_OF_AN_HOUR.get(header.stream) or _NOT_OF_AN_HOUR.get(header.kind)
    if means is not None:
        raise InputError(
            f"{where}: {name} is {means} (stream '{header.stream}', type '{header.kind}'), "
            "expected the weather of an hour; fetch hourly fields"
        )
    for axis, ours in grid.items():
        theirs = getattr(header, axis)
        if ours is theirs:
            continue
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > 1e-4:
            raise InputError(
                f"{where}: {name} is on another grid ({len(header.latitude)} x "
                f"{len(header.longitude)}) than the messages before "
                f"({len(grid['latitude'])} x {len(grid['longitude'])}); split the file"
            )


def _sum(header: Header, values: np.ndarray, where: str) -> Sum:
    # ERA5 (class ea) sums single hours (its ensemble three), whether its messages say so or hold
    # the step alone; other forecasts that hold the step alone sum from their start.
    start = header.start_hours
    if start is None:
        length_hours = 3.0 if header.stream == "enda" else 1.0
        start = header.end_hours - length_hours if header.mars_class == "ea" else 0.0
    length = np.timedelta64(round((header.end_hours - start) * 3600), "s")
    return Sum(header.valid - length, header.valid, values, where)


def _keep(found: dict[_Key, np.ndarray], key: _Key, values: np.ndarray, where: str) -> None:
    if key in found and not np.array_equal(found[key], values, equal_nan=True):
        raise InputError(
            f"{where}: another message holds other values for {key[0]} on {key[1]:g} hPa; keep one "
            "forecast in the file"
        )
    found[key] = values


def _places(axes: xr.DataArray, part: xr.DataArray) -> tuple[list[int], list[int]]:
    """Rows and columns of a whole field that a part of it takes."""
    rows = _positions(axes["latitude"].values, part["latitude"].values)
    return rows, _positions(axes["longitude"].values, part["longitude"].values, period=360.0)


def _positions(axis: np.ndarray, wanted: Iterable[float], period: float | None = None) -> list[int]:
    def distance(value: float) -> np.ndarray:
        away = np.abs(axis - value)
        return away if period is None else np.minimum(away % period, -away % period)

    return [int(np.argmin(distance(value))) for value in wanted]
