"""Position and time as sines and cosines, so that nothing jumps at a date line or at midnight.

An angle a becomes the two numbers sin(a) and cos(a): a latitude or longitude is an angle as it is,
an hour is its share of the day times 2 pi, a day its share of its own year, leap or not.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid

POSITIONS = ("latitude", "longitude")


def encode_position(names: Sequence[str], grid: Grid, area: str) -> np.ndarray:
    """Encodes the points of a grid.

    Args:
      names: encodings; those of the time are passed over.
      grid: H x W points.
      area: its name, for messages.

    Returns:
      Sine and cosine of each encoding beside one another, float32 [H, W, 2 * positions].

    Raises:
      InputError: the grid is projected and doesn't know where its points lie.
    """
    degrees = positions(names, grid, area)
    codes = np.empty((*grid.shape, 2 * len(degrees)), np.float32)
    for index, angle in enumerate(map(np.deg2rad, degrees)):
        codes[..., 2 * index], codes[..., 2 * index + 1] = np.sin(angle), np.cos(angle)
    return codes


def positions(names: Sequence[str], grid: Grid, area: str) -> list[np.ndarray]:
    """The angles of `encode_position` in degrees, each [H, W], [H, 1] or [1, W].

    Args and errors as there.
    """
    return [_degrees(grid, name, area) for name in names if name in POSITIONS]


def encode_time(names: Sequence[str], times: np.ndarray) -> np.ndarray:
    """Encodes valid times.

    Args:
      names: encodings; those of the position are passed over.
      times: UTC, datetime64 of any unit, [n].

    Returns:
      Sine and cosine of each encoding beside one another, float32 [n, 2 * times].
    """
    angles = [2 * np.pi * _SHARES[name](times) for name in names if name in _SHARES]
    pairs = [f(angle) for angle in angles for f in (np.sin, np.cos)]
    return np.stack(pairs, axis=-1).astype(np.float32) if pairs else np.empty((len(times), 0), "f")


def _degrees(grid: Grid, name: str, area: str) -> np.ndarray:
    if not grid.projected:
        return grid.y[:, None] if name == "latitude" else grid.x[None, :]
    known = grid.latitude if name == "latitude" else grid.longitude
    if known is None or not np.isfinite(known).all():
        raise InputError(
            f"data.encodings has {name}, but {area} is on a projected grid whose files "
            f"{'lack it' if known is None else 'lack it at some points'}: add 2-D latitude and "
            f"longitude to the fine files, or take {name} out"
        )
    return known


def _share_of_day(times: np.ndarray) -> np.ndarray:
    return _between(times, times.astype("datetime64[D]"), np.timedelta64(1, "D"))


def _share_of_year(times: np.ndarray) -> np.ndarray:
    year = times.astype("datetime64[Y]")
    start, end = (each.astype("datetime64[D]") for each in (year, year + 1))
    return _between(times, start, end - start)


def _between(times: np.ndarray, start: np.ndarray, length: Any) -> np.ndarray:
    seconds = (times.astype("datetime64[s]") - start).astype("timedelta64[s]")
    return seconds / np.asarray(length).astype("timedelta64[s]")


_SHARES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hour_of_day": _share_of_day,
    "day_of_year": _share_of_year,
}
