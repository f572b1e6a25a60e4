"""Sums of one hour from sums since another time."""

import itertools
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxrain.errors import InputError

_log = logging.getLogger(__name__)
_HOUR = np.timedelta64(3600, "s")
# Packed sums and their differences miss what they stand for by the packing's step, mm.
_PACKING_MM = 0.05
# Rain that has fallen at this many points and hours and never fell back can't be single hours'.
_WET_MM, _ENOUGH = 0.1, 100
# Hours whose mean may stand for one: none but itself, and the steps of forecasts that are open.
SPREAD_HOURS = (1, 3, 6)

_Window = tuple[np.datetime64, np.datetime64]


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


class Hour(NamedTuple):
    """Rain of an hour.

    Attributes:
      rain_mm: shape [H, W], float32.
      window_hours: 1 where it is the hour's own; n where it is the n-th part of n hours' rain.
    """

    rain_mm: np.ndarray
    window_hours: int


def hourly(sums: Iterable[Sum], *, spread_hours: int = 1) -> dict[np.datetime64, Hour]:
    """Rain of single hours, by the end of the hour.

    A window of one hour is taken as it is. A longer one is differenced with those that start with
    it and end before: R(a, c) - R(a, b) is the rain of the window (b, c). Where several give an
    hour, the shortest (b, c) is taken, and of these the one from the shortest (a, c), as in GFS,
    which sums from the start and from every sixth hour. Windows without length, which forecasts
    hold at step 0, hold nothing. Hours that no window gives are left out, and the log says which.

    Args:
      sums: windows in any order.
      spread_hours: longest (b, c) whose mean may stand for each of its hours; 1: none.

    Returns:
      From the hour's end to its rain, never negative where differenced.

    Raises:
      InputError: no window is an hour, or short enough, or can be differenced to one; two windows
        disagree about an hour by more than packing does; or a running sum falls.
    """
    windows: dict[_Window, Sum] = {}
    for each in sums:
        known = windows.setdefault((each.start, each.end), each) if each.end > each.start else each
        if known is not each and not _same(known.rain_mm, each.rain_mm):
            raise InputError(
                f"{each.where}: another message holds other rain from {each.start} to {each.end}; "
                "keep one of them"
            )
    hours: dict[np.datetime64, Hour] = {}
    taken: dict[_Window, Hour] = {}
    for piece in sorted(_pieces(windows, spread_hours), key=lambda piece: piece.order):
        window, count = (piece.begin, piece.sum.end), round(piece.hours)
        ends = piece.begin + _HOUR * np.arange(1, count + 1)
        if window not in taken and all(end in hours for end in ends):
            continue  # shorter windows say more of each
        rain = piece.rain_mm()
        if window in taken and not _same(taken[window].rain_mm * count, rain):
            raise InputError(
                f"{piece.sum.where}: two forecasts give different rain for the {_told(*window)} "
                f"up to {piece.sum.end}; keep one of them"
            )
        taken[window] = Hour(np.asarray(rain / count, np.float32), count)
        # What shorter windows say of some of them stays, and the others share the rest.
        open_ends = [end for end in ends if end not in hours]
        if not open_ends:
            continue
        rest = rain
        for end in ends:
            if end in hours:
                rest = np.maximum(rest - hours[end].rain_mm, 0.0)
        mean = Hour(np.asarray(rest / len(open_ends), np.float32), count)
        hours |= dict.fromkeys(open_ends, mean)
    undone = [each for each in windows.values() if each.end not in hours]
    if undone:
        first = min(undone, key=lambda each: (each.end, each.end - each.start))
        told = (
            f"{first.where}: tp is a sum over {(first.end - first.start) / _HOUR:g} hours that "
            f"ends at {first.end}, expected one hour, or the sum to the hour before as well to "
            f"subtract; fetch hourly steps{_remedy(first, windows)}"
        )
        if not hours:
            raise InputError(told)
        _log.warning("%s; %d such hours are left out", told, len(undone))
    return hours


@dataclass(frozen=True)
class _Piece:
    """The end of a window, from `begin` on: what it holds more than the one that ends there."""

    sum: Sum
    before: Sum | None
    begin: np.datetime64

    @property
    def hours(self) -> float:
        return float((self.sum.end - self.begin) / _HOUR)

    @property
    def order(self) -> tuple[np.timedelta64, np.timedelta64, np.datetime64]:
        """Short ones first, for they are true of fewer hours; of those the least packed."""
        end = self.sum.end
        return end - self.begin, end - self.sum.start, end

    def rain_mm(self) -> np.ndarray:
        if self.before is None:
            least = np.nanmin(self.sum.rain_mm, initial=0.0)
            if self.hours > 1 and least < -_PACKING_MM:
                raise InputError(
                    f"{self.sum.where}: the sum over {self.hours:g} hours up to {self.sum.end} is "
                    f"{least:.2f} mm somewhere, expected none below 0; fetch the file again"
                )
            return self.sum.rain_mm
        rain = self.sum.rain_mm - self.before.rain_mm
        if np.nanmin(rain, initial=0.0) < -_PACKING_MM:
            raise InputError(
                f"{self.sum.where}: the sum since {self.sum.start} falls by "
                f"{-np.nanmin(rain):.2f} mm in {_told(self.begin, self.sum.end)}, expected a "
                "running sum; check the file's steps"
            )
        return np.maximum(rain, 0.0)


def _pieces(windows: dict[_Window, Sum], longest_hours: int) -> Iterator[_Piece]:
    """What windows and their differences give of whole hours, at most so many together."""
    of_start: dict[np.datetime64, list[Sum]] = defaultdict(list)
    for each in windows.values():
        of_start[each.start].append(each)
    for start, group in of_start.items():
        group.sort(key=lambda each: each.end)
        for place, each in enumerate(group):
            befores: list[Sum | None] = [None]
            if each.end - start != _HOUR:
                befores += reversed(group[:place])
            for before in befores:
                piece = _Piece(each, before, start if before is None else before.end)
                if piece.hours in range(1, longest_hours + 1):
                    yield piece
                elif before is not None and piece.hours > longest_hours:
                    break  # those before it are further off


def _remedy(window: Sum, windows: dict[_Window, Sum]) -> str:
    """The choice that is left to who samples, where there is one."""
    ours = {(window.start, window.end): window}
    ours |= {key: each for key, each in windows.items() if key[0] == window.start}
    for hours in SPREAD_HOURS[1:]:
        if any(piece.sum is window for piece in _pieces(ours, hours)):
            return (
                f", or let `sample` take means over up to {hours} hours with --spread-sums {hours}"
            )
    return ""


def _told(begin: np.datetime64, end: np.datetime64) -> str:
    hours = (end - begin) / _HOUR
    return "hour" if hours == 1 else f"{hours:g} hours"


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
