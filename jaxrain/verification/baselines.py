"""What a forecast must beat: fields made of the same coarse rain, and forecasts from elsewhere."""

from collections.abc import Callable

import numpy as np

from jaxrain.grids.regrid import nearest_matrix
from jaxrain.pairs.store import Store
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.mapping import training_map
from jaxrain.verification.truth import area_of, store_index

Baseline = Callable[[Case, int], np.ndarray]
"""Rain of one hour of a case [mm], shape [members, H, W]; a deterministic one has one member."""


def baselines(forecast: Forecast, store: Store | None) -> dict[str, Baseline]:
    """Baselines by name: `bilinear` always, the others where there is what they are made of.

    `nearest` is the coarse cell's own rain; `quantile-mapped` is the bilinear field with the
    amounts that fine rain had in the training hours; `regression` is what the run's own regression
    network of the same size expects.

    Args:
      forecast: what is verified; it carries the bilinear field itself, and the regression's where
        its run has one inside.
      store: where the ensemble's input lies; None where it came from elsewhere.
    """
    found: dict[str, Baseline] = {"bilinear": lambda case, hour: case.bilinear(hour)[None]}
    if store is not None and "tp" in store.channels:
        found["nearest"] = _nearest(forecast, store)
    mapped = training_map(store) if store is not None else None
    if mapped is not None:
        found["quantile-mapped"] = lambda case, hour: mapped(case.bilinear(hour))[None]
    if all(case.has_regression for case in forecast.cases):
        found["regression"] = lambda case, hour: case.regression(hour)[None]
    return found


def left_out(found: dict[str, Baseline], why: str) -> list[str]:
    """A line for each baseline that can't be made, with the reason.

    Args:
      found: from `baselines`.
      why: there is no store; empty where there is one, which then lacks coarse rain to map.
    """
    return [
        f"the baseline {name} is left out: {why or 'the store lacks what it is made of'}"
        for name in ("nearest", "quantile-mapped")
        if name not in found
    ]


def without_regression(forecast: Forecast, found: dict[str, Baseline]) -> list[str]:
    """A line where no network stands beside an ensemble, only interpolation.

    Args:
      forecast: what is verified.
      found: all that stands beside it.
    """
    interpolations = {"bilinear", "nearest", "quantile-mapped"}
    itself = forecast.attributes.get("jaxrain_objective") == "regression"
    if itself or not found.keys() <= interpolations:
        return []
    return [
        "the baseline regression is left out: the ensemble's run has none inside (it is trained "
        "first with data.target=regression), and no --beside NAME=FILE.nc was given"
    ]


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
