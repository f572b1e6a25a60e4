"""Where and when the score comes from: sums apart by area, time, hour of the day and wetness."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from jaxrain.verification import intervals, metrics
from jaxrain.verification.intervals import Blocks, Interval
from jaxrain.verification.points import DRY_MM, THRESHOLDS_MM, Sums

KINDS = {
    "area": "area or window",
    "time": "time",
    "hour of the day": "hour of the day, UTC, that the rain fell in",
    "wetness": f"fields by how much of them is wet ({DRY_MM:g} mm or more)",
}
"""How the points are told apart, and what it is called."""

WET_SHARE = 0.1
"""Share of wet points from which on a field counts as wet."""

OF_A_PART = ("spread_skill", "p99.9_ratio", "spectrum_max_db", "effective_resolution_km")
"""Scores that don't add up: of each part on its own, for one of them can make the whole's."""

Drawn = tuple[Blocks, np.ndarray]
"""Blocks of F fields, and how often each field counts in each draw, [draws, F]."""

# Times are told apart by the finest of these that leaves a table that can be read.
_TIME_UNITS = ("m", "D", "M")
_MOST_TIMES = 120


@dataclass(frozen=True)
class Field:
    """One hour of one case.

    Attributes:
      case: its number in the forecast.
      hour: its number in the case.
      time: end of the hour, UTC.
      rain_mm: mean of the truth [mm].
      gain_mm: CRPS of the reference minus the model's, mean over the points [mm].
    """

    case: int
    hour: int
    time: np.datetime64
    rain_mm: float
    gain_mm: float


@dataclass(frozen=True)
class Part:
    """Some of the fields.

    Attributes:
      kind: of KINDS.
      name: which of that kind.
      hours: distinct hours.
      fields: how many.
      points: known points of them.
      crps_mm: by system.
      crps_interval: the same with its 95 % interval.
      skill: of each baseline, 1 - CRPS of the model / CRPS of the baseline.
      mean_mm: mean rain, by system and `truth`.
      wet: share of wet points, by system (over its members) and `truth`.
      scores: those of OF_A_PART by system; None where the part says nothing of one.
    """

    kind: str
    name: str
    hours: int
    fields: int
    points: int
    crps_mm: dict[str, float]
    crps_interval: dict[str, Interval]
    skill: dict[str, Interval]
    mean_mm: dict[str, float]
    wet: dict[str, float]
    scores: dict[str, dict[str, float | None]]


def breakdown(
    fields: Sequence[Field],
    cases: Sequence[str],
    sums: dict[str, Sums],
    wavelengths_km: np.ndarray,
    drawn: Drawn,
) -> list[Part]:
    """All fields told apart in each way of KINDS that finds more than one part.

    The parts' CRPS and means, weighted with their points, add up to the whole's.

    Args:
      fields: F hours of cases.
      cases: names of the cases.
      sums: by system, see `metrics.hour_sums`, each of shape [F, ...].
      wavelengths_km: of the spectra, [K].
      drawn: those blocks and weights that the whole's intervals come from.
    """
    parts: list[Part] = []
    for kind, names in _labels(fields, cases, sums):
        labels, of = np.unique(names, return_inverse=True)
        if len(labels) > 1:
            parts += [
                _part(kind, str(label), chosen, fields, sums, wavelengths_km, drawn)
                for number, label in enumerate(labels)
                for chosen in (np.flatnonzero(of == number),)
            ]
    return parts


def parts_of(parts: Sequence[Part], kind: str) -> list[Part]:
    """Those of one kind, in order."""
    return [part for part in parts if part.kind == kind]


def _labels(
    fields: Sequence[Field], cases: Sequence[str], sums: dict[str, Sums]
) -> Iterator[tuple[str, np.ndarray]]:
    times = np.array([field.time for field in fields])
    yield "area", np.array([cases[field.case] for field in fields])
    yield "time", _times(times)
    # An hour's sum is named for its end: what ends at 00:00 fell in the hour from 23:00.
    fell = (times - np.timedelta64(1, "s")).astype("datetime64[h]").astype(int) % 24
    yield "hour of the day", np.array([f"{hour:02d} to {hour + 1:02d}" for hour in fell])
    first = next(iter(sums.values()))
    wet = first["observed"][:, THRESHOLDS_MM.index(DRY_MM)] / first["points"] >= WET_SHARE
    percent = f"{100 * WET_SHARE:g} % wet"
    yield "wetness", np.where(wet, f"at least {percent}", f"less than {percent}")


def _times(times: np.ndarray) -> np.ndarray:
    for unit in _TIME_UNITS:
        start = times if unit == "m" else times - np.timedelta64(1, "s")
        names = np.datetime_as_string(start.astype(f"datetime64[{unit}]"))
        if len(np.unique(names)) <= _MOST_TIMES:
            break
    return np.char.replace(names, "T", " ")


def _part(
    kind: str,
    name: str,
    chosen: np.ndarray,
    fields: Sequence[Field],
    sums: dict[str, Sums],
    wavelengths_km: np.ndarray,
    drawn: Drawn,
) -> Part:
    totals = {
        system: {key: values[chosen].sum(0) for key, values in each.items()}
        for system, each in sums.items()
    }
    first = next(iter(totals.values()))
    points = float(first["points"])
    wet = THRESHOLDS_MM.index(DRY_MM)
    weights = next(iter(sums.values()))["points"][chosen]
    crps, skill = crps_intervals(chosen, sums, drawn)
    rain = float(np.average([fields[f].rain_mm for f in chosen], weights=weights))
    return Part(
        kind=kind,
        name=name,
        hours=len({fields[f].time for f in chosen}),
        fields=len(chosen),
        points=int(points),
        crps_mm={system: float(total["crps"] / points) for system, total in totals.items()},
        crps_interval=crps,
        skill=skill,
        mean_mm={"truth": rain}
        | {system: rain + float(total["error"] / points) for system, total in totals.items()},
        wet={"truth": float(first["observed"][wet] / points)}
        | {s: float(total["member_yes"][wet] / points) for s, total in totals.items()},
        scores={system: _scores(total, wavelengths_km) for system, total in totals.items()},
    )


def crps_intervals(
    chosen: np.ndarray, sums: dict[str, Sums], drawn: Drawn
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """How sure the CRPS of some of the fields is.

    Blocks are drawn of all fields, so how many of these a draw has varies, as it would with other
    weather; draws that have none say nothing.

    Args:
      chosen: numbers of the fields, shape [N].
      sums: by system, `crps` and `points`, each of shape [F]; the model's first.
      drawn: of all fields.

    Returns:
      CRPS by system [mm], and by baseline 1 - CRPS of the model / CRPS of the baseline. No
      interval where all fields lie in one block.
    """
    grouped, weights = drawn
    touched = replace(grouped, count=len(np.unique(grouped.of[chosen])))
    rows = np.vstack([np.ones(len(chosen)), weights[:, chosen]])  # the whole, then each draw
    with np.errstate(invalid="ignore", divide="ignore"):
        crps = {
            s: rows @ each["crps"][chosen] / (rows @ each["points"][chosen])
            for s, each in sums.items()
        }
        model, *others = crps
        skill = {other: 1 - crps[model] / crps[other] for other in others}
    crps_found, skill_found = (
        {name: intervals.interval(each[0], each[1:], touched) for name, each in found.items()}
        for found in (crps, skill)
    )
    return crps_found, skill_found


def _scores(sums: Sums, wavelengths_km: np.ndarray) -> dict[str, float | None]:
    found = metrics.scores(sums, wavelengths_km)
    return {name: float(found[name]) if np.isfinite(found[name]) else None for name in OF_A_PART}
