"""What the samplers share: which steps to take, and the bounds of x0."""

from collections.abc import Callable
from typing import Protocol

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxrain.diffusion.process import Denoise
from jaxrain.diffusion.schedules import Schedule

# k (an int, or traced) -> standard normal field
Noise = Callable[[ArrayLike], Array]
Clip = tuple[float, float] | None


class Sampler(Protocol):
    """What every entry of SAMPLERS can be called with."""

    def __call__(
        self,
        denoise: Denoise,
        noise: Noise,
        schedule: Schedule,
        *,
        steps: int,
        eta: float = ...,
        clip: Clip = ...,
        sigma_min: float = ...,
        sigma_max: float = ...,
    ) -> Array:
        """From noise to a field; see the package's first lines."""


def uniform_steps(schedule: Schedule, steps: int) -> np.ndarray:
    """[steps + 1] decreasing times T..0, evenly spaced and rounded; all of them where steps = T.

    Raises:
      ValueError: fewer than 1 or more than T steps.
    """
    if not 1 <= steps <= schedule.steps:
        raise ValueError(f"{steps} sampling steps, expected 1 to {schedule.steps}")
    return np.round(np.linspace(schedule.steps, 0, steps + 1)).astype(np.int64)


def karras_sigmas(
    schedule: Schedule, steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0
) -> np.ndarray:
    """[steps] decreasing sigmas, evenly spaced in sigma^(1/rho) (arXiv:2206.00364, eq. 5).

    The first is the smaller of sigma_max and the schedule's last, the last the larger of sigma_min
    and the schedule's first: the network was trained between these.

    Raises:
      ValueError: fewer than 2 steps, or nothing between the bounds.
    """
    last = max(sigma_min, float(schedule.sigma[1]))
    first = min(sigma_max, float(schedule.sigma[-1]))
    if steps < 2 or not 0 < last < first < np.inf:
        raise ValueError(f"no {steps} steps from sigma {first} to {last}, expected 2 or more down")
    share = np.arange(steps) / (steps - 1)
    return (first ** (1 / rho) + share * (last ** (1 / rho) - first ** (1 / rho))) ** rho


def first_level(schedule: Schedule, sigma_max: float | None) -> float:
    """s where a chain of Karras's levels begins; None is the samplers' own sigma_max."""
    sigma = min(80.0 if sigma_max is None else sigma_max, float(schedule.sigma[-1]))
    return float(1 / np.sqrt(1 + sigma**2))


def clipped(x0: Array, clip: Clip) -> Array:
    """x0 held to the bounds, if any."""
    return x0 if clip is None else jnp.clip(x0, clip[0], clip[1])
