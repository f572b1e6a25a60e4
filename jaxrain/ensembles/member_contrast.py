"""Members of different contrast: for about a day, a power of its own gathers a member's rain.

How much rain varies inside coarse cells of the same mean differs from day to day, and by more than
a network learns from few days: its members are too much alike, and too smooth on days sharper than
those. Here every member has for about a day a power, drawn evenly by its logarithm, of how much
falls near a point, of what falls around it: both are weighed means, which reach three quarters of
a coarse cell to each side and two and a quarter. Where more falls near than around it then falls
heavier, or less so. Into what that gives, a quarter is mixed of the rain as it was, before means
are brought back: where all is light beside heavy rain, a little more of it stays; but cells can run
nearly dry, and to hold them is for `consistency`. No point gets more than a limit, unless it had
more: of a sharp member a few points would hold what is left of whole cells.

Days differ as much in how rain clusters inside cells as in how much points differ inside clusters,
and such a power moves both about alike; a power of each point's own rain would move the latter
most. `benchmarks/contrast_of_days.py` measures both, and what powers do.

A draw of one step gets its contrast as it comes, a first guess before the chain goes on from it,
which so gives it the texture of such rain; a chain from pure noise at its end. All is done on the
whole canvas, so tiles play no part, and any member and hour can still be made alone.
"""

import math
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from jaxrain.ensembles.consistency import MOST_FACTOR

_NORMAL = NormalDist()
_DAY = np.timedelta64(1, "D")
_BEFORE = 2**31  # days, so that none is negative
FORM = 4  # of what powers do to rain; fields of another are not of one ensemble with these
_STAYS = 0.25  # weight of the rain as it was, before means are brought back
_MOST_NEAR = 50.0  # times what falls around: without holes it is 44 at most, beside them more
_ROUNDS = 3  # what the limit of a point cut off in one is given back in the next


def powers(
    hours: NDArray[np.datetime64], members: NDArray[np.integer], most: float, seed: int
) -> NDArray[np.float32] | None:
    """The power of each of some fields, [n].

    Args:
      hours: of the fields, UTC, [n].
      members: whose they are, from 0, [n].
      most: the largest power, the least is 1 / most; 1 leaves members as they are.
      seed: of the ensemble.

    Returns:
      None where there is nothing to do.
    """
    if most == 1.0:
        return None
    each = zip(members, hours, strict=True)
    return np.array([power(seed, int(member), hour, most) for member, hour in each], np.float32)


def power(seed: int, member: int, hour: np.datetime64, most: float) -> float:
    """The power of a member at an hour, from 1 / most to most.

    Its logarithm is evenly distributed, and drifts to another draw in the course of a day. Members
    are no independent draws of it: from four on there are sharp and dull ones at every hour, though
    two may nearly share one; two or three may all be near 1.

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
    rain_mm: jax.Array,
    known: jax.Array,
    exponents: jax.Array,
    sides: tuple[int, int],
    most_mm: float = math.inf,
) -> jax.Array:
    """Rain times how much falls near, of what falls around, to a power, mixed with it as it was.

    Points are brought near the mean that they had; of what that leaves, each place gives back the
    rain that lay around it before, to where it lies now. So fields nearly keep their total: of
    hours of radar rain a power of 12 loses 0.5 %, one of 20 4 %, to MOST_FACTOR and to rounds not
    made; of rough rain on cells of three points it can be a third, and most_mm may take more. Means
    of coarse cells move, the more the further an exponent is from 1: to hold them is for
    `consistency`.

    Args:
      rain_mm: not negative, [n, H, W].
      known: where it is more than a filled hole, bool [n, H, W].
      exponents: above 0; above 1 sharpens. [n].
      sides: points that a coarse cell is wide, rows and columns.
      most_mm: beyond which no point gets more than it had.

    Returns:
      [n, H, W], 0 where not known. Dry points stay dry, and none has more than MOST_FACTOR times
      its rain.
    """
    shown = known.astype(rain_mm.dtype)
    rain = jnp.where(known, rain_mm, 0.0)
    limit = jnp.clip(most_mm, rain, MOST_FACTOR * rain)
    nearby = (sides[0] // 2, sides[1] // 2)
    wide = (3 * sides[0] // 2, 3 * sides[1] // 2)
    places = _around(shown, wide)
    near = _ratio(_around(rain, nearby), _around(shown, nearby))
    mean = _around(rain, wide)
    around = jnp.minimum(_ratio(near, _ratio(mean, places)), _MOST_NEAR)
    bent = rain * jnp.where(around > 0, around, 1.0) ** (exponents[:, None, None] - 1)
    changed = _STAYS * rain + (1 - _STAYS) * bent
    changed = jnp.minimum(changed * _ratio(mean, _around(changed, wide)), limit)
    share = _ratio(shown, places)
    before = _around(rain * share, wide)
    for _ in range(_ROUNDS):
        now = _around(changed * share, wide)
        factor = share * _around(shown * _ratio(before, now), wide)
        changed = jnp.minimum(changed * factor, limit)
    return changed


def _ratio(above: jax.Array, below: jax.Array) -> jax.Array:
    """above / below; 0 where there is nothing below."""
    return jnp.where(below > 0, above / jnp.where(below > 0, below, 1.0), 0.0)


def _around(fields: jax.Array, sides: tuple[int, int]) -> jax.Array:
    """Weighed sums over the points around, which count for less with distance, [n, H, W].

    Beyond the edges lies nothing. No running sums: what they leave of a shower is no rain.
    """
    rows, columns = (
        _band(length, side, fields.dtype)
        for length, side in zip(fields.shape[1:], sides, strict=True)
    )
    return jnp.einsum("ih,nhw,wj->nij", rows, fields, columns, precision="highest")


def _band(length: int, side: int, dtype: jnp.dtype) -> jax.Array:
    """Weights of the points of an axis around each of them, [length, length].

    Three box means in a row, almost a normal curve; of odd width, so that none leans.
    """
    box = np.full(side | 1, 1 / (side | 1))
    weights = np.convolve(np.convolve(box, box), box)
    outwards = jnp.asarray([*weights[len(weights) // 2 :], 0.0], dtype)  # none beyond
    # Made when it runs: of a wide domain it is too much to be put into a program.
    places = jax.lax.optimization_barrier(jnp.arange(length))
    apart = jnp.abs(places[:, None] - places)
    return outwards[jnp.minimum(apart, len(outwards) - 1)]
