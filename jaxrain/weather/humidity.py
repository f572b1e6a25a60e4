"""Relative humidity from specific humidity, as ECMWF's model has it: over water, ice, or both."""

import numpy as np

# Ratio of the gas constants of dry air and water vapour, 287.0597 / 461.5250.
EPSILON = 0.621981
TRIPLE_POINT_K = 273.16
# All ice below this, all water above the triple point, mixed between.
ALL_ICE_K = 250.16
_AT_TRIPLE_POINT_PA = 611.21
_WATER, _ICE = (17.502, 32.19), (22.587, -0.7)  # a3, a4 [K] of the Tetens form


def saturation_pressure(t: np.ndarray) -> np.ndarray:
    """Saturation vapour pressure over water, ice or the mixed phase.

    e_s = a1 exp(a3 (T - T0) / (T - a4)), with constants over water of Buck (1981) and over ice of
    the AERKi form of Alduchov and Eskridge (1996), mixed by alpha = ((T - T_ice) / (T0 - T_ice))^2.

    Args:
      t: air temperature [K], any shape.

    Returns:
      Pa, float64, the same shape.

    Source: ECMWF, IFS documentation CY41R2, part IV, section 7.2.1 b, equations 7.4 and 7.5
    (doi:10.21957/tr5rv27xu), the model of ERA5.
    """
    t = np.asarray(t, np.float64)
    over_water, over_ice = (
        _AT_TRIPLE_POINT_PA * np.exp(a3 * (t - TRIPLE_POINT_K) / (t - a4))
        for a3, a4 in (_WATER, _ICE)
    )
    alpha = np.clip((t - ALL_ICE_K) / (TRIPLE_POINT_K - ALL_ICE_K), 0.0, 1.0) ** 2
    return alpha * over_water + (1.0 - alpha) * over_ice


def relative_humidity(q: np.ndarray, t: np.ndarray, pressure_hpa: np.ndarray) -> np.ndarray:
    """Relative humidity, 100 e / e_s(t) with e = p q / (epsilon + (1 - epsilon) q).

    Args:
      q: specific humidity [kg kg-1].
      t: air temperature [K].
      pressure_hpa: of the level; the three broadcast.

    Returns:
      %, float32, not clipped: air may be supersaturated, and packing leaves q a hair below 0.
    """
    q = np.asarray(q, np.float64)
    vapour = 100.0 * np.asarray(pressure_hpa, np.float64) * q / (EPSILON + (1.0 - EPSILON) * q)
    return (100.0 * vapour / saturation_pressure(t)).astype(np.float32)
