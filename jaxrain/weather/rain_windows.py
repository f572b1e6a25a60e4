"""Rain as files hold it, summed over windows of any length, and the hours that it gives.

Windows are an array `tp` [window, latitude, longitude] in mm with the coordinates `start` and
`end` (UTC) and `where`, which names file and message in an error. Where no file says `start`, and
its rain alone told it or did not, there are `since` too, the start if it is a running sum, and
`forecast`, whether that is a forecast's.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.accumulation import Hour, Sum, hourly, runs_on

_HOUR = np.timedelta64(1, "h")
# Rain a hair below zero is what packing leaves of zero, mm.
_PACKING_MM = 0.05


def as_windows(sums: Sequence[Sum], latitude: np.ndarray, longitude: np.ndarray) -> xr.DataArray:
    """Sums, one or more, as an array of windows on the axes of their rain, degrees [H] and [W]."""
    return xr.DataArray(
        np.stack([each.rain_mm for each in sums]),
        {
            "latitude": latitude,
            "longitude": longitude,
            "start": ("window", np.array([each.start for each in sums], "datetime64[ns]")),
            "end": ("window", np.array([each.end for each in sums], "datetime64[ns]")),
            "where": ("window", [each.where for each in sums]),
        },
        ("window", "latitude", "longitude"),
        "tp",
    )


def judged_together(
    windows: Sequence[xr.DataArray], what: str, *, spread_hours: int
) -> list[xr.DataArray]:
    """Windows whose files do not say their starts, told by the rain of all of them together.

    Rain that falls from one step to the next is of single hours; a step alone may be either.

    Args:
      windows: of one or several files.
      what: names the files in an error.
      spread_hours: as the user said: with more than 1, steps are longer than an hour.

    Raises:
      InputError: it rains, and nothing tells over what a forecast's step, or one of several hours,
        is summed.
    """
    unsure = [each for each in windows if "since" in each.coords]
    if not unsure:
        return list(windows)
    starts, since, ends, forecast = (
        np.concatenate([each[name].values for each in unsure])
        for name in ("start", "since", "end", "forecast")
    )
    rain = np.concatenate([each.values for each in unsure])
    running = runs_on(rain, since, ends)
    gaps = np.diff(np.unique(ends))
    long = (spread_hours > 1) & (gaps.size > 0 and gaps.min() > _HOUR)
    steps = forecast & (ends - since > _HOUR)
    open_ended = running is None and bool((steps & (starts != since)).any())
    if not running and (long or open_ended) and np.nanmax(rain, initial=0.0) > _PACKING_MM:
        raise InputError(
            f"{what}: nothing says over what tp is summed up to {ends[0]}, an hour or since "
            f"{since[0]}: give GRIB, or NetCDF whose time has CF's bounds"
        )
    if not running:
        return list(windows)
    return [
        each.assign_coords(start=("window", each["since"].values))
        if "since" in each.coords
        else each
        for each in windows
    ]


def single_hours(
    windows: Sequence[xr.DataArray], what: str, *, spread_hours: int = 1
) -> xr.DataArray:
    """Rain of single hours from the windows of one or several files.

    Args:
      windows: on the same axes; in any order, and as many files as a forecast's steps lie in.
      what: names the files in an error.
      spread_hours: longest window whose mean may stand for each of its hours; 1: none.

    Returns:
      `tp` [time, latitude, longitude], mm, float32, ascending by the hour's end, never a packing's
      hair below zero. The attribute `summed` says where longer sums were differenced; with
      `spread_hours` above 1 the coordinate `window_hours` [time] says over how many hours each is
      a mean.

    Raises:
      InputError: see `jaxrain.weather.accumulation.hourly`; or the windows give no hour.
    """
    starts, ends = (
        np.concatenate([each[name].values for each in windows]) for name in ("start", "end")
    )
    own = bool((ends - starts == _HOUR).all())
    if own and len(windows) == 1 and len(np.unique(ends)) == len(ends) > 0:
        rain = windows[0].isel(window=np.argsort(ends))
        times, values, lengths = rain["end"].values, rain.values, np.ones(len(ends), int)
    else:
        hours = hourly(_sums(windows), spread_hours=spread_hours)
        if not hours:
            raise InputError(f"{what}: no hour has tp as a sum of an hour; fetch the file again")
        times, values, lengths = _stacked(hours)
    coords = {name: windows[0][name].values for name in ("latitude", "longitude")}
    attributes = dict(windows[0].attrs)
    if not own:
        attributes["summed"] = "made from longer sums"
    hair = (values < 0.0) & (values > -_PACKING_MM)
    tp = xr.DataArray(
        np.where(hair, np.float32(0.0), values),
        {"time": times, **coords},
        ("time", "latitude", "longitude"),
        "tp",
        attributes,
    )
    return tp.assign_coords(window_hours=("time", lengths)) if spread_hours > 1 else tp


def _sums(windows: Sequence[xr.DataArray]) -> list[Sum]:
    found = []
    for each in windows:
        starts, ends = (each[name].values.astype("datetime64[s]") for name in ("start", "end"))
        places = map(str, each["where"].values)
        found += [Sum(*one) for one in zip(starts, ends, each.values, places, strict=True)]
    return found


def _stacked(hours: dict[np.datetime64, Hour]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends [T], rain [T, H, W] and lengths of windows [T] in the order of the ends."""
    ends = sorted(hours)
    return (
        np.array(ends).astype("datetime64[ns]"),
        np.stack([hours[end].rain_mm for end in ends]),
        np.array([hours[end].window_hours for end in ends]),
    )
