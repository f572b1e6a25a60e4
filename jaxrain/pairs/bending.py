"""The function that rain goes through before it is scaled, and the channel that is rain.

Apart from `scaling`, for those that prepare stores need no JAX, which takes a second to import.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from jaxrain.errors import InputError
from jaxrain.pairs.normal_score import Knots, to_score

RAIN_CHANNEL = "tp"


def bend_rain(
    bend: str, scale_mm: float, xp: ModuleType, knots: Knots | None = None
) -> Callable[[Any], Any]:
    """The function g that rain goes through before it is scaled.

    Args:
      bend: 'linear', 'sqrt', 'log1p' or 'normal_score'.
      scale_mm: scale of log1p, mm.
      xp: jax.numpy or numpy.
      knots: of normal_score.
    """
    return {
        "linear": lambda mm: mm,
        "sqrt": lambda mm: xp.sqrt(xp.maximum(mm, 0.0)),
        "log1p": lambda mm: xp.log1p(xp.maximum(mm, 0.0) / scale_mm),
        "normal_score": lambda mm: to_score(mm, given_knots(knots), xp),
    }[bend]


def given_knots(knots: Knots | None) -> Knots:
    """The knots of normal_score.

    Raises:
      InputError: there are none.
    """
    if knots is None:
        raise InputError(
            "the store has no quantiles for rain_scaling=normal_score: run prepare again"
        )
    return knots
