"""Which hours an epoch of training draws, and how often each."""

from collections import Counter

from jaxrain.pairs.store import Area


def epoch_hours(areas: list[Area], patch: int, balance_days: float) -> list[tuple[int, int]]:
    """The hour of each patch of an epoch, before they are shuffled.

    An hour has as many as patches fit beside one another, so that in an epoch every point is drawn
    about once, wherever it lies. Where days are balanced, hours of days with fewer patches have
    more: a day with n patches, where the largest has m, has each hour's (m / n)^balance_days times,
    rounded. So its share of an epoch goes with n^(1 - balance_days), as languages are sampled for
    models of many (Conneau et al. 2020, arXiv:1911.02116).

    Args:
      areas: of a store.
      patch: side of a patch, fine points.
      balance_days: 0 draws all hours alike, 1 all days (UTC, of one area) alike.

    Returns:
      (index of the area, index of the hour), in the order of areas, hours; empty where no hour is
      of training.
    """
    training = [
        (index, hour, _patches(area, patch), (index, area.hours[hour].astype("datetime64[D]")))
        for index, area in enumerate(areas)
        for hour in area.indices("train")
    ]
    of_day: Counter[object] = Counter()
    for _, _, patches, day in training:
        of_day[day] += patches
    most = max(of_day.values(), default=0)
    return [
        (index, hour)
        for index, hour, patches, day in training
        for _ in range(round(patches * (most / of_day[day]) ** balance_days))
    ]


def _patches(area: Area, patch: int) -> int:
    height, width = area.fine_grid.shape
    return (height // patch) * (width // patch)
