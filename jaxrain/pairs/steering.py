"""How far the steering wind carries rain in an hour, in whole pixels of the fine grid.

One wind for a whole area: the mean over it at the level nearest to 700 hPa, which carries showers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxrain.grids.grid import Grid
from jaxrain.weather.variables import split_channel

STEERING_HPA = 700
_KM_PER_DEGREE = np.pi / 180 * 6371.0
_KM_PER_HOUR = 3.6  # of 1 m/s
_HOUR = np.timedelta64(3600, "s")


@dataclass(frozen=True, eq=False)
class Drift:
    """Where rain goes.

    Attributes:
      hours: instants whose wind is known, datetime64[s], increasing, [N].
      pixels: drift in an hour towards growing rows and columns [pixels], [N, 2].
    """

    hours: NDArray
    pixels: NDArray[np.float64]


def drift_of(
    hours: NDArray, coarse: NDArray, channels: list[str], coarse_grid: Grid, fine_grid: Grid
) -> Drift | None:
    """The drift over an area.

    Args:
      hours: datetime64[s], [T].
      coarse: predictors, NaN where missing, [T, C, h, w].
      channels: their names.
      coarse_grid: theirs, h x w; the mean is taken over those points that lie in `fine_grid`, over
        all where none does. A projection's axes are taken for east and north.
      fine_grid: of the whole area.

    Returns:
      None where no level holds both u and v, or no hour a value.
    """
    channel = _wind_channels(channels)
    if channel is None:
        return None
    wind = coarse[:, channel].astype(np.float64)  # [T, 2, h, w]
    rows, columns = (
        _inside(*axes) for axes in ((coarse_grid.y, fine_grid.y), (coarse_grid.x, fine_grid.x))
    )
    wind = wind[:, :, rows][..., columns].reshape(len(hours), 2, -1)
    known = np.isfinite(wind)
    whole = known.any(-1).all(-1)
    if not whole.any():
        return None
    mean = np.where(known, wind, 0).sum(-1)[whole] / known.sum(-1)[whole]  # v, u [m/s]
    order = np.argsort(hours[whole])
    return Drift(hours[whole][order], (mean * _KM_PER_HOUR / _spacing_km(fine_grid))[order])


def shifts(drift: Drift | None, hours: NDArray, back: int) -> NDArray[np.int32]:
    """How far what was in an hour's field 0, 1, .. `back` - 1 hours ago has come since.

    Between the middles of an hour's sum and of the one before, the wind is that of the instant
    between: the end of the one before. An instant that is not known takes the nearest that is.
    The way of several hours is the sum of each one's, so what two hours share of an earlier field
    has come the same way to both.

    Args:
      drift: None for none.
      hours: valid times, datetime64[s], [T].
      back: K.

    Returns:
      Rows and columns [pixels], [T, K, 2].
    """
    way = np.zeros((len(hours), back, 2), np.int32)
    if drift is None or back < 2:
        return way
    instants = hours[:, None] - _HOUR * np.arange(1, back)  # [T, K - 1]
    away = np.abs(instants[..., None] - drift.hours)
    step = np.rint(drift.pixels).astype(np.int32)[away.argmin(-1)]
    way[:, 1:] = np.cumsum(step, axis=1)
    return way


def _wind_channels(channels: list[str]) -> list[int] | None:
    """Numbers of v and u at the level nearest to the steering one."""
    number = {split_channel(channel): index for index, channel in enumerate(channels)}
    levels = [level for name, level in number if name == "u" and ("v", level) in number]
    known = [level for level in levels if level is not None]
    if not known:
        return None
    level = min(known, key=lambda each: abs(each - STEERING_HPA))
    return [number["v", level], number["u", level]]


def _inside(coarse: NDArray, fine: NDArray) -> NDArray:
    inside = (coarse >= fine.min()) & (coarse <= fine.max())
    return inside if inside.any() else np.ones_like(inside)


def _spacing_km(grid: Grid) -> NDArray[np.float64]:
    """Signed way from one row, and one column, to the next, northwards and eastwards [km]."""
    y, x = ((axis[-1] - axis[0]) / max(1, len(axis) - 1) or 1.0 for axis in (grid.y, grid.x))
    if grid.projected:
        return np.array([y, x])
    return _KM_PER_DEGREE * np.array([y, x * np.cos(np.radians(grid.y.mean()))])
