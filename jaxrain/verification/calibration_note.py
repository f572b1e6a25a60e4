"""What an ensemble's file says of its calibration: scores on the validation hours, before, after.

Not measured here: `tune --calibrate` keeps it with the run, and `sample` writes it into the file.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from jaxrain.pages.document import counted, grouped
from jaxrain.verification.tables import Row, Table

ATTRIBUTE = "jaxrain_calibration_scores"

_STAGES = (
    ("before", "as they come", "members before the calibration"),
    ("after", "calibrated", "on the windows that it was fitted to, so it looks its best"),
    ("held_out", "held out", "each half of the windows calibrated as the other half asks for"),
)
_SCORES = {
    "crps_mm": "CRPS [mm]",
    "spread_skill": "spread/skill",
    "wet_area_ratio": "wet area, of truth's",
    "p99.9_ratio": "99.9th percentile, of truth's",
}
_COUNTS = ("hours", "windows", "points", "members")


def calibration_table(attributes: Mapping[str, str]) -> Table | None:
    """The scores as a table; None where the file tells none, or nothing that can be read."""
    told = _read(attributes.get(ATTRIBUTE, ""))
    if told is None:
        return None
    rows = [
        Row(name, [_score(told[stage], score) for score in _SCORES], None, meaning)
        for stage, name, meaning in _STAGES
        if isinstance(told.get(stage), dict)
    ]
    basis = (
        f"Validation hours: {counted(told['hours'], 'hour')}, "
        f"{counted(told['windows'], 'window')}, {grouped(told['points'])} points, "
        f"{counted(told['members'], 'member')}"
    )
    return Table(
        "calibration", basis, told["hours"], "members", list(_SCORES.values()), [("", rows)]
    )


def _read(text: str) -> dict[str, Any] | None:
    try:
        told = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    sound = isinstance(told, dict) and all(type(told.get(name)) is int for name in _COUNTS)
    return told if sound else None


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < 16 else float(digits)


def _score(scores: dict[str, Any], name: str) -> float | None:
    value = scores.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
