"""Which hours of cases a command is to draw."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from jaxrain.errors import InputError
from jaxrain.pairs.cases import Case
from jaxrain.pairs.recipe import parse_period

_NAMED = 4  # of many hours or channels, in a line

Chosen = Callable[[NDArray], NDArray]
"""From hours, datetime64 [T], to which of them are chosen, bool [T]."""


def chosen_hours(periods: Sequence[str] | None) -> Chosen:
    """Those that lie in one of the periods, of `--hours`; all where there are no periods.

    Raises:
      InputError: a period is none.
    """
    if not periods:
        return lambda hours: np.ones(len(hours), bool)
    try:
        spans = [parse_period(period) for period in periods]
    except ValueError as error:
        raise InputError(f"--hours: {error}") from None
    return lambda hours: np.any([(hours >= a) & (hours < b) for a, b in spans], axis=0)


def within(cases: Sequence[Case], periods: Sequence[str] | None) -> list[Case]:
    """The cases with only those hours that lie in one of the periods, of `--hours`.

    Raises:
      InputError: a period is none, or holds none of the hours.
    """
    if not periods:
        return list(cases)
    chosen = chosen_hours(periods)
    kept = []
    for case in cases:
        inside = chosen(case.hours)
        if inside.any():
            kept.append(replace(case, hours=case.hours[inside], coarse=case.coarse[inside]))
    if not kept:
        every = np.concatenate([case.hours for case in cases])
        raise InputError(
            f"--hours {' '.join(periods)}: none of the {len(every)} hours, which run from "
            f"{every.min()} to {every.max()}"
        )
    return kept


def first_of(words: Sequence[str]) -> str:
    """The first few of many words, and how many more there are."""
    more = len(words) - _NAMED
    return ", ".join(words[:_NAMED]) + (f" and {more} more" if more > 0 else "")
