"""The function that rain goes through before it is scaled, and the channel that is rain.

Apart from `scaling`, for those that prepare stores need no JAX, which takes a second to import.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

RAIN_CHANNEL = "tp"


def bend_rain(bend: str, scale_mm: float, xp: ModuleType) -> Callable[[Any], Any]:
    """The function g that rain goes through before it is scaled.

    Args:
      bend: 'linear', 'sqrt' or 'log1p'.
      scale_mm: scale of log1p, mm.
      xp: jax.numpy or numpy.
    """
    return {
        "linear": lambda mm: mm,
        "sqrt": lambda mm: xp.sqrt(xp.maximum(mm, 0.0)),
        "log1p": lambda mm: xp.log1p(xp.maximum(mm, 0.0) / scale_mm),
    }[bend]
