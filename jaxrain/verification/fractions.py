"""Fractions skill score: is the right share of each neighbourhood wet, if not the right points?"""

import numpy as np
from scipy.ndimage import uniform_filter

from jaxrain.verification.points import THRESHOLDS_MM, Sums

WINDOWS_KM = (1, 3, 7, 15, 31, 63)
"""Sides of the square neighbourhoods [km]."""


def window_points(window_km: float, spacing_km: float) -> int:
    """The odd number of points nearest to a window's side, at least 1."""
    return max(1, 2 * int(window_km / spacing_km // 2) + 1)


def fraction_sums(
    members: np.ndarray,
    truth: np.ndarray,
    spacing_km: float,
) -> Sums:
    """Sums over one hour's points from which the score of any set of hours follows.

    A neighbourhood's fraction is its share of points at or above a threshold; outside the field
    there is no rain, as in Roberts and Lean, and where the truth is not known (NaN) there is none
    on either side. An ensemble is scored twice: with its probability, the mean of its members'
    fractions (Schwartz et al. 2010), and its members one by one, pooled.

    Args:
      members: rain of M members, shape [M, H, W] [mm].
      truth: what came, shape [H, W] [mm], NaN where it is not known.
      spacing_km: distance of neighbouring points.

    Returns:
      `fraction_difference`, `fraction_reference`, `member_fraction_difference`,
      `member_fraction_reference` [T, windows]: numerator and denominator of 1 - score; nought for
      a window wider than the field.

    References:
      Roberts, N. M. and Lean, H. W. (2008), Mon. Weather Rev., 136, 78-97,
      doi:10.1175/2007MWR2123.1. Schwartz, C. S. et al. (2010), Weather Forecast., 25, 263-280,
      doi:10.1175/2009WAF2222267.1.
    """
    known = np.isfinite(truth)
    sums = {
        name: np.zeros((len(THRESHOLDS_MM), len(WINDOWS_KM)))
        for name in (
            "fraction_difference",
            "fraction_reference",
            "member_fraction_difference",
            "member_fraction_reference",
        )
    }
    sides = [window_points(window, spacing_km) for window in WINDOWS_KM]
    fitting = [(w, side) for w, side in enumerate(sides) if side <= min(truth.shape)]
    for t, threshold in enumerate(THRESHOLDS_MM):
        came = _wet(truth, threshold, known)
        observed = {w: _fractions(came, side) for w, side in fitting}
        probability = {w: np.zeros_like(came) for w, _ in fitting}
        # Member by member: a copy of all would double the memory of a large domain.
        for member in members:
            said = _wet(member, threshold, known)
            for w, side in fitting:
                fraction = _fractions(said, side)
                probability[w] += fraction / len(members)
                difference, reference = _compare(fraction, observed[w])
                sums["member_fraction_difference"][t, w] += difference / len(members)
                sums["member_fraction_reference"][t, w] += reference / len(members)
        for w, _ in fitting:
            difference, reference = _compare(probability[w], observed[w])
            sums["fraction_difference"][t, w] = difference
            sums["fraction_reference"][t, w] = reference
    return sums


def skilful_scale_km(skill: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The smallest window at which a forecast is halfway from a random one to a perfect one.

    Args:
      skill: fractions skill score by window, shape [..., windows]; NaN where not known.
      share: of points at which it came, shape [...].

    Returns:
      The first of WINDOWS_KM with skill >= 0.5 + share / 2, shape [...] [km]; infinite where none
      has, NaN where no skill is known or it never came.

    References:
      Roberts and Lean (2008), doi:10.1175/2007MWR2123.1, equation 8.
    """
    reached = skill >= 0.5 + share[..., None] / 2
    smallest = np.asarray(WINDOWS_KM, np.float64)[reached.argmax(-1)]
    told = np.isfinite(skill).any(-1) & (share > 0)
    return np.where(told, np.where(reached.any(-1), smallest, np.inf), np.nan)


def _wet(rain: np.ndarray, threshold: float, known: np.ndarray) -> np.ndarray:
    return (known & (rain >= threshold)).astype(np.float32)


def _fractions(wet: np.ndarray, side: int) -> np.ndarray:
    # Most members of most hours have no point above the high thresholds: nothing to average.
    if side == 1 or not wet.any():
        return wet
    return uniform_filter(wet, side, mode="constant", cval=0.0)


def _compare(forecast: np.ndarray, observed: np.ndarray) -> tuple[float, float]:
    difference = np.square(forecast - observed).sum(dtype=np.float64)
    reference = (np.square(forecast) + np.square(observed)).sum(dtype=np.float64)
    return float(difference), float(reference)
