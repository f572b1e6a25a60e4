"""Do the clocks of both sides agree? Correlation of fine and coarse rain, hours apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxrain.pairs.audit.survey import BoxRain

LAGS = tuple(range(-12, 13))  # hours that the fine files' times are later than the coarse ones'
_HOUR = np.timedelta64(3600, "s")
# Hours that lie together rain together: blocks of them are what chance draws.
_BLOCK = 6 * _HOUR
# Below this many shared hours, or blocks of them, the best lag is chance.
_MIN_HOURS, _MIN_BLOCKS = 48, 8
# Standard errors by which the best lag has to beat none: of 24 others one is soon ahead by 2.
_CLEAR = 3.0


def compare_rain(series: Sequence[BoxRain], why_none: str | None = None) -> dict[str, Any]:
    """At which lag fine and coarse rain agree best.

    The rain is that of boxes, as log(1 + mm), so that no single downpour decides.

    Args:
      series: of each area; empty where there is nothing to compare.
      why_none: the reason, where that is known.

    Returns:
      `lags`, `correlation` (None where it has no meaning) and `hours` (that both sides share) of
      each lag; `best`, the lag with the largest correlation, positive where the fine files' times
      are late, or None; `clear`, whether it beats 0 by more than chance; `fine_mm`, `coarse_mm`,
      means over what both sides know; `reason`, where best is None.
    """
    found: dict[str, Any] = {
        "lags": list(LAGS),
        "correlation": [None] * len(LAGS),
        "hours": [0] * len(LAGS),
        "best": None,
        "clear": False,
        "fine_mm": None,
        "coarse_mm": None,
        "reason": why_none,
    }
    if not series:
        return found
    sums = _block_sums(series)
    totals = sums.sum(axis=1)
    correlation = _correlation(totals)
    hours = [int(sum(_shared(each, lag)[0].size for each in series)) for lag in LAGS]
    zero = LAGS.index(0)
    found["hours"] = hours
    found["correlation"] = [round(float(r), 6) if np.isfinite(r) else None for r in correlation]
    found |= _means(series)
    if hours[zero] < _MIN_HOURS:
        found["reason"] = f"{hours[zero]} hours are too few, it takes {_MIN_HOURS}"
    elif not np.isfinite(correlation[zero]):
        found["reason"] = "one of both never rains or never varies"
    else:
        enough = np.isfinite(correlation) & (np.array(hours) >= _MIN_HOURS // 2)
        best = max(np.flatnonzero(enough), key=lambda i: (correlation[i], -abs(LAGS[i])))
        found["best"] = LAGS[best]
        found["clear"] = bool(best == zero or _clearly_better(sums[best], sums[zero]))
    return found


def lag_hint(lag: int) -> str:
    """What a lag that is not 0 may come from."""
    if lag == 8:
        return (
            "they look like Beijing time (UTC+8) where UTC is expected; set "
            "data.fine_utc_offset_hours=8"
        )
    if lag == -8:
        return (
            "the predictors look like Beijing time, or 8 h were taken off files that are in UTC; "
            "check data.fine_utc_offset_hours"
        )
    if abs(lag) == 1:
        whose = "the predictors" if lag > 0 else "the fine files"
        return f"{whose} may name an hour's sum by its start, where its end is expected"
    return "check the time zone of both, and which hours their rain is summed over"


def _shared(series: BoxRain, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of coarse hours, and of the fine ones whose times are `lag` hours later."""
    wanted = series.times + lag * _HOUR
    at = np.minimum(np.searchsorted(series.times, wanted), len(series.times) - 1)
    there = series.times[at] == wanted
    return np.flatnonzero(there), at[there]


def _block_sums(series: Sequence[BoxRain]) -> np.ndarray:
    """n, Sx, Sy, Sxx, Syy, Sxy of each lag and block, [L, B, 6]."""
    every = np.concatenate([each.times for each in series])
    blocks = np.unique(every.astype(np.int64) // _BLOCK.astype(np.int64))
    sums = np.zeros((len(LAGS), len(blocks), 6))
    for each in series:
        # A wrong fill value may be negative; the ranges tell of it.
        fine, coarse = (np.log1p(np.maximum(rain.astype(float), 0)) for rain in each[1:])
        number = np.searchsorted(blocks, each.times.astype(np.int64) // _BLOCK.astype(np.int64))
        for place, lag in enumerate(LAGS):
            at_coarse, at_fine = _shared(each, lag)
            x, y = fine[at_fine], coarse[at_coarse]
            both = np.isfinite(x) & np.isfinite(y)
            x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
            hourly = np.stack([both.astype(float), x, y, x * x, y * y, x * y]).sum(axis=2)
            np.add.at(sums[place], number[at_coarse], hourly.T)
    return sums


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Pearson's, from sums [..., 6]; NaN where one side does not vary."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    varies = (spread_x > 1e-9 * n * n) & (spread_y > 1e-9 * n * n)
    spread = np.where(varies, spread_x * spread_y, 1.0)
    return np.where(varies, (n * xy - x * y) / np.sqrt(spread), np.nan)


def _clearly_better(better: np.ndarray, other: np.ndarray) -> bool:
    """Whether a correlation is larger by more than chance: a jackknife over blocks [B, 6].

    References:
      Efron and Stein 1981, The jackknife estimate of variance, Annals of Statistics 9, 586-596.
    """
    used = (better[:, 0] > 0) | (other[:, 0] > 0)
    better, other = better[used], other[used]
    count = len(better)
    if count < _MIN_BLOCKS:
        return False
    left = [_correlation(each.sum(axis=0) - each) for each in (better, other)]
    without = left[0] - left[1]
    error = np.sqrt((count - 1) / count * np.square(without - without.mean()).sum())
    gain = _correlation(better.sum(axis=0)) - _correlation(other.sum(axis=0))
    return bool(gain > _CLEAR * error)


def _means(series: Sequence[BoxRain]) -> dict[str, float | None]:
    fine, coarse = (
        np.concatenate([each[side].astype(float).ravel() for each in series]) for side in (1, 2)
    )
    both = np.isfinite(fine) & np.isfinite(coarse)
    if not both.any():
        return {}
    return {"fine_mm": float(fine[both].mean()), "coarse_mm": float(coarse[both].mean())}
