"""What a forecast must beat: fields made of the same coarse rain, and forecasts from elsewhere.

Where the predictors hold no rain there is none to interpolate: then what is to beat is climatology.
"""

import functools
from collections.abc import Callable, Collection

import numpy as np

from jaxrain.errors import InputError
from jaxrain.grids.regrid import nearest_matrix
from jaxrain.pairs.store import Store
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.mapping import training_map
from jaxrain.verification.truth import area_of, store_index

CLIMATOLOGY_MEMBERS = 16

_LINE = 200  # letters of an attribute that a note shows
_SEED = 0
_CANDIDATES = 4  # training hours that are looked at for each that is taken

Baseline = Callable[[Case, int], np.ndarray]
"""Rain of one hour of a case [mm], shape [members, H, W]; a deterministic one has one member."""


def baselines(forecast: Forecast, store: Store | None) -> dict[str, Baseline]:
    """Baselines by name, where there is what they are made of.

    `bilinear` is the interpolated coarse rain; `nearest` is the coarse cell's own rain;
    `quantile-mapped` is the bilinear field with the amounts that fine rain had in the training
    hours; `regression` is what the run's own regression network of the same size expects. Where the
    forecast carries no coarse rain, `climatology` stands for the first three: an ensemble of
    training hours' rain at the same points.

    Args:
      forecast: what is verified; it carries the bilinear field itself, and the regression's where
        its run has one inside.
      store: where the ensemble's input lies; None where it came from elsewhere.
    """
    found: dict[str, Baseline] = {}
    if all(case.has_coarse for case in forecast.cases):
        found["bilinear"] = lambda case, hour: case.bilinear(hour)[None]
        if store is not None and "tp" in store.channels:
            found["nearest"] = _nearest(forecast, store)
        mapped = training_map(store) if store is not None else None
        if mapped is not None:
            found["quantile-mapped"] = lambda case, hour: mapped(case.bilinear(hour))[None]
    elif store is not None and (drawn := _climatology(forecast, store)):
        found["climatology"] = drawn
    if all(case.has_regression for case in forecast.cases):
        found["regression"] = lambda case, hour: case.regression(hour)[None]
    return found


def reference(found: Collection[str], forecast: Forecast) -> str:
    """The baseline that skill is told against: interpolation, else climatology, else the first.

    Args:
      found: names of all that stands beside the forecast.
      forecast: what is verified.

    Raises:
      InputError: nothing does.
    """
    for name in ("bilinear", "climatology", *found):
        if name in found:
            return name
    raise InputError(
        f"{forecast.path} has nothing to compare with: it holds no coarse rain to interpolate, and "
        "no store is at hand whose training hours are of the same points; give another "
        "forecast, --beside NAME=FILE.nc"
    )


def in_words(name: str) -> str:
    """The error of a baseline, for sentences."""
    return {
        "bilinear": "the error of bilinear interpolation",
        "climatology": "the CRPS of climatology",
    }.get(name, f"the CRPS of {name}")


def left_out(found: dict[str, Baseline], why: str) -> list[str]:
    """A line for each baseline that can't be made, with the reason.

    Args:
      found: from `baselines`.
      why: there is no store; empty where there is one, which then lacks what they are made of.
    """
    if "bilinear" not in found:
        notes = [
            "the baselines bilinear, nearest and quantile-mapped are left out: the ensemble's file "
            "holds no coarse rain"
        ]
        if "climatology" not in found:
            lacking = why or "the store has no training hours of the same points"
            notes.append(f"the baseline climatology is left out: {lacking}")
        return notes
    return [
        f"the baseline {name} is left out: {why or 'the store lacks what it is made of'}"
        for name in ("nearest", "quantile-mapped")
        if name not in found
    ]


def spread_sums(forecast: Forecast) -> list[str]:
    """A line where the coarse rain of hours is a mean over several (`sample --spread-sums`)."""
    told = str(forecast.attributes.get("jaxrain_spread_sums", ""))
    if not told:
        return []
    shown = told if len(told) < _LINE else f"{told[:_LINE]} ..."
    return [
        "the coarse rain of some hours is a mean over several, so what is made of it, "
        f"interpolation too, knows too little of heavy hours: {shown}"
    ]


def without_regression(forecast: Forecast, found: dict[str, Baseline]) -> list[str]:
    """A line where no network stands beside an ensemble, only interpolation.

    Args:
      forecast: what is verified.
      found: all that stands beside it.
    """
    interpolations = {"bilinear", "nearest", "quantile-mapped", "climatology"}
    itself = forecast.attributes.get("jaxrain_objective") == "regression"
    if itself or not found.keys() <= interpolations:
        return []
    return [
        "the baseline regression is left out: the ensemble's run has none inside (it is trained "
        "first with data.target=regression), and none was given by --beside regression=RUN (a run "
        "of diffusion.objective=regression)"
    ]


def _climatology(forecast: Forecast, store: Store) -> Baseline | None:
    """Rain of training hours at the same points, drawn once; None where an area has none.

    Of a few times as many hours those that know most of the points: what one of them does not
    know is left out for all systems.
    """
    areas = {case.name: area_of(case, store) for case in forecast.cases}
    if not all(area.indices("train") for area in areas.values()):
        return None

    @functools.lru_cache(maxsize=1)  # a case's hours have the same, and come one after another
    def drawn(case: Case) -> np.ndarray:
        area, (y, x), (height, width) = areas[case.name], case.origin, case.grid.shape
        hours = np.random.default_rng(_SEED).permutation(area.indices("train"))
        window = np.s_[y : y + height, x : x + width]
        unknown = [
            int(np.isnan(area.fine(int(hour))[window]).sum())
            for hour in hours[: _CANDIDATES * CLIMATOLOGY_MEMBERS]
        ]
        chosen = sorted(hours[np.argsort(unknown, kind="stable")[:CLIMATOLOGY_MEMBERS]])
        return np.stack([area.fine(int(hour))[window] for hour in chosen])

    return lambda case, hour: drawn(case)


def _nearest(forecast: Forecast, store: Store) -> Baseline:
    """Each fine point takes the coarse cell whose centre is nearest."""
    rain = store.channels.index("tp")
    areas = {case.name: area_of(case, store) for case in forecast.cases}
    # One 1 in each row of the matrices, so they choose rows and columns: unknown cells stay put.
    cells = {
        case.name: np.ix_(
            nearest_matrix(areas[case.name].coarse_grid.y, case.grid.y).argmax(1),
            nearest_matrix(areas[case.name].coarse_grid.x, case.grid.x).argmax(1),
        )
        for case in forecast.cases
    }

    def nearest(case: Case, hour: int) -> np.ndarray:
        area = areas[case.name]
        return np.asarray(area.coarse(store_index(area, case, hour))[rain])[cells[case.name]][None]

    return nearest
