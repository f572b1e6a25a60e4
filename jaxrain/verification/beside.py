"""A further forecast of the same hours, from another file, as one more baseline."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np

from jaxrain.errors import InputError
from jaxrain.verification.baselines import Baseline
from jaxrain.verification.forecast import Case, Forecast, open_forecast
from jaxrain.verification.truth import lacking_hours, positions_within

_TAKEN = (
    *("model", "truth", "ensemble mean", "members"),
    *("bilinear", "nearest", "quantile-mapped", "climatology"),
)


class _Place(NamedTuple):
    case: Case
    hour: int
    rows: np.ndarray
    columns: np.ndarray


@contextmanager
def forecasts_beside(forecast: Forecast, words: Sequence[str]) -> Iterator[dict[str, Baseline]]:
    """Opens forecasts to stand beside the one that is verified.

    Args:
      forecast: what is verified; the others must hold all its hours, on grids that hold its points.
      words: 'NAME=FILE.nc' of each; FILE is as `open_forecast` reads it, with or without members.

    Raises:
      InputError: no NAME=FILE, a name that is taken, or a file that can't be read or lacks hours
        or points.
    """
    found: dict[str, Baseline] = {}
    taken = {*_TAKEN}
    if any(case.has_regression for case in forecast.cases):
        taken.add("regression")  # the run's own, of `jaxrain.verification.baselines`
    with ExitStack() as stack:
        for word in words:
            name, path = _parse(word, taken | found.keys())
            other = stack.enter_context(open_forecast(path))
            found[name] = _beside(forecast, other)
        yield found


def _parse(word: str, taken: set[str]) -> tuple[str, str]:
    name, equals, path = word.partition("=")
    if not (equals and path and re.fullmatch(r"[A-Za-z][\w.+-]*", name)):
        raise InputError(f"--beside {word}: expected NAME=FILE.nc, as in unet=runs/unet/test.nc")
    if name in taken:
        raise InputError(f"--beside {word}: the name '{name}' is taken; choose another")
    return name, path


def _beside(forecast: Forecast, other: Forecast) -> Baseline:
    places: dict[tuple[str, np.datetime64], _Place] = {}
    for case in forecast.cases:
        there = []
        for candidate in other.cases:
            points = positions_within(case.grid, candidate.grid)
            if points is None:
                continue
            there.append(candidate.hours)
            for hour, time in enumerate(candidate.hours):
                places.setdefault((case.name, time), _Place(candidate, hour, *points))
        if not there:
            raise InputError(
                f"--beside {other.path}: no grid in it holds the points of {case.name}; give a "
                "forecast on the same points"
            )
        lacking = lacking_hours(case, np.concatenate(there))
        if lacking:
            raise InputError(
                f"--beside {other.path} lacks {lacking}; give a forecast of the same hours"
            )

    def rain(case: Case, hour: int) -> np.ndarray:
        place = places[case.name, case.hours[hour]]
        return place.case.members(place.hour)[:, place.rows[:, None], place.columns]

    return rain
