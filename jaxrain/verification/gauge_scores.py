"""Scores at gauges: threat score and frequency bias at the thresholds that CMA uses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxrain.verification import intervals
from jaxrain.verification.points import Sums, fair_crps
from jaxrain.verification.scoring import DRAWS, SEED, Interval

THRESHOLDS_MM = {
    1: (0.1, 2.0, 5.0, 10.0, 20.0),
    6: (0.1, 13.0, 25.0),
    24: (0.1, 10.0, 25.0, 50.0, 100.0),
}
"""By hours of the sum: those of the China Meteorological Administration."""

GAUGE_MEANINGS = {
    "ts": "threat score of the ensemble mean: hits / (hits + misses + false alarms). 1 is perfect",
    "frequency_bias": "sums where the ensemble mean says yes, over those where it came. "
    "1 is perfect",
    "member_ts": "threat score of the members, each a forecast of its own, pooled",
    "member_frequency_bias": "frequency bias of the members, pooled. 1 is perfect",
}
"""Scores by threshold; beside them stand crps_mm, mae_mm and bias_mm."""


@dataclass(frozen=True, eq=False)
class Ended:
    """Sums of rain over one period that end at the same time, in one case.

    Attributes:
      hours: length of the sum.
      time: its end, UTC.
      stations: ids of the gauges.
      sums: by system, from `gauge_sums`.
    """

    hours: int
    time: np.datetime64
    stations: list[str]
    sums: dict[str, Sums]


@dataclass(frozen=True, eq=False)
class GaugeScores:
    """Scores of all sums over one period.

    Attributes:
      hours: length of the sum.
      sums: how many were compared.
      stations: distinct stations among them.
      ends: distinct ends of sums.
      blocks: from which the intervals are drawn.
      systems: scores by system (the gridded `truth` among them), then by name.
    """

    hours: int
    sums: int
    stations: int
    ends: int
    blocks: intervals.Blocks
    systems: dict[str, dict[str, Interval]]


def gauge_sums(rain: np.ndarray, gauge: np.ndarray, thresholds: Sequence[float]) -> Sums:
    """What some gauges add to the sums behind their scores.

    Args:
      rain: of M members at S gauges, shape [M, S] [mm].
      gauge: what they measured, shape [S] [mm].
      thresholds: T amounts at or above which it is 'yes' [mm].
    """
    mean, count = rain.mean(0), len(rain)
    edges = np.asarray(thresholds)[:, None]
    came, mean_said = gauge >= edges, mean >= edges
    said = (rain[:, None] >= edges).sum(0) / count
    return {
        "points": np.array(float(gauge.size)),
        "crps": fair_crps(rain, gauge).sum(),
        "absolute_error": np.abs(mean - gauge).sum(),
        "error": (mean - gauge).sum(),
        "observed": came.sum(1).astype(np.float64),
        "mean_hits": (came & mean_said).sum(1).astype(np.float64),
        "mean_yes": mean_said.sum(1).astype(np.float64),
        "member_hits": (said * came).sum(1),
        "member_yes": said.sum(1),
    }


def scores_at_gauges(sums: Sums, thresholds: Sequence[float]) -> dict[str, np.ndarray]:
    """Scores by name from added sums, each of shape [...]; NaN where nothing is said of one."""
    result = {
        "crps_mm": sums["crps"] / sums["points"],
        "mae_mm": sums["absolute_error"] / sums["points"],
        "bias_mm": sums["error"] / sums["points"],
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        for t, threshold in enumerate(thresholds):
            came = sums["observed"][..., t]
            for prefix, kind in (("", "mean"), ("member_", "member")):
                hits, said = sums[f"{kind}_hits"][..., t], sums[f"{kind}_yes"][..., t]
                result[f"{prefix}ts_{threshold:g}mm"] = hits / (said + came - hits)
                result[f"{prefix}frequency_bias_{threshold:g}mm"] = said / came
    return result


def conclude(ended: Sequence[Ended]) -> GaugeScores:
    """Scores with intervals of all sums over one period."""
    hours = ended[0].hours
    thresholds = THRESHOLDS_MM[hours]
    grouped = intervals.blocks(np.array([each.time for each in ended]))
    weights = intervals.draw(grouped, draws=DRAWS, seed=SEED)
    systems: dict[str, dict[str, Interval]] = {}
    for name in ended[0].sums:
        stacked = {
            key: np.stack([each.sums[name][key] for each in ended]) for key in ended[0].sums[name]
        }
        value = scores_at_gauges(intervals.total(stacked, np.ones(len(ended))), thresholds)
        drawn = scores_at_gauges(intervals.total(stacked, weights), thresholds)
        systems[name] = {
            score: intervals.interval(each, drawn[score], grouped) for score, each in value.items()
        }
    return GaugeScores(
        hours=hours,
        sums=sum(len(each.stations) for each in ended),
        stations=len({station for each in ended for station in each.stations}),
        ends=len({each.time for each in ended}),
        blocks=grouped,
        systems=systems,
    )
