"""DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095, algorithm 2)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxrain.diffusion.process import Denoise
from jaxrain.diffusion.samplers.stepping import Clip, Noise, clipped, karras_sigmas
from jaxrain.diffusion.schedules import Schedule


def dpmpp_2m(
    denoise: Denoise,
    noise: Noise,
    schedule: Schedule,
    *,
    steps: int,
    eta: float = 0.0,
    clip: Clip = (-1.0, 1.0),
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
) -> Array:
    """Second order in the step of lambda = -ln(sigma), one network call a step.

    Deterministic given noise(0); eta is not heeded. Levels sit where EDM puts them (rho = 7),
    between the schedule's extremes or the narrower sigma_min and sigma_max; the last step goes to
    sigma = 0 and returns the last x0_hat. The first step and the last are of first order.
    Arguments as in `jaxrain.diffusion.samplers`.
    """
    sigma = karras_sigmas(schedule, steps, sigma_min, sigma_max)
    s = 1 / np.sqrt(1 + sigma**2)
    ratio = np.append(sigma[1:], 0.0) / sigma  # exp(-h), h the step of lambda; 0 at the last
    # D = x0 + c (x0 - x0 before), c = h / (2 h before): none at the first step, which has no
    # before, and none at the last, where h is infinite.
    h = -np.log(ratio[:-1])
    slope = np.zeros(steps)
    slope[1:-1] = h[1:] / (2 * h[:-1])
    x = noise(0)
    table = jnp.asarray(np.stack([s, ratio, slope], 1), x.dtype)

    # The scan carries u = x / s, in which the exponential integrator is an interpolation.
    def step(carry: tuple[Array, Array], row: Array) -> tuple[tuple[Array, Array], None]:
        u, before = carry
        s, ratio, slope = row
        x0 = clipped(denoise(u * s, s), clip)
        ahead = x0 + slope * (x0 - before)
        return (ratio * u + (1 - ratio) * ahead, x0), None

    (u, _), _ = jax.lax.scan(step, (x / table[0, 0], jnp.zeros_like(x)), table)
    return u
