"""Which hours an epoch of training draws, and how often each."""

from collections import Counter

import numpy as np

from jaxrain.pairs.store import Area


def epoch_hours(
    areas: list[Area], patch: int, balance_days: float
) -> list[tuple[tuple[int, int], int]]:
    """The hours of an epoch and how many patches it draws from each, before they are shuffled.

    An hour has as many as patches fit beside one another, so that in an epoch every point is drawn
    about once, wherever it lies. Where days are balanced, hours of days with fewer patches have
    more: a day with n patches, where the largest has m, has each hour's (m / n)^balance_days times,
    rounded. So its share of an epoch goes with n^(1 - balance_days), as languages are sampled for
    models of many (Conneau et al. 2020, arXiv:1911.02116).

    Args:
      areas: of a store.
      patch: side of a patch, fine points.
      balance_days: 0 draws all hours alike, 1 all days alike; a day is of one area, UTC, its last
        hour the one that ends at midnight.

    Returns:
      ((index of the area, index of the hour), patches), in the order of areas and hours, without
      areas that hold no patch; empty where no hour is of training.
    """
    training = [
        (index, hour, patches, (index, _day(area.hours[hour])))
        for index, area in enumerate(areas)
        if (patches := _patches(area, patch))
        for hour in area.indices("train")
    ]
    of_day: Counter[tuple[int, np.datetime64]] = Counter()
    for _, _, patches, day in training:
        of_day[day] += patches
    most = max(of_day.values(), default=0)
    return [
        ((index, hour), round(patches * (most / of_day[day]) ** balance_days))
        for index, hour, patches, day in training
    ]


def _patches(area: Area, patch: int) -> int:
    height, width = area.fine_grid.shape
    return (height // patch) * (width // patch)


def _day(end: np.datetime64) -> np.datetime64:
    """The day that an hour is of, by its end."""
    return (end - np.timedelta64(1, "s")).astype("datetime64[D]")
