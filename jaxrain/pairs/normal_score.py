"""Normal scores: rain by its place among the training hours' amounts, as a standard normal has it.

A score is piecewise linear in the amount, between knots at the training period's quantiles: so it
rises everywhere, it can be undone exactly, and beyond the last knot it goes on as a line. Amounts
that a gauge cannot see share one step below the first quantile, with 0 mm at its foot.
"""

from statistics import NormalDist
from types import ModuleType
from typing import Any

import numpy as np

from jaxrain.errors import InputError
from jaxrain.pairs.quantiles import EDGES_MM, quantile

# (amounts rising from 0 [mm], their scores rising), each [Q]
Knots = tuple[tuple[float, ...], tuple[float, ...]]

DRY_MM = 0.1  # what a gauge cannot see
_STEP = 0.125  # between knots, in standard deviations
_FEW_POINTS = 20  # that must be wetter than the last quantile for it to be trusted


def fit_knots(counts: np.ndarray) -> Knots:
    """The knots of a distribution.

    Args:
      counts: of the training hours' rain, from `quantiles.rain_counts`, [bins].

    Raises:
      InputError: too few points are wet for two quantiles.
    """
    total, normal = float(counts.sum()), NormalDist()
    fewest = _FEW_POINTS / max(total, 1.0)
    dry = float(counts[: np.searchsorted(EDGES_MM, DRY_MM)].sum()) / max(total, 1.0)
    wet = max(dry, fewest)
    if not wet < 1 - 2 * fewest:
        raise InputError(
            f"rain_scaling=normal_score: {total * (1 - dry):.0f} of {total:.0f} points of the "
            "training hours are wet, too few for quantiles; take log1p, or more hours"
        )
    first, last = normal.inv_cdf(wet), normal.inv_cdf(1 - fewest)
    scores = np.linspace(first, last, max(2, 1 + int((last - first) / _STEP)))
    amounts = np.asarray([quantile(counts, normal.cdf(score)) for score in scores])
    amounts[0] = max(float(amounts[0]), DRY_MM)
    # Where the counts lie in few bins quantiles may agree: the first of them stays.
    rises = np.append(True, amounts[1:] > np.maximum.accumulate(amounts)[:-1] * (1 + 1e-4))
    amounts, scores = np.append(0.0, amounts[rises]), np.append(first - _STEP, scores[rises])
    return tuple(amounts.tolist()), tuple(scores.tolist())


def kept_knots(statistics: dict[str, Any]) -> Knots | None:
    """The knots in a manifest's statistics, if there are any."""
    kept = statistics.get("normal_score")
    return (tuple(kept["mm"]), tuple(kept["score"])) if kept else None


def to_score(mm: Any, knots: Knots, xp: ModuleType) -> Any:
    """Rain of any shape in mm -> score above that of 0 mm, so that 0 mm is 0; NaN stays."""
    amounts, scores = (np.asarray(each) for each in knots)
    return _line(mm, amounts, scores - scores[0], xp)


def from_score(score: Any, knots: Knots, xp: ModuleType) -> Any:
    """Inverse of `to_score`; a score below 0 is 0 mm."""
    amounts, scores = (np.asarray(each) for each in knots)
    return _line(score, scores - scores[0], amounts, xp)


def _line(x: Any, xs: np.ndarray, ys: np.ndarray, xp: ModuleType) -> Any:
    """Linear between the knots, flat before the first, as the last stretch beyond the last."""
    slope = float((ys[-1] - ys[-2]) / (xs[-1] - xs[-2]))
    return xp.interp(x, xs, ys) + slope * xp.maximum(x - float(xs[-1]), 0.0)
