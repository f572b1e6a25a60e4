"""Members of different contrast: for about a day, a member's rain goes through a power of its own.

How much rain varies inside coarse cells of the same mean differs from day to day, and by more than
a network learns from few days: its members are too much alike, and too smooth on days sharper than
those. Here every member has for every day a power, drawn evenly by its logarithm, and means over a
coarse cell's width stay. `benchmarks/contrast_of_days.py` says how far powers must reach for
members to differ as the training days do. As in `jaxrain.pairs.contrast`, powers are what a
multifractal cascade takes rain to another contrast by.

In mm, after the chain, point by point but for the means around it: any member and hour can still
be made alone, and tiles play no part.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from jaxrain.pairs.cases import Case

MOST_FACTOR = 4.0  # of a point: a single wet one is not blown up to a flood
_NORMAL = NormalDist()
_PASSES = 3  # of box means, which then weigh neighbours almost as a normal curve does
_DAY = np.timedelta64(1, "D")
_BEFORE = 2**31  # days, so that none is negative
_BASES = 2, 3  # of Halton's points, which fill the unit square evenly; days take turns

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

    Its logarithm is evenly distributed at every hour, and passes from one day's to the next day's
    in the course of the day. Members are no independent draws of it: any few that follow one
    another lie apart, so that a small ensemble has sharp and dull ones.

    Args:
      seed: of the ensemble.
      member: from 0.
      hour: UTC.
      most: 1 or more.
    """
    day = hour.astype("datetime64[D]")
    number, part = int(day.astype(int)) + _BEFORE, float((hour - day) / _DAY)
    today, tomorrow = (_normal(seed, member, number + k) for k in (0, 1))
    # Squares of the weights sum to 1, so that it stays a standard normal.
    normal = math.cos(part * math.pi / 2) * today + math.sin(part * math.pi / 2) * tomorrow
    return float(most ** (2 * _NORMAL.cdf(normal) - 1))


def _normal(seed: int, member: int, day: int) -> float:
    shift = np.random.default_rng([seed, day]).random()
    share = (shift + _van_der_corput(member, _BASES[day % 2])) % 1
    return _NORMAL.inv_cdf(min(max(share, 1e-9), 1 - 1e-9))


def _van_der_corput(number: int, base: int) -> float:
    """The digits of a number, from 0, behind the point in reverse order: 0, 1/2, 1/4, 3/4, ..."""
    share, unit = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        unit /= base
        share += digit * unit
    return share


def sharpened(
    rain_mm: NDArray[np.float32], exponent: float, sides: tuple[int, int]
) -> NDArray[np.float32]:
    """Rain to a power, its means over some `sides` kept but where a point would take too much.

    Args:
      rain_mm: [H, W], not negative, NaN where missing.
      exponent: above 0; above 1 sharpens.
      sides: over which means stay, rows and columns, points.

    Returns:
      [H, W]; dry points stay dry, and none has more than MOST_FACTOR times its rain.
    """
    known = np.isfinite(rain_mm)
    rain = np.where(known, rain_mm, 0.0).astype(np.float64)
    points = _around(known.astype(np.float64), sides)

    def mean(field: NDArray[np.float64]) -> NDArray[np.float64]:
        around = _around(field, sides)
        return np.divide(around, points, out=np.zeros_like(field), where=points > 0)

    wet = rain > 0
    before = mean(rain)
    bent = np.zeros_like(rain)
    bent[wet] = before[wet] * (rain[wet] / before[wet]) ** exponent
    after = mean(bent)
    factor = np.divide(before, after, out=np.zeros_like(rain), where=wet)
    held = np.minimum(bent * factor, MOST_FACTOR * rain)
    return np.where(known, held, np.nan).astype(np.float32)


def _around(field: NDArray[np.float64], sides: tuple[int, int]) -> NDArray[np.float64]:
    """Sums over the points around, but for one factor; nothing lies beyond the edges."""
    for _ in range(_PASSES):
        field = uniform_filter(field, sides, mode="constant")
    return np.maximum(field, 0.0)  # running sums leave -1e-17 behind


def _side(fine: NDArray[np.float64], coarse: NDArray[np.float64]) -> int:
    """Points of an axis that a coarse cell is wide."""
    spacing = [float(np.abs(np.diff(axis)).mean()) for axis in (coarse, fine)]
    return max(round(spacing[0] / spacing[1]), 1)
