"""Denoising diffusion implicit models (Song et al. 2020, arXiv:2010.02502)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxrain.diffusion.process import Denoise
from jaxrain.diffusion.samplers.stepping import Clip, Noise, clipped, uniform_steps
from jaxrain.diffusion.schedules import Schedule


def ddim(
    denoise: Denoise,
    noise: Noise,
    schedule: Schedule,
    *,
    steps: int,
    eta: float = 0.0,
    clip: Clip = (-1.0, 1.0),
    sigma_min: float = 0.0,
    sigma_max: float = np.inf,
) -> Array:
    """Eq. 12 and 16 between each two of `steps` + 1 evenly spaced times.

    eta = 0 is deterministic given the starting field and calls noise(0) only; eta = 1 has the
    variance of ddpm. The noise direction is taken from the clipped x0_hat, so that x stays on the
    path to it. The sigmas are not heeded. Arguments as in `jaxrain.diffusion.samplers`.
    """
    alpha_bar = schedule.alpha_bar[uniform_steps(schedule, steps)]
    now, after = alpha_bar[:-1], alpha_bar[1:]
    std = eta * np.sqrt((1 - after) / (1 - now) * (1 - now / after))
    # x_after = sqrt(after) x0 + direction (x - sqrt(now) x0) + std noise
    direction = np.sqrt(np.maximum(1 - after - std**2, 0) / (1 - now))
    on_x0 = np.sqrt(after) - direction * np.sqrt(now)
    x = noise(0)
    table = jnp.asarray(np.stack([np.sqrt(now), on_x0, direction, std], 1), x.dtype)

    def step(x: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
        k, row = at
        s, on_x0, on_x, std = row
        x0 = clipped(denoise(x, s), clip)
        x = on_x0 * x0 + on_x * x
        return (x + std * noise(k) if eta else x), None

    return jax.lax.scan(step, x, (jnp.arange(1, steps + 1), table))[0]
