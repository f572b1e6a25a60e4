"""Radially averaged power spectra: has the forecast as much small-scale rain as the truth?"""

from collections.abc import Iterator

import numpy as np
from scipy import fft

from jaxrain.verification.points import Sums

MAX_MISSING = 0.2
"""Largest share of unknown points of a square whose spectrum is taken."""

SHORTEST_KM = 4.0
"""Wavelength down to which a spectrum's error is scored: four points of a 1 km grid."""


def wavelengths(extents_km: list[float], spacings_km: list[float]) -> np.ndarray:
    """Wavelengths that squares of all these sizes resolve, long to short [km].

    Args:
      extents_km: side of each kind of square.
      spacings_km: distance of its points.

    Returns:
      Harmonics of the smallest square, without the mean, longer than twice the widest spacing.
    """
    longest = min(extents_km)
    count = (longest / max(spacings_km) - 1) / 2
    return longest / np.arange(1, int(count + 1e-6) + 1)


def squares(height: int, width: int) -> list[tuple[slice, slice]]:
    """Equal squares side by side along a field's longer side, centred: where spectra are taken."""
    side = min(height, width)
    count = max(height, width) // side
    start = (max(height, width) - count * side) // 2
    pieces = [slice(start + i * side, start + (i + 1) * side) for i in range(count)]
    whole = slice(0, side)
    return [(piece, whole) if height >= width else (whole, piece) for piece in pieces]


def spectrum_sums(
    members: np.ndarray,
    truth: np.ndarray,
    spacing_km: float,
    wavelengths_km: np.ndarray,
) -> Sums:
    """Power spectral density of one hour, of the members (the mean of theirs) and of the truth.

    A square with at most MAX_MISSING of its points unknown counts, its unknown points dry on both
    sides alike. A Hann window keeps the jump between opposite edges from filling the short waves;
    what it weighs as the mean is taken off first, so that none leaks into the longest one. Rings
    are interpolated to common wavelengths.

    Args:
      members: rain of M members, shape [M, H, W] [mm].
      truth: what came, shape [H, W] [mm], NaN where it is not known.
      spacing_km: distance of neighbouring points.
      wavelengths_km: where the spectrum is wanted, shape [K] [km].

    Returns:
      `spectrum`, `truth_spectrum` [K], summed over the squares [mm2 km2], and
      `spectrum_squares`, their number.
    """
    total = np.zeros(len(wavelengths_km))
    sums: Sums = {
        "spectrum": total,
        "truth_spectrum": total.copy(),
        "spectrum_squares": np.zeros(()),
    }
    for square in squares(*truth.shape):
        known = np.isfinite(truth[square])
        if known.mean() < 1 - MAX_MISSING:
            continue
        fields = (np.where(known, member[square], 0) for member in members)
        sums["spectrum"] += _density(fields, spacing_km, wavelengths_km)
        truths = iter([np.where(known, truth[square], 0)])
        sums["truth_spectrum"] += _density(truths, spacing_km, wavelengths_km)
        sums["spectrum_squares"] += 1
    return sums


def _density(
    fields: Iterator[np.ndarray], spacing_km: float, wavelengths_km: np.ndarray
) -> np.ndarray:
    """Mean density of some fields [wavelengths]: rings are linear, so powers are averaged first."""
    power, count = np.zeros(()), 0
    for field in fields:
        taper = np.hanning(len(field) + 2)[1:-1]
        window = np.outer(taper, taper)
        anomaly = field - (field * window).sum() / window.sum()
        transform = fft.fft2(anomaly * window)
        power = power + np.square(np.abs(transform)) / np.square(window).sum()
        count += 1
    rings = radial_means(power) / count * spacing_km**2
    return np.interp(1 / wavelengths_km, np.arange(len(rings)) / (len(power) * spacing_km), rings)


def radial_means(power: np.ndarray) -> np.ndarray:
    """Mean power over rings of whole wavenumbers, as pysteps' `rapsd` takes it.

    pysteps itself is for tests, in a process of its own: it loads pyproj, and two copies of PROJ,
    pyproj's and that of ecCodes' wheel, corrupt each other's memory.

    Args:
      power: of the waves of a square field, in the order of the fast Fourier transform, [n, n].

    Returns:
      Means for the wavenumbers 0 (the field's mean) up to the last that fits both ways,
      shape [(n + 1) // 2].
    """
    side = len(power)
    wavenumber = fft.fftfreq(side, 1 / side)
    ring = np.hypot.outer(wavenumber, wavenumber).round().astype(int).ravel()
    return (np.bincount(ring, power.ravel()) / np.bincount(ring))[: (side + 1) // 2]


def decibels(power: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """10 log10(power / reference), of any shape [dB]; NaN where there is none of either."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 10 * np.log10(power / reference)


def effective_resolution_km(ratio: np.ndarray, wavelengths_km: np.ndarray) -> np.ndarray:
    """Wavelength where the power first falls below half of the truth's, coming from long waves.

    The ratio is averaged over each ring and its two neighbours, since one ring alone is noisy, and
    looked at from a quarter of the longest wavelength down: the few waves longer than that differ
    by chance. Where it never falls, the shortest wavelength there is.

    Args:
      ratio: power over the truth's, long waves first, shape [..., K].
      wavelengths_km: where, shape [K] [km], long to short.

    Returns:
      Effective resolution, shape [...] [km]; NaN where a ratio is not known.
    """
    padded = np.concatenate([ratio[..., :1], ratio, ratio[..., -1:]], -1)
    smooth = (padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]) / 3
    short = (smooth < 0.5) & (wavelengths_km <= wavelengths_km[0] / 4)
    first = np.where(short.any(-1), short.argmax(-1), len(wavelengths_km) - 1)
    return np.where(np.isfinite(ratio).all(-1), wavelengths_km[first], np.nan)
