"""Is the rain that went in still there? The mean of each member over each coarse cell."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jaxrain.grids.cells import whole_cells
from jaxrain.pairs.store import Store
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.points import Sums
from jaxrain.verification.truth import area_of, store_index


@dataclass(frozen=True, eq=False)
class Cells:
    """Coarse cells that lie wholly inside a window of fine points.

    Attributes:
      rows: 1 where a fine row belongs to a row of cells, shape [H, h].
      columns: likewise, shape [W, w].
      rain_mm: coarse rain of the cells, shape [h, w], NaN where not known.
    """

    rows: np.ndarray
    columns: np.ndarray
    rain_mm: np.ndarray


CoarseRain = Callable[[Case, int], Cells]
"""Coarse cells of one hour of a case."""


def coarse_rain(forecast: Forecast, store: Store | None) -> CoarseRain | None:
    """Coarse rain on its own cells, from the store that the ensemble's input lies in.

    Args:
      forecast: what is verified.
      store: None where the input came from elsewhere.

    Returns:
      None where there is no store, or no rain among its predictors.
    """
    if store is None or "tp" not in store.channels:
        return None
    channel = store.channels.index("tp")
    areas = {case.name: area_of(case, store) for case in forecast.cases}
    axes = {
        case.name: (
            whole_cells(areas[case.name].coarse_grid.y, case.grid.y),
            whole_cells(areas[case.name].coarse_grid.x, case.grid.x),
        )
        for case in forecast.cases
    }

    def cells(case: Case, hour: int) -> Cells:
        area = areas[case.name]
        (rows, chosen_y), (columns, chosen_x) = axes[case.name]
        rain = area.coarse(store_index(area, case, hour))[channel]
        return Cells(rows, columns, np.asarray(rain)[np.ix_(chosen_y, chosen_x)])

    return cells


def conservation_sums(members: np.ndarray, truth: np.ndarray, cells: Cells | None) -> Sums:
    """What one hour adds to the conservation error.

    Args:
      members: rain of M members, shape [M, H, W] [mm].
      truth: what came, shape [H, W] [mm]; a cell with an unknown point (NaN) is left out.
      cells: the coarse rain; None where it is not known.

    Returns:
      `cells`, their number; `cell_error`, `cell_truth_error`, sums over them of the members' mean
      and the truth's distance from the coarse rain [mm]; `cell_rain`, sum of the coarse rain.
    """
    sums: Sums = {
        name: np.zeros(()) for name in ("cells", "cell_error", "cell_truth_error", "cell_rain")
    }
    if cells is None:
        return sums
    unknown = _sums(~np.isfinite(truth), cells) > 0
    whole = ~unknown & np.isfinite(cells.rain_mm)
    size = np.outer(cells.rows.sum(0), cells.columns.sum(0))[whole]
    coarse = cells.rain_mm[whole].astype(np.float64)

    def error(rain: np.ndarray) -> np.ndarray:
        mean = _sums(np.where(np.isfinite(truth), rain, 0), cells)[whole] / size
        return np.abs(mean - coarse).sum()

    sums["cells"] += whole.sum()
    sums["cell_error"] += np.mean([error(member) for member in members])
    sums["cell_truth_error"] += error(truth)
    sums["cell_rain"] += coarse.sum()
    return sums


def _sums(field: np.ndarray, cells: Cells) -> np.ndarray:
    return cells.rows.T @ field @ cells.columns
