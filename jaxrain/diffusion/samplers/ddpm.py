"""Ancestral sampling (Ho et al. 2020, arXiv:2006.11239, algorithm 2)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxrain.diffusion.process import Denoise
from jaxrain.diffusion.samplers.stepping import Clip, Noise, clipped, uniform_steps
from jaxrain.diffusion.schedules import Schedule, posterior_coefficients


def ddpm(
    denoise: Denoise,
    noise: Noise,
    schedule: Schedule,
    *,
    steps: int,
    eta: float = 1.0,
    clip: Clip = (-1.0, 1.0),
    sigma_min: float = 0.0,
    sigma_max: float = np.inf,
) -> Array:
    """Draws from the posterior between each two of `steps` + 1 evenly spaced times.

    With steps = T this is the classical chain. The last step adds no noise, so it returns the last
    x0_hat. eta and the sigmas are not heeded. Arguments as in `jaxrain.diffusion.samplers`.
    """
    alpha_bar = schedule.alpha_bar[uniform_steps(schedule, steps)]
    on_x0, on_x, log_variance = posterior_coefficients(alpha_bar[:-1], alpha_bar[1:])
    std = np.exp(0.5 * log_variance)
    std[-1] = 0
    x = noise(0)
    table = jnp.asarray(np.stack([np.sqrt(alpha_bar[:-1]), on_x0, on_x, std], 1), x.dtype)

    def step(x: Array, now: tuple[Array, Array]) -> tuple[Array, None]:
        k, row = now
        s, on_x0, on_x, std = row
        x0 = clipped(denoise(x, s), clip)
        return on_x0 * x0 + on_x * x + std * noise(k), None

    return jax.lax.scan(step, x, (jnp.arange(1, steps + 1), table))[0]
