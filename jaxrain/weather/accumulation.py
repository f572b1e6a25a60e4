"""Sums of one hour from sums since another time."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jaxrain.errors import InputError

_HOUR = np.timedelta64(3600, "s")
# Differences of packed sums may fall below zero by the packing's step, mm.
_PACKING_MM = 0.05


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
    with it and ends an hour earlier: R(a, b) - R(a, b - 1 h). Windows without length, which
    forecasts hold at step 0, hold nothing.

    Args:
      sums: windows in any order.

    Returns:
      From the hour's end to mm, float32 [H, W], never negative where differenced.

    Raises:
      InputError: a window is neither an hour nor can be differenced to one, two windows disagree
        about an hour, or a running sum falls.
    """
    windows = {(each.start, each.end): each for each in sums if each.end > each.start}
    hours: dict[np.datetime64, np.ndarray] = {}
    for (start, end), each in sorted(windows.items()):
        if end - start == _HOUR:
            rain = each.rain_mm
        elif (start, end - _HOUR) in windows:
            rain = each.rain_mm - windows[start, end - _HOUR].rain_mm
            if np.nanmin(rain, initial=0.0) < -_PACKING_MM:
                raise InputError(
                    f"{each.where}: the sum since {start} falls by {-np.nanmin(rain):.2f} mm in an "
                    "hour, expected a running sum; check the file's steps"
                )
            rain = np.maximum(rain, 0.0)
        else:
            length = (end - start) / _HOUR
            raise InputError(
                f"{each.where}: tp is a sum over {length:g} hours that ends at {end}, expected one "
                "hour, or the sum to the hour before as well to subtract; fetch hourly steps"
            )
        if end in hours and not np.array_equal(hours[end], rain, equal_nan=True):
            raise InputError(
                f"{each.where}: two forecasts give different rain for the hour that ends at {end}; "
                "keep one of them in the file"
            )
        hours[end] = np.asarray(rain, np.float32)
    return hours
