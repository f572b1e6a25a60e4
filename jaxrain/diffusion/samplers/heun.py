"""EDM's sampler, with and without fresh noise (Karras et al. 2022, arXiv:2206.00364, alg. 2)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxrain.diffusion.process import Denoise
from jaxrain.diffusion.samplers.stepping import Clip, Noise, clipped, karras_sigmas
from jaxrain.diffusion.schedules import Schedule

_MOST_CHURN = np.sqrt(2) - 1  # sigma rises by at most this share, as in EDM


def heun(
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
    """Second order by Heun's method: two network calls between levels, one at the last.

    `steps` counts network calls, so there are (steps + 1) // 2 levels. eta = 0 is deterministic
    given noise(0); above, fresh noise first raises the level by eta of EDM's largest share
    (S_churn = eta (sqrt(2) - 1) N). It never rises above the first level. Arguments as in
    `jaxrain.diffusion.samplers`.

    Raises:
      ValueError: fewer than 3 steps, or nothing between the bounds.
    """
    if steps < 3:
        raise ValueError(f"no {steps} steps, expected 3 or more: two a level, one the last")
    sigma = karras_sigmas(schedule, (steps + 1) // 2, sigma_min, sigma_max)
    raised = np.minimum(sigma * (1 + eta * _MOST_CHURN), sigma[0])
    fresh = np.sqrt(raised**2 - sigma**2)
    x = noise(0)
    table = jnp.asarray(np.stack([raised, fresh, np.append(sigma[1:], 0.0)], 1), x.dtype)

    # u = x / s, whose noise has the standard deviation sigma.
    def x0_hat(u: Array, sigma: Array) -> Array:
        s = jax.lax.rsqrt(1 + sigma * sigma)
        return clipped(denoise(u * s, s), clip)

    def churn(u: Array, k: Array, fresh: Array) -> Array:
        return u + fresh * noise(k) if eta else u

    def step(u: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
        k, row = at
        sigma, fresh, after = row
        u = churn(u, k, fresh)
        slope = (u - x0_hat(u, sigma)) / sigma
        ahead = u + (after - sigma) * slope
        slope_ahead = (ahead - x0_hat(ahead, after)) / after
        return u + (after - sigma) * (slope + slope_ahead) / 2, None

    count = len(sigma) - 1
    u = x * jnp.sqrt(1 + table[0, 0] ** 2)
    u, _ = jax.lax.scan(step, u, (jnp.arange(1, count + 1), table[:count]))
    return x0_hat(churn(u, jnp.asarray(count + 1), table[count, 1]), table[count, 0])
