"""Rain by amount: classes, wet share and extremes, from counts."""

from typing import Any

import numpy as np

from jaxrain.pairs.audit.survey import BIN_MM
from jaxrain.pairs.placement import WET_MM

# Classes of a histogram on a logarithmic axis; below the first it is dry, above the last open.
CLASS_EDGES_MM = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)


def describe_amounts(counts: np.ndarray, most_mm: float) -> dict[str, Any]:
    """Sums up counts of `survey.count_amounts`.

    Args:
      counts: by amount.
      most_mm: the largest amount, exactly.

    Returns:
      `points`; `wet_share` (0.1 mm or more); `p50_mm`, `p99_mm`, `p99.9_mm` and `most_mm`; None
      without points; `class_counts`: dry, then from each edge of CLASS_EDGES_MM to the next.
    """
    total = int(counts.sum())
    return {
        "points": total,
        "wet_share": float(counts[_bin(WET_MM) :].sum() / total) if total else None,
        "p50_mm": _amount_at(counts, 0.5),
        "p99_mm": _amount_at(counts, 0.99),
        "p99.9_mm": _amount_at(counts, 0.999),
        "most_mm": most_mm if total else None,
        "class_counts": class_counts(counts).tolist(),
    }


def class_counts(counts: np.ndarray) -> np.ndarray:
    """Points that are dry, then from each edge of CLASS_EDGES_MM to the next."""
    edges = [0, *(_bin(edge) for edge in CLASS_EDGES_MM), len(counts)]
    running = np.concatenate([[0], counts.cumsum()])
    return np.diff(running[np.minimum(edges, len(counts))])


def exceedance(counts: np.ndarray) -> np.ndarray:
    """Share of points with at least k * BIN_MM, by k."""
    return counts[::-1].cumsum()[::-1] / max(int(counts.sum()), 1)


def _amount_at(counts: np.ndarray, share: float) -> float | None:
    running = counts.cumsum()
    if not counts.any():
        return None
    # The smallest amount that at least this share of points does not exceed.
    return round(int(np.searchsorted(running, share * running[-1])) * BIN_MM, 2)


def _bin(amount_mm: float) -> int:
    return round(amount_mm / BIN_MM)
