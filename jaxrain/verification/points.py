"""Scores of single points: what each hour adds to their sums.

Every score of this room is a function of sums over hours, so an hour is read once, leaves a handful
of numbers, and any set of hours (all of them, a bootstrap draw) is scored from the same numbers.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

Sums = dict[str, np.ndarray]

THRESHOLDS_MM = (0.1, 1.0, 5.0, 10.0, 20.0)
"""Rain in an hour at or above which a point counts as 'yes' [mm]."""

DRY_MM = 0.1
"""What a gauge cannot see: rain below it is dry [mm in an hour]."""

# Points sorted at once: bounds the memory of a large domain with many members (64 members: 67 MB).
_CHUNK = 1 << 18


def fair_crps(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Fair continuous ranked probability score of each point [unit of the members].

    mean_i |x_i - y| - sum_ij |x_i - x_j| / (2 M (M - 1)), whose expectation is the CRPS of the
    distribution that the members are drawn from, however few they are. One member alone is a
    deterministic forecast: its score is the absolute error.

    Args:
      members: M forecasts of n points, shape [M, n].
      truth: what came, shape [n].

    Returns:
      Scores, shape [n], float64.

    References:
      Ferro, C. A. T. (2014). Fair scores for ensemble forecasts. Q. J. R. Meteorol. Soc., 140,
      1917-1923, doi:10.1002/qj.2270.
    """
    if len(members) == 1:
        return np.abs(members[0] - truth).astype(np.float64)
    from scores.probability import crps_for_ensemble  # seconds, which a training starts without

    forecast = xr.DataArray(members, dims=("member", "point"))
    observed = xr.DataArray(truth, dims="point")
    fair = crps_for_ensemble(forecast, observed, "member", method="fair", preserve_dims="all")
    return fair.values


def fair_brier(yes_members: np.ndarray, count: int, yes_truth: np.ndarray) -> np.ndarray:
    """Fair Brier score of each point: (p - o)^2 - p (1 - p) / (M - 1), p = share of members.

    Args:
      yes_members: how many of the members say yes, shape [n].
      count: how many members there are (M); with one the correction is nought.
      yes_truth: whether it came, bool, shape [n].

    Returns:
      Scores, shape [n].

    References:
      Ferro (2014), doi:10.1002/qj.2270.
    """
    share = yes_members / count
    return (share - yes_truth) ** 2 - share * (1 - share) / max(count - 1, 1)


def rank_counts(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How often the truth takes each place among the members, 0 (lowest) to M.

    A tie is shared evenly between the places it could take: the expectation of breaking it at
    random, without the dice. Rain below DRY_MM ties with no rain, and points where all are dry say
    nothing and are left out; both rules treat truth and members alike, so that a perfect ensemble
    still gives equal counts.

    Args:
      members: rain of M members at n points, shape [M, n] [mm in the hour].
      truth: what came, shape [n] [mm in the hour].

    Returns:
      Counts, shape [M + 1].

    References:
      Hamill, T. M. (2001). Interpretation of rank histograms for verifying ensemble forecasts.
      Mon. Weather Rev., 129, 550-560.
    """
    wet = (truth >= DRY_MM) | (members >= DRY_MM).any(0)
    y = np.where(truth[wet] >= DRY_MM, truth[wet], 0)
    x = np.where(members[:, wet] >= DRY_MM, members[:, wet], 0)
    lowest = (x < y).sum(0)
    highest = (x <= y).sum(0)
    share = 1.0 / (highest - lowest + 1)
    # A run of equal shares from lowest to highest is a step up and a step down.
    steps = np.bincount(lowest, share, len(members) + 2)
    steps -= np.bincount(highest + 1, share, len(members) + 2)
    return np.cumsum(steps)[:-1]


def point_sums(members: np.ndarray, truth: np.ndarray) -> Sums:
    """Sums over the points of one hour of all that needs no neighbour.

    Args:
      members: rain of M members (one: a deterministic forecast), shape [M, H, W] [mm].
      truth: what came, shape [H, W] [mm]; NaN where it is not known: these points are left out.

    Returns:
      `points`, `crps`, `member_error` (absolute, mean over the members), `absolute_error`, `error`,
      `squared_error`, `variance` (unbiased, of the members); per threshold [T] `brier`, `observed`
      and the counts of yes `mean_hits`, `mean_yes` (of the ensemble mean), `member_hits`,
      `member_yes` (mean over the members);
      `forecasts`, `events` [T, M + 1]: points for which 0..M members say yes, and those of them
      where it came; `ranks` [M + 1].
    """
    total: Sums = {}
    for x, y in _chunks(members, truth):
        for name, value in _chunk_sums(x, y).items():
            total[name] = total[name] + value if name in total else value
    return total


def _chunks(members: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Known points, some at a time; one empty chunk where nothing is known."""
    known = np.flatnonzero(np.isfinite(truth))
    flat = members.reshape(len(members), -1)
    for first in range(0, max(len(known), 1), _CHUNK):
        chosen = known[first : first + _CHUNK]
        yield flat[:, chosen], truth.ravel()[chosen]


def _chunk_sums(x: np.ndarray, y: np.ndarray) -> Sums:
    count = len(x)
    mean = x.mean(0, dtype=np.float64)
    variance = x.var(0, ddof=1, dtype=np.float64) if count > 1 else np.zeros_like(mean)
    sums: dict[str, list] = {}

    def add(name: str, value: np.ndarray) -> None:
        sums.setdefault(name, []).append(value)

    for threshold in THRESHOLDS_MM:
        came = y >= threshold
        said = (x >= threshold).sum(0)
        mean_said = mean >= threshold
        add("brier", fair_brier(said, count, came).sum())
        add("observed", came.sum())
        add("mean_hits", (mean_said & came).sum())
        add("mean_yes", mean_said.sum())
        add("member_hits", said[came].sum() / count)
        add("member_yes", said.sum() / count)
        add("forecasts", np.bincount(said, minlength=count + 1))
        add("events", np.bincount(said[came], minlength=count + 1))
    return {name: np.array(values, np.float64) for name, values in sums.items()} | {
        "points": np.array(float(y.size)),
        "crps": np.array(fair_crps(x, y).sum()),
        "member_error": np.array(sum(np.abs(each - y).sum(dtype=np.float64) for each in x) / count),
        "absolute_error": np.array(np.abs(mean - y).sum()),
        "error": np.array((mean - y).sum()),
        "squared_error": np.array(((mean - y) ** 2).sum()),
        "variance": np.array(variance.sum()),
        "ranks": rank_counts(x, y),
    }
