"""Which hours are there, hour by hour: paired, left out, missing."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrain.pairs.pairing import IN_NO_SPLIT, NO_FINE_RAIN
from jaxrain.pairs.recipe import SPLITS, Selection, Splits, parse_period

# From harmless to the best that an hour can be; where two areas differ, the later one counts.
STATES = {
    "absent": "in no file and in no split",
    "in_no_split": "in a file, in no split",
    "missing": "missing: in a split, but in no file",
    "no_fine_rain": "left out: predictors, but no fine rain",
    "no_predictors": "left out: fine rain, but a predictor is lacking",
    "train": "training",
    "validation": "validation",
    "test": "test",
}
_NUMBER = {name: number for number, name in enumerate(STATES)}


class Coverage(NamedTuple):
    """State of every hour from the first to the last that a file holds.

    Attributes:
      hours: datetime64[h], shape [N], without a gap.
      states: places in STATES, uint8 [N].
      asked_beyond: hours before and after these that a bounded split asks for.
    """

    hours: np.ndarray
    states: np.ndarray
    asked_beyond: int


def coverage(
    paired: Sequence[tuple[np.datetime64, str]],
    left_out: Sequence[tuple[np.datetime64, str, str]],
    splits: Splits,
) -> Coverage:
    """Sorts hours by state.

    Args:
      paired: time and split of each pair; at least one.
      left_out: (time, file, reason) of what did not pair.
      splits: what the config asks for.
    """
    times = [time for time, _ in paired] + [time for time, _, _ in left_out]
    seen = np.asarray(times, "datetime64[h]")
    hours = np.arange(seen.min(), seen.max() + 1)
    asked = _asked(splits, hours)
    states = np.where(asked, _NUMBER["missing"], _NUMBER["absent"]).astype(np.uint8)
    found = [_NUMBER[split] for _, split in paired]
    for time, _, reason in left_out:
        wanted = asked[(time.astype("datetime64[h]") - hours[0]).astype(int)]
        found.append(_NUMBER[_left_out_state(reason, bool(wanted))])
    here = (seen - hours[0]).astype(int)
    # What a file holds is no longer missing, however little it is of use.
    states[here] = 0
    np.maximum.at(states, here, np.asarray(found, np.uint8))
    return Coverage(hours, states, _beyond(splits, hours))


def summarise(found: Coverage) -> dict[str, Any]:
    """As JSON has it: the period, hours by state, by month, and runs of missing ones."""
    return {
        "first": str(found.hours[0]),
        "last": str(found.hours[-1]),
        "hours": _counts(found.states),
        "months": {
            str(month): _counts(found.states[found.hours.astype("datetime64[M]") == month])
            for month in months(found)
        },
        "missing": runs(found, "missing"),
        "asked_beyond": found.asked_beyond,
        "states": STATES,
    }


def months(found: Coverage) -> np.ndarray:
    """The months of which a file holds an hour, datetime64[M]."""
    some = ~np.isin(found.states, (_NUMBER["absent"], _NUMBER["missing"]))
    return np.unique(found.hours[some].astype("datetime64[M]"))


def runs(found: Coverage, state: str) -> list[dict[str, Any]]:
    """Unbroken runs of one state: first and last hour, and how many hours."""
    there = found.hours[found.states == _NUMBER[state]]
    if there.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(there).astype(int) > 1) + 1
    return [
        {"first": str(run[0]), "last": str(run[-1]), "hours": len(run)}
        for run in np.split(there, breaks)
    ]


def _left_out_state(reason: str, wanted: bool) -> str:
    if reason == IN_NO_SPLIT or not wanted:
        return "in_no_split"
    return "no_fine_rain" if reason == NO_FINE_RAIN else "no_predictors"


def _selections(splits: Splits) -> list[Selection]:
    return [each for split in SPLITS for each in getattr(splits, split)]


def _asked(splits: Splits, hours: np.ndarray) -> np.ndarray:
    """Hours that a split asks for; one that names files but no period asks for what they hold."""
    asked = np.zeros(len(hours), bool)
    for each in _selections(splits):
        if each.period is not None or each.files == "*":
            asked |= Selection(period=each.period).matches("", hours)
    return asked


def _beyond(splits: Splits, hours: np.ndarray) -> int:
    first, end = hours[0].astype("datetime64[s]"), (hours[-1] + 1).astype("datetime64[s]")
    beyond = np.timedelta64(0, "s")
    for each in _selections(splits):
        if each.period is not None:
            start, stop = parse_period(each.period)
            beyond += max(min(stop, first) - start, np.timedelta64(0, "s"))
            beyond += max(stop - max(start, end), np.timedelta64(0, "s"))
    return int(beyond / np.timedelta64(1, "h"))


def _counts(states: np.ndarray) -> dict[str, int]:
    counts = Counter(states.tolist())
    return {name: counts[number] for name, number in _NUMBER.items()}
