"""From hour to hour: does rain stay as long as it should, or do members flicker?"""

import numpy as np

from jaxrain.verification.points import Sums

_HOUR = np.timedelta64(3600, "s")


def consecutive(hours: np.ndarray, index: int) -> bool:
    """Whether an hour of a case follows the one before it directly.

    Args:
      hours: ends of hours, datetime64[s], shape [T].
      index: which.
    """
    return index > 0 and bool(hours[index] - hours[index - 1] == _HOUR)


def lag_sums(
    members: np.ndarray,
    truth: np.ndarray,
    members_before: np.ndarray | None = None,
    truth_before: np.ndarray | None = None,
) -> Sums:
    """What a pair of hours adds to the sums behind the lag-1 autocorrelation.

    Each member is followed with itself; the sums are means over the members.

    Args:
      members: rain of M members, shape [M, H, W] [mm].
      truth: what came, shape [H, W] [mm], NaN where it is not known.
      members_before: of the hour before, shape [M, H, W]; None where there is none.
      truth_before: of the hour before, shape [H, W].

    Returns:
      `lag_moments`, `truth_lag_moments` [6], see `autocorrelation`, over the points known in both
      hours, and `lag_pairs`: 1, or 0 where there is no such point.
    """
    sums: Sums = {
        "lag_moments": np.zeros(6),
        "truth_lag_moments": np.zeros(6),
        "lag_pairs": np.zeros(()),
    }
    if members_before is None or truth_before is None:
        return sums
    known = np.isfinite(truth) & np.isfinite(truth_before)
    if known.any():
        pairs = zip(members_before, members, strict=True)
        moments = [_moments(before[known], now[known]) for before, now in pairs]
        sums["lag_moments"] = np.mean(moments, 0)
        sums["truth_lag_moments"] = _moments(truth_before[known], truth[known])
        sums["lag_pairs"] += 1
    return sums


def autocorrelation(moments: np.ndarray) -> np.ndarray:
    """Pearson's correlation of an hour's rain with the next hour's at the same points.

    Args:
      moments: sums of 1, a, b, a^2, b^2 and a b, shape [..., 6].

    Returns:
      Shape [...]; NaN where either hour is the same everywhere.
    """
    count, a, b, aa, bb, ab = np.moveaxis(moments, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = a / count, b / count
        spread = (aa / count - a**2) * (bb / count - b**2)
        return (ab / count - a * b) / np.sqrt(np.where(spread > 0, spread, np.nan))


def _moments(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.array([a.size, a.sum(), b.sum(), a @ a, b @ b, a @ b])
