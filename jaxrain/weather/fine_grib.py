"""Fine rain in GRIB: CMPA's local parameters, MRMS's, and sums that ecCodes knows.

ecCodes has no name for the parameters of local tables: both CMPA's (centre 38) and MRMS's
(discipline 209) are `unknown` to it.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.cmpa import is_cmpa_name
from jaxrain.weather.fine_rain import choose_variable, fine_dataset
from jaxrain.weather.grib import Header, decode, each_header
from jaxrain.weather.large_fields import in_turn
from jaxrain.weather.region import Box, crop, upright
from jaxrain.weather.variables import to_canonical

_BEIJING = ("babj", "38")  # ecCodes' name of centre 38, and its number
# MRMS's table (NSSL, "Operational MRMS GRIB2 Tables", version 12): rain is category 6 of
# discipline 209. 1 is the rate; from 2 to 43 come six kinds of sums over seven windows each.
_MRMS = (209, 6)
_MRMS_RATE, _MRMS_SUMS = 1, range(2, 44)
_MRMS_HOURS = (1, 3, 6, 12, 24, 48, 72)


class _Cut(NamedTuple):
    """What a region takes of a grid, upright: rows and columns of the field, and the axes."""

    rows: slice | np.ndarray
    columns: slice | np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray


# By axes and box: thousands of files are on one grid.
_cuts: dict[tuple[bytes, bytes, tuple[float, ...] | None], _Cut] = {}
_GRIDS = 8  # that are remembered


def read_grib(path: Path, variable: str | None, region: Box | None) -> xr.Dataset:
    """Reads hourly sums, one message at a time: of each only what lies in the region is kept.

    Args:
      path: GRIB.
      variable: ecCodes' name of the rain; None takes the only one.
      region: box to crop to, its edges included.

    Returns:
      A canonical Dataset, see `jaxrain.weather.fine_rain`, its times those of the messages.

    Raises:
      InputError: the file is not whole, holds no rain or several candidates, a message isn't a
        sum of one hour, two hold the same hour, or they are on different grids.
    """
    with in_turn(path):
        return _read(path, variable, region)


def _read(path: Path, variable: str | None, region: Box | None) -> xr.Dataset:
    names = list(dict.fromkeys(header.name for header in each_header(path)))
    wanted = choose_variable(names, variable, path)
    named = is_cmpa_name(path.name)
    hours: dict[np.datetime64, xr.Dataset] = {}
    units = ""
    for header in each_header(path):
        if header.name != wanted:
            continue
        where = f"{path}: message {header.number}"
        _check_hour(header, where, cmpa=named or header.centre in _BEIJING)
        if header.valid in hours:
            raise InputError(f"{where}: holds {wanted} for {header.valid} again; keep one of them")
        hours[header.valid] = _hour(path, header, region, where)
        units = header.units
    parts = [hours[time] for time in sorted(hours)]
    _check_one_grid(parts, path)
    stacked = parts[0]
    if len(parts) > 1:
        stacked = xr.concat(parts, dim="time", join="override", combine_attrs="override")
    return stacked.assign_attrs(file_units=units)


def _hour(path: Path, header: Header, region: Box | None, where: str) -> xr.Dataset:
    cut = _cut(header, region, path, where)
    # Cropped before anything else: in whole-China fields each step more would be a copy of 336 MB.
    boxed = decode(path, header)[cut.rows][:, cut.columns]
    values = to_canonical("rain", boxed, header.units, where)
    axes = {"latitude": ("latitude", cut.latitude), "longitude": ("longitude", cut.longitude)}
    return fine_dataset(values[None], np.array([header.valid]), axes, ("latitude", "longitude"))


def _cut(header: Header, region: Box | None, path: Path, where: str) -> _Cut:
    box = (region.north, region.south, region.west, region.east) if region else None
    key = header.latitude.tobytes(), header.longitude.tobytes(), box
    if key not in _cuts:
        axes = {"latitude": header.latitude, "longitude": header.longitude}
        counted = {
            "row": ("latitude", np.arange(len(header.latitude))),
            "column": ("longitude", np.arange(len(header.longitude))),
        }
        left = crop(upright(xr.Dataset(counted, axes), where), region, str(path))
        if len(_cuts) >= _GRIDS:
            _cuts.clear()
        _cuts[key] = _Cut(
            rows=_as_slice(left["row"].values),
            columns=_as_slice(left["column"].values),
            latitude=left["latitude"].values,
            longitude=left["longitude"].values,
        )
    return _cuts[key]


def _as_slice(indices: np.ndarray) -> slice | np.ndarray:
    """The same points, without a copy where they are neighbours."""
    if len(indices) < 2 or not (np.diff(indices) == 1).all():
        return indices
    return slice(int(indices[0]), int(indices[-1]) + 1)


def _check_hour(header: Header, where: str, *, cmpa: bool) -> None:
    hours = _window(header, where)
    if hours not in (None, 1.0):
        raise InputError(
            f"{where}: {header.name} is a sum over {hours:g} hours, expected one hour; leave it "
            "out with data.exclude"
        )
    # CMPA's local templates may call the sum a state; its name or centre then vouches for it.
    if hours is None and not cmpa:
        raise InputError(
            f"{where}: {header.name} holds no window of an hour (step {header.end_hours:g} h), and "
            "neither the file's name nor its centre is CMPA's; expected an hourly sum"
        )


def _window(header: Header, where: str) -> float | None:
    """Hours that the field is summed over; None where the message doesn't say."""
    if header.start_hours is not None:
        return header.end_hours - header.start_hours
    *table, number = header.parameter
    if tuple(table) == _MRMS:
        # MRMS sums are written as states at the end of their window.
        if number == _MRMS_RATE:
            raise InputError(
                f"{where}: is MRMS's PrecipRate, the rate of one instant, expected an hour's sum; "
                "take MultiSensor_QPE_01H_Pass2 or RadarOnly_QPE_01H instead"
            )
        if number in _MRMS_SUMS:
            return float(_MRMS_HOURS[(number - _MRMS_SUMS.start) % len(_MRMS_HOURS)])
    return None


def _check_one_grid(parts: list[xr.Dataset], path: Path) -> None:
    for part in parts[1:]:
        for axis in ("latitude", "longitude"):
            ours, theirs = parts[0][axis].values, part[axis].values
            if ours.shape != theirs.shape or np.abs(ours - theirs).max() > 1e-4:
                raise InputError(f"{path}: messages are on different grids; split the file")
