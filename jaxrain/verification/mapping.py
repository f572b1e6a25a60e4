"""Quantile mapping: interpolated rain given the amounts that fine rain had in training."""

from dataclasses import dataclass

import numpy as np

from jaxrain.grids.regrid import bilinear_matrix
from jaxrain.pairs.quantiles import EDGES_MM, quantile, rain_counts
from jaxrain.pairs.store import Area, Store

MOST_HOURS = 200
"""Training hours that are read, evenly chosen: a year's quantiles need no more."""

# Points that must lie beyond a quantile for it to be trusted.
_FEW_POINTS = 20
_PROBABILITIES = 1 - np.logspace(0, -7, 561)


@dataclass(frozen=True, eq=False)
class QuantileMap:
    """A rising function from rain to rain, with 0 to 0.

    Attributes:
      source_mm: amounts, rising from 0, shape [Q].
      target_mm: what they become, never falling, shape [Q].
      hours: training hours that it was fitted to.
    """

    source_mm: np.ndarray
    target_mm: np.ndarray
    hours: int

    def __call__(self, rain_mm: np.ndarray) -> np.ndarray:
        """Maps rain of any shape [mm]; NaN stays.

        Beyond the last amount its correction in mm stays (Boe et al. 2007, doi:10.1002/joc.1602):
        its ratio, of hours that were all but dry, would say nothing of heavy rain.
        """
        inside = np.interp(rain_mm, self.source_mm, self.target_mm)
        further = np.maximum(rain_mm - self.source_mm[-1], 0)
        return (inside + further).astype(rain_mm.dtype)


def fit_map(source_counts: np.ndarray, target_counts: np.ndarray, hours: int = 0) -> QuantileMap:
    """The map that gives rain of one distribution the amounts of another.

    Where the source is wet more often than the target, its lightest rain becomes none; where it is
    dry more often, dry stays dry.

    Args:
      source_counts: of the rain to be mapped, from `quantiles.rain_counts`, shape [bins].
      target_counts: of the rain it is to be like, shape [bins].
      hours: kept with the map.

    References:
      Panofsky, H. A. and Brier, G. W. (1958), Some Applications of Statistics to Meteorology.
    """
    fewest = min(source_counts.sum(), target_counts.sum())
    known = [p for p in _PROBABILITIES if (1 - p) * fewest >= _FEW_POINTS]
    pairs = np.array([(quantile(source_counts, p), quantile(target_counts, p)) for p in known])
    # The first bin holds the dry: inside it a quantile is no amount.
    pairs = pairs[pairs[:, 0] > EDGES_MM[1]] if len(pairs) else pairs.reshape(0, 2)
    dry = pairs[:, 1] <= EDGES_MM[1]
    pairs[dry, 1] = 0
    source = np.concatenate([[0], pairs[:, 0]])
    target = np.concatenate([[0], pairs[:, 1]])
    return QuantileMap(source, target, hours)


def training_map(store: Store) -> QuantileMap | None:
    """Fits interpolated coarse rain to fine rain over the store's training hours.

    Points of all areas are pooled, as training pools them.

    Returns:
      None where the store holds no coarse rain or no training hour with rain known on both sides.
    """
    if "tp" not in store.channels:
        return None
    rain = store.channels.index("tp")
    hours = [(area, index) for area in store.areas for index in area.indices("train")]
    chosen = np.unique(np.linspace(0, len(hours) - 1, min(len(hours), MOST_HOURS)).round())
    source, target = np.zeros(len(EDGES_MM) - 1), np.zeros(len(EDGES_MM) - 1)
    for area, index in (hours[int(number)] for number in chosen):
        fine = np.asarray(area.fine(index))
        coarse = interpolated(area, np.asarray(area.coarse(index)[rain]))
        known = np.isfinite(fine) & np.isfinite(coarse)
        source += rain_counts(coarse[known])
        target += rain_counts(fine[known])
    return fit_map(source, target, len(chosen)) if source.sum() > 0 else None


def interpolated(area: Area, coarse: np.ndarray) -> np.ndarray:
    """Coarse rain [h, w] of an area on its fine grid, [H, W], NaN where a missing cell counts."""
    weights_y = bilinear_matrix(area.coarse_grid.y, area.fine_grid.y)
    weights_x = bilinear_matrix(area.coarse_grid.x, area.fine_grid.x)
    missing = np.isnan(coarse)
    fine = weights_y @ np.where(missing, 0.0, coarse) @ weights_x.T
    return np.where(weights_y @ missing @ weights_x.T > 0, np.nan, fine)
