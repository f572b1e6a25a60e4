"""How sure a score is: bootstrap over blocks of neighbouring hours."""

from dataclasses import dataclass

import numpy as np

from jaxrain.verification.points import Sums

# Rain of one hour is much like that of the next, so hours are drawn in blocks: whole days where
# there are enough of them (from two or three the interval would come out far too narrow), else
# stretches of about a storm cell's life, in a single stretch the hours, in a single hour the
# windows. Of each: hours, name, and the fewest that are drawn from.
_KINDS = ((24, "days", 5), (3, "stretches of 3 hours", 2), (1, "hours", 2))


Interval = dict[str, float | None]
"""`value`, `low` and `high` (95 %); None where not known."""


@dataclass(frozen=True)
class Blocks:
    """Hours grouped for drawing.

    Attributes:
      hours: length of a block [h]; 0 where each field of a single hour is a block.
      kind: what a block is, in words: 'days', 'stretches of 3 hours', 'hours' or 'windows'.
      count: how many blocks there are.
      of: which block each field belongs to, shape [fields].
    """

    hours: int
    kind: str
    count: int
    of: np.ndarray

    def words(self) -> str:
        """How many of what, as '12 days'."""
        return f"{self.count} {self.kind}" if self.count > 1 else "a single field"


def blocks(times: np.ndarray) -> Blocks:
    """Groups fields by the block of hours they lie in, whatever area they show.

    Fields of one hour fall into one block even when they show different areas, since one weather
    may have made both: the intervals are rather too wide than too narrow. Only where there is no
    second hour are the areas or windows themselves the blocks.

    Args:
      times: end of each field's hour, datetime64, shape [fields].
    """
    # An hour's sum is named for its end: 00:00 UTC belongs to the day before, 00:50 to the new one.
    hour = (times.astype("datetime64[s]").astype(np.int64) - 1) // 3600
    for length, kind, fewest in _KINDS:
        names, of = np.unique(hour // length, return_inverse=True)
        if len(names) >= fewest:
            return Blocks(hours=length, kind=kind, count=len(names), of=of)
    return Blocks(hours=0, kind="windows", count=len(times), of=np.arange(len(times)))


def draw(grouped: Blocks, *, draws: int, seed: int) -> np.ndarray:
    """How often each field counts in each bootstrap draw of blocks with replacement.

    Args:
      grouped: from `blocks`.
      draws: how many.
      seed: of the draws; the same for every forecast, so that differences are paired.

    Returns:
      Weights, shape [draws, fields].

    References:
      Efron, B. and Tibshirani, R. J. (1993), An Introduction to the Bootstrap, section 8.6.
    """
    even = np.full(grouped.count, 1 / grouped.count)
    times = np.random.default_rng(seed).multinomial(grouped.count, even, draws)
    return times[:, grouped.of].astype(np.float64)


def total(sums: Sums, weights: np.ndarray) -> Sums:
    """Weighted sums over fields.

    Args:
      sums: by name, each of shape [fields, ...].
      weights: shape [draws, fields], or [fields] for one sum.

    Returns:
      By name, each of shape [draws, ...] or [...].
    """
    return {name: np.tensordot(weights, each, 1) for name, each in sums.items()}


def interval(value: np.ndarray, draws: np.ndarray, grouped: Blocks) -> Interval:
    """A score with its 95 % interval (percentiles of the draws).

    Args:
      value: the score of all hours, shape [].
      draws: the score of each draw, shape [draws]; NaN where a draw says nothing of it, infinite
        where it is beyond the scale.
      grouped: the blocks drawn from; of a single one no interval can be told.

    Returns:
      `value`, `low` and `high`; None where not known.
    """
    known = draws[~np.isnan(draws)]
    low, high = None, None
    if grouped.count > 1 and np.isfinite(value) and len(known):
        # Between a finite and an infinite draw there is no number to interpolate.
        beyond = not np.isfinite(known).all()
        ends = np.percentile(known, (2.5, 97.5), method="nearest" if beyond else "linear")
        low, high = (float(end) if np.isfinite(end) else None for end in ends)
    return {"value": float(value) if np.isfinite(value) else None, "low": low, "high": high}
