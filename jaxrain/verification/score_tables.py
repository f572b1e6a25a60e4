"""Which scores stand in which table."""

from collections.abc import Sequence

from jaxrain.pages.document import counted, grouped
from jaxrain.verification.breakdown import KINDS, OF_A_PART, parts_of
from jaxrain.verification.fractions import WINDOWS_KM
from jaxrain.verification.gauge_scores import GAUGE_MEANINGS, THRESHOLDS_MM, GaugeScores
from jaxrain.verification.metrics import (
    FRACTION_MEANINGS,
    MEANINGS,
    SKILL_MEANINGS,
    THRESHOLD_MEANINGS,
)
from jaxrain.verification.points import THRESHOLDS_MM as GRID_THRESHOLDS_MM
from jaxrain.verification.scoring import MODEL, Verification
from jaxrain.verification.tables import Row, Table, number

_TERMINAL = ("crps_mm", "rmse_mm", "bias_mm", "wet_area_ratio", "p99.9_ratio", "spectrum_max_db")
_OF_PAIRS = ("lag1_autocorrelation", "lag1_difference")


def basis(found: Verification) -> str:
    """What all numbers rest on, in words."""
    return (
        f"{counted(found.hours, 'hour')}, {counted(len(found.fields), 'field')}, "
        f"{grouped(found.points)} points"
    )


def overview(found: Verification) -> Table:
    """Scores that are one number, a column per system."""
    pairs = int(found.sums[MODEL]["lag_pairs"])
    rows = [
        Row(
            name,
            [scores[name] for scores in found.systems.values()],
            pairs if name in _OF_PAIRS else None,
            meaning + (f" ({counted(pairs, 'pair')} of hours)" if name in _OF_PAIRS else ""),
        )
        for name, meaning in (MEANINGS | SKILL_MEANINGS).items()
    ]
    return Table("scores", basis(found), found.hours, "", list(found.systems), [("", rows)])


def by_threshold(found: Verification) -> Table:
    """Yes-or-no scores, a column per threshold."""
    groups = [
        (
            f"{score}: {meaning}",
            [
                Row(system, [found.systems[system][f"{score}_{t:g}mm"] for t in GRID_THRESHOLDS_MM])
                for system in _systems(found, score)
            ],
        )
        for score, meaning in THRESHOLD_MEANINGS.items()
    ]
    columns = [f"{t:g} mm" for t in GRID_THRESHOLDS_MM]
    return Table("by_threshold", basis(found), found.hours, "at or above", columns, groups)


def by_window(found: Verification) -> Table:
    """Fractions skill scores, a column per window."""
    groups = [
        (
            f"{score}, {t:g} mm or more: {meaning}",
            [
                Row(system, [found.systems[system][f"{score}_{t:g}mm_{w}km"] for w in WINDOWS_KM])
                for system in _systems(found, score)
            ],
        )
        for score, meaning in FRACTION_MEANINGS.items()
        for t in GRID_THRESHOLDS_MM
    ]
    columns = [f"{w} km" for w in WINDOWS_KM]
    return Table("by_window", basis(found), found.hours, "window", columns, groups)


def by_part(found: Verification, kind: str) -> Table | None:
    """CRPS, what the members are like, mean rain and wet share of the parts of one kind.

    None where there is but one part.
    """
    parts = parts_of(found.parts, kind)
    if not parts:
        return None
    systems = list(found.systems)
    rows = [
        Row(
            part.name,
            [
                part.hours,
                part.fields,
                part.points,
                part.skill[found.reference],
                *(part.scores[MODEL][name] for name in OF_A_PART),
                *(part.crps_interval[system] for system in systems),
                *(part.mean_mm[system] for system in ("truth", *systems)),
                *(part.wet[system] for system in ("truth", *systems)),
            ],
            part.hours,
        )
        for part in parts
    ]
    columns = ["hours", "fields", "points"]
    columns += [f"{score} {MODEL}" for score in ("crpss", *OF_A_PART)]
    columns += [f"CRPS {system} [mm]" for system in systems]
    columns += [f"mean {system} [mm]" for system in ("truth", *systems)]
    columns += [f"wet share {system}" for system in ("truth", *systems)]
    name = f"by_{kind.replace(' ', '_')}"
    return Table(name, basis(found), found.hours, KINDS[kind], columns, [("", rows)])


def by_gauge_threshold(found: GaugeScores) -> Table:
    """Scores at gauges for sums over one period."""
    thresholds = THRESHOLDS_MM[found.hours]
    members = [name for name in found.systems if name == MODEL]
    groups = [
        (
            f"{score}: {meaning}",
            [
                Row(system, [found.systems[system][f"{score}_{t:g}mm"] for t in thresholds])
                for system in (members if score.startswith("member_") else found.systems)
            ],
        )
        for score, meaning in GAUGE_MEANINGS.items()
    ]
    columns = [f"{t:g} mm" for t in thresholds]
    return Table(
        f"gauges_{found.hours}h", gauge_basis(found), found.ends, "at or above", columns, groups
    )


def gauge_errors(found: Sequence[GaugeScores]) -> Table:
    """Error and bias at gauges, of all periods."""
    names = ("crps_mm", "mae_mm", "bias_mm")
    groups = [
        (
            f"{each.hours} h: {gauge_basis(each)}",
            [
                Row(system, [scores[name] for name in names], each.ends)
                for system, scores in each.systems.items()
            ],
        )
        for each in found
    ]
    return Table("gauges", "Sums at gauges", max(e.ends for e in found), "", names, groups)


def gauge_basis(found: GaugeScores) -> str:
    """What the scores at gauges rest on, in words."""
    told = f"intervals from drawing {found.blocks.words()}"
    return (
        f"{counted(found.sums, 'sum')} of {found.hours} h at {counted(found.stations, 'station')}, "
        f"{counted(found.ends, 'end')}; "
        f"{told if found.blocks.count > 1 else 'too few for intervals'}"
    )


def terminal(found: Verification) -> str:
    """The scores that matter most, as lines of text."""
    width = 2 + max(10, *(len(system) for system in found.systems))
    lines = [f"{'':<18}" + "".join(f"{system:>{width}}" for system in found.systems)]
    for name in _TERMINAL:
        cells = [number(scores[name]["value"]) for scores in found.systems.values()]
        lines.append(f"{name:<18}" + "".join(f"{cell:>{width}}" for cell in cells))
    return "\n".join(lines)


def _systems(found: Verification, score: str) -> list[str]:
    """A single forecast's members are itself: their rows would repeat."""
    if not score.startswith("member_"):
        return list(found.systems)
    return [name for name, sums in found.sums.items() if sums["ranks"].shape[-1] > 2]
