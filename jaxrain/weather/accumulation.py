"""Sums of one hour from sums since another time."""

import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jaxrain.errors import InputError

_log = logging.getLogger(__name__)
_HOUR = np.timedelta64(3600, "s")
# Packed sums and their differences miss what they stand for by the packing's step, mm.
_PACKING_MM = 0.05
# Rain that has fallen at this many points and hours and never fell back can't be single hours'.
_WET_MM, _ENOUGH = 0.1, 100


@dataclass(frozen=True)
class Sum:
    """Rain summed over a window.

    Attributes:
      start: first instant of the window, UTC, datetime64[s].
      end: last instant of it.
      rain_mm: shape [H, W].
      where: names file and message in an error.
    """

    start: np.datetime64
    end: np.datetime64
    rain_mm: np.ndarray
    where: str


def hourly(sums: Iterable[Sum]) -> dict[np.datetime64, np.ndarray]:
    """Rain of single hours, by the end of the hour.

    A window of one hour is taken as it is. A longer one is differenced with the one that starts
    with it and ends an hour earlier: R(a, b) - R(a, b - 1 h). Where both or several of these give
    an hour, as in GFS, which sums from the start and from every sixth hour, the shortest window
    is taken. Windows without length, which forecasts hold at step 0, hold nothing. Hours that no
    window gives are left out, and the log says which.

    Args:
      sums: windows in any order.

    Returns:
      From the hour's end to mm, float32 [H, W], never negative where differenced.

    Raises:
      InputError: no window is an hour or can be differenced to one, two windows disagree about an
        hour by more than packing does, or a running sum falls.
    """
    windows: dict[tuple[np.datetime64, np.datetime64], Sum] = {}
    for each in sums:
        key = (each.start, each.end)
        if each.end > each.start and not _same(windows.setdefault(key, each).rain_mm, each.rain_mm):
            raise InputError(
                f"{each.where}: another message holds other rain from {each.start} to {each.end}; "
                "keep one of them in the file"
            )
    hours: dict[np.datetime64, np.ndarray] = {}
    undone: list[Sum] = []
    shortest_first = sorted(windows.values(), key=lambda each: (each.end, each.end - each.start))
    for each in shortest_first:
        rain = _one_hour(each, windows)
        if rain is None:
            undone.append(each)
        elif each.end not in hours:
            hours[each.end] = np.asarray(rain, np.float32)
        elif not _same(hours[each.end], rain):
            raise InputError(
                f"{each.where}: two forecasts give different rain for the hour that ends at "
                f"{each.end}; keep one of them in the file"
            )
    undone = [each for each in undone if each.end not in hours]
    if undone:
        first = undone[0]
        length = (first.end - first.start) / _HOUR
        told = (
            f"{first.where}: tp is a sum over {length:g} hours that ends at {first.end}, expected "
            "one hour, or the sum to the hour before as well to subtract"
        )
        if not hours:
            raise InputError(f"{told}; fetch hourly steps")
        _log.warning("%s; %d such hours are left out", told, len(undone))
    return hours


def _one_hour(
    window: Sum, windows: dict[tuple[np.datetime64, np.datetime64], Sum]
) -> np.ndarray | None:
    if window.end - window.start == _HOUR:
        return window.rain_mm
    before = windows.get((window.start, window.end - _HOUR))
    if before is None:
        return None
    rain = window.rain_mm - before.rain_mm
    if np.nanmin(rain, initial=0.0) < -_PACKING_MM:
        raise InputError(
            f"{window.where}: the sum since {window.start} falls by {-np.nanmin(rain):.2f} mm in "
            "an hour, expected a running sum; check the file's steps"
        )
    return np.maximum(rain, 0.0)


def _same(first_mm: np.ndarray, other_mm: np.ndarray) -> bool:
    return np.allclose(first_mm, other_mm, rtol=0.0, atol=_PACKING_MM, equal_nan=True)


def runs_on(rain_mm: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> bool | None:
    """Whether rain is summed since `starts` rather than over each hour, by its looks.

    NetCDF often doesn't say. A sum that runs on never falls; rain of single hours does, at some
    point, soon.

    Args:
      rain_mm: shape [T, H, W].
      starts: where a running sum would begin, datetime64 [T].
      ends: of the hours, datetime64 [T].

    Returns:
      False where it falls between neighbouring hours of one start, True where it does not at 100
      wet points or more, None where there are fewer to tell by.
    """
    order = np.lexsort((ends, starts))
    wet = 0
    for before, after in itertools.pairwise(order):
        if starts[before] != starts[after]:
            continue
        was_wet = rain_mm[before] > _WET_MM
        if (rain_mm[after] < rain_mm[before] - _PACKING_MM)[was_wet].any():
            return False
        wet += int(was_wet.sum())
    return True if wet >= _ENOUGH else None
