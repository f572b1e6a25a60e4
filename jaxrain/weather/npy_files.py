"""Hours of .npy folders, as pipelines leave them: one array an hour, its hour in the name.

Beside the hours may lie `max_values.npy` and `min_values.npy`, which are not hours: by them the
arrays were scaled.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.arrays import open_array
from jaxrain.errors import InputError
from jaxrain.weather.cmpa import check_hourly, is_cmpa_name, parse_name
from jaxrain.weather.fine_rain import fine_dataset
from jaxrain.weather.npy_layout import (
    EXTREMES,
    IGNORED,
    Arrays,
    NpyFolders,
    hour_pattern,
    scaling_files,
)
from jaxrain.weather.region import Box, crop, upright
from jaxrain.weather.variables import cf_attributes, on_levels, to_canonical

_AXES = ("latitude", "longitude")
# Hours beyond the extremes leave the scaled range, but not by more than its length.
_BEYOND = 1.0


def read_fine_npy(
    path: Path, folders: NpyFolders, *, region: Box | None, utc_offset_hours: float
) -> xr.Dataset:
    """Reads an hour of fine rain.

    Args:
      path: a .npy file.
      folders: what the config says of such.
      region: box to crop to; no more is read.
      utc_offset_hours: how far the names' times run ahead of UTC.

    Returns:
      A canonical Dataset, see `jaxrain.weather.fine_rain`.

    Raises:
      InputError: the config says nothing of such files; the array is damaged, holds objects or is
        unlike the grid; its name has no hour; or the extremes of its scaling lack.
    """
    arrays = _told(folders.fine, path, "fine")
    check_hourly(path)
    time, source = _hour(path, arrays, utc_offset_hours)
    field = _read(path, arrays, folders.grid("fine"), region, margin=0)
    units = arrays.units_of("rain")
    rain = to_canonical("rain", field.values, units, str(path))
    axes = {axis: (axis, field[axis].values) for axis in _AXES}
    dataset = fine_dataset(rain, np.array([time]), axes, _AXES)
    return dataset.assign_attrs(file_units=units, time_source=source)


def read_coarse_npy(
    path: Path,
    folders: NpyFolders,
    *,
    variables: Sequence[str],
    levels: Sequence[int],
    region: Box | None,
) -> xr.Dataset:
    """Reads an hour of predictors.

    Args:
      path: a .npy file.
      folders: what the config says of such.
      variables: our names; those that the channels hold are taken.
      levels: hPa, in the order that the result has.
      region: box to crop to; one cell around it is kept, so that its rim can be interpolated.

    Returns:
      A canonical Dataset, see `jaxrain.weather.era5`.

    Raises:
      InputError: as `read_fine_npy`; or the channels hold none of the variables, or lack a level.
    """
    arrays = _told(folders.coarse, path, "coarse")
    time, _ = _hour(path, arrays, arrays.utc_offset_hours)
    wanted = [name for name in variables if name in {held for held, _ in arrays.held}]
    if not wanted:
        raise InputError(
            f"{path}: data.npy.coarse.channels={arrays.channels} hold none of data.variables="
            f"{list(variables)}"
        )
    places = {name: _places(name, levels, arrays, path) for name in wanted}
    field = _read(path, arrays, folders.grid("coarse"), region, margin=1)
    content = {}
    for name in wanted:
        units = arrays.units_of(name)
        values = to_canonical(name, field.values[places[name]], units, str(path))
        dims = ("time", "level", *_AXES) if on_levels(name) else ("time", *_AXES)
        values = values[None] if on_levels(name) else values
        content[name] = (dims, values, {**cf_attributes(name), "file_units": units})
    coords = {axis: (axis, field[axis].values) for axis in _AXES}
    coords["time"] = ("time", np.array([time]).astype("datetime64[ns]"))
    if any(on_levels(name) for name in wanted):
        coords["level"] = ("level", np.asarray(levels))
    return xr.Dataset(content, coords)


def _told(arrays: Arrays | None, path: Path, role: str) -> Arrays:
    if arrays is None:
        raise InputError(
            f"{path}: is a .npy array, which knows neither its grid nor its channels; say them as "
            f"data.npy.{role}, or give GRIB or NetCDF"
        )
    return arrays


def _hour(path: Path, arrays: Arrays, utc_offset_hours: float) -> tuple[np.datetime64, str]:
    """The end of the hour, UTC, and whether the name says it or when it was produced."""
    ahead = np.timedelta64(round(utc_offset_hours * 60), "m")
    if arrays.names is None:
        if not is_cmpa_name(path.name):
            raise InputError(
                f"{path}: has no hour in its name that we know; give the names' pattern as 'names' "
                "in data.npy, for instance 'era5_%Y%m%d%H.npy'"
            )
        name = parse_name(path.name)
        return name.hour - ahead, "produced" if name.valid is None else "name"
    match = hour_pattern(arrays.names).fullmatch(path.name)
    if match is None:
        raise InputError(
            f"{path}: is not named like '{arrays.names}', which data.npy says; exclude it or "
            "correct the pattern"
        )
    text = "{year}-{month}-{day}T{hour}:{minute}".format(**{"minute": "00", **match.groupdict()})
    try:
        return np.datetime64(text, "m") - ahead, "name"
    except ValueError:
        raise InputError(f"{path}: {text} in its name is no time; rename the file") from None


def _places(name: str, levels: Sequence[int], arrays: Arrays, path: Path) -> list[int]:
    """Where a variable's levels are among the held channels."""
    if not on_levels(name):
        return [arrays.held.index((name, None))]
    lacking = [level for level in levels if (name, level) not in arrays.held]
    if lacking:
        raise InputError(
            f"{path}: data.npy.coarse.channels={arrays.channels} lack {name} on "
            f"{', '.join(map(str, lacking))} hPa; drop the level from data.levels"
        )
    return [arrays.held.index((name, level)) for level in levels]


def _read(
    path: Path,
    arrays: Arrays,
    grid: tuple[np.ndarray, np.ndarray],
    region: Box | None,
    *,
    margin: int,
) -> xr.DataArray:
    """The held channels inside a region, upright, the scaling undone: [C, H, W]."""
    latitude, longitude = grid
    values = _load(path)
    if values.ndim == 2 and len(arrays.channels) == 1:
        values = values[None]
    expected = (len(arrays.channels), len(latitude), len(longitude))
    if values.shape != expected:
        raise InputError(
            f"{path}: has shape {values.shape}, expected {expected}: the channels "
            f"{arrays.channels} on the grid that data.npy says"
        )
    whole = xr.Dataset(
        {"values": (("channel", *_AXES), values)}, {"latitude": latitude, "longitude": longitude}
    )
    boxed = crop(upright(whole, str(path)), region, str(path), margin=margin)["values"]
    kept = [index for index, name in enumerate(arrays.channels) if name != IGNORED]
    field = boxed.isel(channel=kept)
    if arrays.scaled is None:
        return field
    return field.copy(data=_unscaled(field.values, path, arrays, kept))


def _unscaled(values: np.ndarray, path: Path, arrays: Arrays, kept: list[int]) -> np.ndarray:
    """x -> x * (max - min + epsilon) + min, of those in `signed` from (x + 1) / 2; float64."""
    assert arrays.scaled is not None
    least, most = (_extremes(file, arrays)[kept] for file in scaling_files(path, arrays))
    if not np.all(most > least):
        raise InputError(f"{path}: {' and '.join(EXTREMES)} beside it: expected min below max")
    unit = values.astype(np.float64)
    signed = [arrays.channels[index] in arrays.scaled.signed for index in kept]
    unit[signed] = (unit[signed] + 1.0) / 2.0
    for index, channel in zip(kept, unit, strict=True):
        usual = np.nanmedian(channel) if np.isfinite(channel).any() else 0.0
        if not -_BEYOND <= usual <= 1.0 + _BEYOND:
            raise InputError(
                f"{path}: half of its {arrays.channels[index]} lies beyond {usual:g}, of a range "
                "that is scaled to [0, 1]; leave out data.npy's 'scaled' where arrays are not"
            )
    least, most = least[:, None, None], most[:, None, None]
    return unit * (most - least + arrays.scaled.epsilon) + least


def _extremes(path: Path, arrays: Arrays) -> np.ndarray:
    values = np.ravel(_load(path)).astype(np.float64)
    if values.size != len(arrays.channels) or not np.isfinite(values).all():
        raise InputError(
            f"{path}: holds {values.size} values, expected a finite one for each of the channels "
            f"{arrays.channels}"
        )
    return values


def _load(path: Path) -> np.ndarray:
    """The array, not yet read: a memory map."""
    array = open_array(path)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: holds {array.dtype}, expected numbers")
    return array
