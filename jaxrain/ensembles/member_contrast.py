"""Members of different contrast: for about a day, a member's rain goes through a power of its own.

How much rain varies inside coarse cells of the same mean differs from day to day, and by more than
a network learns from few days: its members are too much alike, and too smooth on days sharper than
those. Here every member has for about a day a power, drawn evenly by its logarithm.
`benchmarks/contrast_of_days.py` says how far powers must reach for members to differ as the
training days do. As in `jaxrain.pairs.contrast`, powers are what a multifractal cascade takes rain
to another contrast by.

In mm, after the chain, point by point but for the means around it: any member and hour can still
be made alone, and tiles play no part.
"""

import math
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from jaxrain.ensembles.consistency import MOST_FACTOR
from jaxrain.pairs.cases import Case

_NORMAL = NormalDist()
_DAY = np.timedelta64(1, "D")
_BEFORE = 2**31  # days, so that none is negative

# (rain of one field [H, W], its hour's number, its member) -> the same with its own contrast
Contrast = Callable[[NDArray[np.float32], int, int], NDArray[np.float32]]


def contrasting(case: Case, most: float, seed: int) -> Contrast | None:
    """How the members of a case get their contrasts.

    Args:
      case: whose hours and grids they are; a coarse cell is as wide as its grids say.
      most: the largest power, the least is 1 / most; 1 leaves members as they are.
      seed: of the ensemble.

    Returns:
      None where there is nothing to do.
    """
    if most == 1.0:
        return None
    fine, coarse = case.fine_grid, case.coarse_grid
    sides = _side(fine.y, coarse.y), _side(fine.x, coarse.x)

    def contrast(rain_mm: NDArray[np.float32], hour: int, member: int) -> NDArray[np.float32]:
        return sharpened(rain_mm, power(seed, member, case.hours[hour], most), sides)

    return contrast


def power(seed: int, member: int, hour: np.datetime64, most: float) -> float:
    """The power of a member at an hour, from 1 / most to most.

    Its logarithm is evenly distributed, and drifts to another draw in the course of a day. Members
    are no independent draws of it: at every hour they lie apart, so that a small ensemble has
    sharp and dull ones.

    Args:
      seed: of the ensemble.
      member: from 0.
      hour: UTC.
      most: 1 or more.
    """
    day = hour.astype("datetime64[D]")
    number, part = int(day.astype(int)) + _BEFORE, float((hour - day) / _DAY)
    today, tomorrow = (np.random.default_rng([seed, number + k]).standard_normal() for k in (0, 1))
    # Squares of the weights sum to 1, so that it stays a standard normal, and its share even.
    normal = math.cos(part * math.pi / 2) * today + math.sin(part * math.pi / 2) * tomorrow
    share = (_NORMAL.cdf(normal) + _van_der_corput(member)) % 1
    # There and back again along the circle, so that no member jumps from one end to the other.
    return float(most ** (1 - 2 * abs(2 * share - 1)))


def _van_der_corput(number: int) -> float:
    """Binary digits of a number, from 0, behind the point in reverse: 0, 1/2, 1/4, 3/4, ..."""
    digits = f"{number:b}"
    return int(digits[::-1], 2) / 2 ** len(digits)


def sharpened(
    rain_mm: NDArray[np.float32], exponent: float, sides: tuple[int, int]
) -> NDArray[np.float32]:
    """Rain to a power, times what brings the means around each point back near what they were.

    Near, for that factor varies too, and some points would take too much: what the cells then lack
    or have too much is for `consistency` to mend.

    Args:
      rain_mm: [H, W], not negative, NaN where missing.
      exponent: above 0; above 1 sharpens.
      sides: points that the means are wide, rows and columns.

    Returns:
      [H, W]; dry points stay dry, and none has more than MOST_FACTOR times its rain.
    """
    known = np.isfinite(rain_mm)
    rain = np.where(known, rain_mm, 0.0).astype(np.float64)
    points = _around(known.astype(np.float64), sides)
    before = _ratio(_around(rain, sides), points)
    bent = before * _ratio(rain, before) ** exponent
    after = _ratio(_around(bent, sides), points)
    factor = np.where(after > 0, _ratio(before, after), 1.0)
    held = np.minimum(bent * factor, MOST_FACTOR * rain)
    return np.where(known, held, np.nan).astype(np.float32)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """above / below; 0 where there is nothing below."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _around(field: NDArray[np.float64], sides: tuple[int, int]) -> NDArray[np.float64]:
    """Weighed sums over the points around, which count for less with distance."""
    for axis, side in enumerate(sides):
        # Beyond the edges lies nothing. No running sums: what they leave of a shower is no rain.
        field = correlate1d(field, _weights(side), axis, mode="constant")
    return field


@cache
def _weights(side: int) -> NDArray[np.float64]:
    """Three box means in a row, almost a normal curve; of odd width, so that none leans."""
    box = np.full(side | 1, 1 / (side | 1))
    return np.convolve(np.convolve(box, box), box)


def _side(fine: NDArray[np.float64], coarse: NDArray[np.float64]) -> int:
    """Points of an axis that a coarse cell is wide."""
    spacing = [float(np.abs(np.diff(axis)).mean()) for axis in (coarse, fine)]
    return max(round(spacing[0] / spacing[1]), 1)
