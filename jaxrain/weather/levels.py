"""Pressure levels: those asked for, from those that are there."""

from collections.abc import Sequence

import numpy as np

from jaxrain.errors import InputError

_SAME_HPA = 1e-3


def level_weights(
    wanted: Sequence[float], available: Sequence[float], *, interpolate: bool, what: str
) -> np.ndarray:
    """Weights that make the wanted levels.

    Args:
      wanted: hPa, length m.
      available: hPa, length n, any order.
      interpolate: whether a level between two others is made from them, linear in log(pressure).
      what: names file and variable in an error.

    Returns:
      Shape [m, n] (wanted, available), float64. Rows sum to 1.

    Raises:
      InputError: a level is not there, or lies outside of those that are; names the nearest.
    """
    have = np.asarray(available, np.float64)
    weights = np.zeros((len(wanted), len(have)))
    for row, level in enumerate(wanted):
        same = np.flatnonzero(np.abs(have - level) <= _SAME_HPA)
        if same.size:
            weights[row, same[0]] = 1.0
            continue
        nearest = sorted(have[np.argsort(np.abs(have - level), kind="stable")[:2]])
        listed = ", ".join(f"{each:g}" for each in sorted(have, reverse=True))
        lacks = (
            f"{what} has no level {level:g} hPa, nearest are "
            f"{' and '.join(f'{each:g}' for each in nearest)} (it has {listed})"
        )
        if not interpolate:
            raise InputError(f"{lacks}; name those in data.levels, or set interpolate_levels=true")
        above, below = have[have < level], have[have > level]
        if above.size == 0 or below.size == 0:
            raise InputError(f"{lacks}; expected one on either side to interpolate between")
        low, high = above.max(), below.min()
        share = np.log(level / low) / np.log(high / low)
        weights[row, np.flatnonzero(have == low)[0]] = 1.0 - share
        weights[row, np.flatnonzero(have == high)[0]] = share
    return weights
