"""Further forecasts of the same hours, from other files, as further baselines."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
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


def parse_beside(forecast: Forecast, words: Sequence[str]) -> dict[str, Path]:
    """The paths of what is to stand beside a forecast, by name.

    Args:
      forecast: what is verified.
      words: 'NAME=PATH' of each.

    Raises:
      InputError: no NAME=PATH, or a name that is taken.
    """
    found: dict[str, Path] = {}
    taken = {*_TAKEN}
    if any(case.has_regression for case in forecast.cases):
        taken.add("regression")  # the run's own, of `jaxrain.verification.baselines`
    for word in words:
        name, equals, path = word.partition("=")
        if not (equals and path and re.fullmatch(r"[A-Za-z][\w.+-]*", name)):
            raise InputError(
                f"--beside {word}: expected NAME=FILE.nc or NAME=RUN, as in unet=runs/unet"
            )
        if name in taken | found.keys():
            raise InputError(f"--beside {word}: the name '{name}' is taken; choose another")
        found[name] = Path(path)
    return found


def is_run(path: Path) -> bool:
    """Whether training made the folder: its rain has to be drawn before it can be opened."""
    return (path / "config.yaml").is_file()


@contextmanager
def forecasts_beside(
    forecast: Forecast, named: Mapping[str, Path]
) -> Iterator[dict[str, Baseline]]:
    """Opens forecasts to stand beside the one that is verified.

    Args:
      forecast: what is verified; the others must hold all its hours, on grids that hold its points.
      named: file of each by name, as `open_forecast` reads it, with or without members.

    Raises:
      InputError: a file that can't be read or lacks hours or points.
    """
    with ExitStack() as stack:
        yield {
            name: _beside(forecast, stack.enter_context(open_forecast(path)))
            for name, path in named.items()
        }


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
