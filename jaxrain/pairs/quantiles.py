"""High quantiles of rain from counts, so that no field need be kept."""

import numpy as np

# Steps of 2 % from 0.01 mm to 1000 mm: interpolated inside a bin, a quantile is off by well under
# 1 %. The first bin holds what is drier, the last what is wetter.
EDGES_MM = np.concatenate([[0.0], 0.01 * 1.02 ** np.arange(582)])


def rain_counts(rain_mm: np.ndarray) -> np.ndarray:
    """Counts the known values in each bin of EDGES_MM.

    Args:
      rain_mm: any shape; NaN where not known.

    Returns:
      Counts, shape [bins], float64.
    """
    known = rain_mm[np.isfinite(rain_mm)]
    bins = np.searchsorted(EDGES_MM, known, side="right") - 1
    last = len(EDGES_MM) - 2
    return np.bincount(np.clip(bins, 0, last), minlength=last + 1).astype(np.float64)


def quantile(counts: np.ndarray, probability: float | np.ndarray) -> np.ndarray:
    """Quantile of binned rain, linear inside its bin.

    Args:
      counts: from `rain_counts`, shape [..., bins].
      probability: 0..1; one of all, or [..., 1].

    Returns:
      Quantiles [mm], shape [...]; NaN where nothing was counted.
    """
    below = np.cumsum(counts, -1)
    wanted = probability * below[..., -1:]
    bin_index = np.minimum((below < wanted).sum(-1, keepdims=True), counts.shape[-1] - 1)
    inside = np.take_along_axis(counts, bin_index, -1)
    start = np.take_along_axis(below, bin_index, -1) - inside
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (wanted - start) / inside
    low, high = EDGES_MM[bin_index], EDGES_MM[bin_index + 1]
    return (low + part * (high - low))[..., 0]
