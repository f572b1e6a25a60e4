"""What a forecast must beat: deterministic fields made of the same coarse rain."""

from collections.abc import Callable

import numpy as np

from jaxrain.grids.regrid import nearest_matrix
from jaxrain.pairs.store import Store
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.truth import area_of

Baseline = Callable[[Case, int], np.ndarray]
"""Rain of one hour of a case [mm], shape [H, W]."""


def baselines(forecast: Forecast, store: Store | None) -> dict[str, Baseline]:
    """Baselines by name: `bilinear` always, `nearest` where the store has the coarse rain.

    Args:
      forecast: what is verified; it carries the bilinear field itself.
      store: where the ensemble's input lies; None where it came from elsewhere.
    """
    found: dict[str, Baseline] = {"bilinear": lambda case, hour: case.bilinear(hour)}
    if store is not None and "tp" in store.channels:
        found["nearest"] = _nearest(forecast, store)
    return found


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
        index = int(np.flatnonzero(area.hours == case.hours[hour])[0])
        return np.asarray(area.coarse(index)[rain])[cells[case.name]]

    return nearest
