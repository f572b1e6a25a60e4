"""Windows of the validation hours that are fair to fit to: chosen without a look at the truth."""

import itertools

import numpy as np
from numpy.typing import NDArray

from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.store import Area, Store
from jaxrain.verification.mapping import interpolated


def blind_windows(
    store: Store, side: int, count: int, *, by_rain: bool = False
) -> list[tuple[Area, int, tuple[int, int]]]:
    """Validation windows that were chosen without a look at the fine rain, or a fit to them is off.

    Windows side by side over all validation hours, the last ones at the far edges, where the coarse
    rain is known throughout; those with more of it than the median, evenly from the least to the
    most. Where the predictors hold no rain, evenly from all.

    Args:
      store: whose validation hours are taken.
      side: of a window, points; areas that are smaller are windows of their own width.
      count: of windows, at most.
      by_rain: instead, evenly by the coarse rain that falls on them, so that most are wet; they
        may have holes.

    Returns:
      Area, number of the hour, first row and column of each; none where there are no such hours.
    """
    found = []
    for area in store.areas:
        height, width = (min(side, length) for length in area.fine_grid.shape)
        rows = _starts(area.fine_grid.shape[0], height)
        columns = _starts(area.fine_grid.shape[1], width)
        for hour in area.indices("validation"):
            rain = _coarse_rain(store, area, hour)
            for row, column in itertools.product(rows, columns):
                inside = rain[row : row + height, column : column + width]
                amount = np.nansum(inside) if by_rain else inside.mean()
                found.append((float(amount), area, hour, (row, column)))
    # Where rain is not known at all the order is that of time and place.
    found = [each for each in found if np.isfinite(each[0]) or RAIN_CHANNEL not in store.channels]
    if RAIN_CHANNEL in store.channels:
        found = sorted(found, key=lambda each: each[0])[len(found) // 2 :]
    amounts = np.array([each[0] for each in found])
    places = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    if by_rain and amounts.sum() > 0:
        shares = (np.arange(len(places)) + 0.5) / len(places)
        fallen = np.cumsum(amounts) / amounts.sum()
        places = _apart(np.searchsorted(fallen, shares), len(amounts))
    return [found[number][1:] for number in np.unique(places)]


def _starts(length: int, side: int) -> list[int]:
    """First points of pieces of an axis that cover it, the last one flush with its end."""
    return sorted({*range(0, length - side + 1, side), length - side})


def _apart(places: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Places of 0 to count - 1, as many and as near as may be, of which no two are the same."""
    free = np.ones(count, bool)
    found = []
    for place in places:
        distance = np.where(free, np.abs(np.arange(count) - place), count)
        found.append(int(np.argmin(distance)))
        free[found[-1]] = False
    return np.array(found, np.intp)


def _coarse_rain(store: Store, area: Area, hour: int) -> NDArray[np.float64]:
    """Interpolated coarse rain, mm, [H, W]; NaN where missing or not among the predictors."""
    if RAIN_CHANNEL not in store.channels:
        return np.full(area.fine_grid.shape, np.nan)
    return interpolated(area, np.asarray(area.coarse(hour)[store.channels.index(RAIN_CHANNEL)]))
