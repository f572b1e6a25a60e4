"""How far the residual, fine rain minus interpolated coarse rain, knows of itself.

A patch has to be several times as wide as that, or most of what the network must learn to draw
lies across a patch's rim.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from jaxrain.pairs.interpolation import interpolate, interpolation_matrices
from jaxrain.pairs.scaling import RAIN_CHANNEL
from jaxrain.pairs.store import Area, Store

_LARGEST = 512  # points along the side that are looked at; far more than any length that matters
PATCH_LENGTHS = 8  # a patch is at least so many correlation lengths wide


def correlation_length(fields: Iterable[NDArray]) -> float | None:
    """Distance at which the radially averaged autocorrelation falls to 1/e, in points.

    By Wiener and Khinchin's theorem on fields that are padded to twice their size, each lag divided
    by how many pairs of known points it has. All fields count together, each by its variance.

    Args:
      fields: [H, W] of one shape or several, NaN where missing.

    Returns:
      The length, interpolated between the radii around it; None where nothing varies, or where the
      correlation stays above 1/e as far as the fields reach.
    """
    products, pairs = np.zeros(1), np.zeros(1)
    for field in fields:
        sums, counts = _by_radius(field)
        size = max(len(products), len(sums))
        products, pairs = (np.pad(each, (0, size - len(each))) for each in (products, pairs))
        products[: len(sums)] += sums
        pairs[: len(counts)] += counts
    known = pairs > 0
    if not known[0] or products[0] <= 0:
        return None
    correlation = products[known] / pairs[known] / (products[0] / pairs[0])
    radii = np.flatnonzero(known)
    below = np.flatnonzero(correlation < np.exp(-1))
    if not below.size:
        return None
    after = below[0]
    return float(
        np.interp(-np.exp(-1), -correlation[after - 1 : after + 1], radii[after - 1 : after + 1])
    )


def suggested_patch(length: float, divisor: int) -> int:
    """The least multiple of the network's divisor that is PATCH_LENGTHS lengths wide, and 8."""
    least = max(PATCH_LENGTHS * length, 8.0)
    return int(-(-least // divisor)) * divisor


def residuals(store: Store, hours: int = 16) -> Iterable[NDArray]:
    """Residuals in mm of training hours, [H, W]: the wettest of a spread-out choice of them.

    Args:
      store: finished, with rain among its predictors; else there are none.
      hours: at most so many of each area.
    """
    if RAIN_CHANNEL not in store.channels:
        return
    rain = store.channels.index(RAIN_CHANNEL)
    for area in store.areas:
        matrices = interpolation_matrices(area.coarse_grid, area.fine_grid, ["bilinear"], area.name)
        for hour in _wettest(area, hours):
            fine = np.asarray(area.fine(hour), np.float64)
            yield (fine - interpolate(matrices, area.coarse(hour)[rain]))[:_LARGEST, :_LARGEST]


def _wettest(area: Area, count: int) -> list[int]:
    training = area.indices("train")
    chosen = training[:: max(len(training) // (4 * count), 1)]
    return sorted(chosen, key=lambda hour: -int(area.cover(hour)[1].sum(dtype=np.int64)))[:count]


def _by_radius(field: NDArray) -> tuple[NDArray, NDArray]:
    """Sums of products and counts of pairs of known points by whole distance, [R] each."""
    known = np.isfinite(field)
    anomaly = np.where(known, field, 0.0)
    if known.any():
        anomaly = np.where(known, anomaly - anomaly.sum() / known.sum(), 0.0)
    products, pairs = _correlate(anomaly), np.maximum(np.rint(_correlate(known * 1.0)), 0)
    height, width = field.shape
    y, x = (np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) for n in (height, width))
    radius = np.rint(np.hypot(y[:, None], x[None, :])).astype(int).ravel()
    reach = min(height, width)
    inside = (radius < reach) & (pairs.ravel() > 0)
    return (
        np.bincount(radius[inside], products.ravel()[inside], reach),
        np.bincount(radius[inside], pairs.ravel()[inside], reach),
    )


def _correlate(field: NDArray) -> NDArray:
    """Sums of products at all lags, [2 H, 2 W]; lag 0 first, negative lags from the end."""
    size = tuple(2 * n for n in field.shape)
    return np.fft.irfft2(np.abs(np.fft.rfft2(field, size)) ** 2, size)
