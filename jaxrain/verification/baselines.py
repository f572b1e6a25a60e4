"""What a forecast must beat: fields made of the same coarse rain, and forecasts from elsewhere."""

from collections.abc import Callable

import numpy as np

from jaxrain.grids.regrid import nearest_matrix
from jaxrain.pairs.store import Store
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.truth import area_of, store_index

Baseline = Callable[[Case, int], np.ndarray]
"""Rain of one hour of a case [mm], shape [members, H, W]; a deterministic one has one member."""


def baselines(forecast: Forecast, store: Store | None) -> dict[str, Baseline]:
    """Baselines by name: `bilinear` always, `nearest` where the store has the coarse rain.

    Args:
      forecast: what is verified; it carries the bilinear field itself.
      store: where the ensemble's input lies; None where it came from elsewhere.
    """
    found: dict[str, Baseline] = {"bilinear": lambda case, hour: case.bilinear(hour)[None]}
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
        return np.asarray(area.coarse(store_index(area, case, hour))[rain])[cells[case.name]][None]

    return nearest
