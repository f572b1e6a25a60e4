"""Samplers: from noise to a field. One function a file; SAMPLERS lists them.

All share one signature, `sampler(denoise, noise, schedule, *, steps, ...) -> x0`:
  denoise: (x, s) -> x0_hat, any shape, s a scalar: sqrt(alpha_bar) of x.
  noise: k -> standard normal field of the shape of x; 0 is the starting field, 1..steps belong to
    the steps. k is traced for the latter.
  schedule: of the process that the network was trained for.
  steps: how often denoise is called.
  eta: share of fresh noise; only ddim and heun heed it.
  clip: (low, high) that x0_hat is held to at every step, or None.
  sigma_min, sigma_max: bounds of noise over signal; only dpmpp_2m and heun heed them.
Each is one `lax.scan`, so a whole chain compiles to one program.
"""

from jaxrain.diffusion.samplers.ddim import ddim
from jaxrain.diffusion.samplers.ddpm import ddpm
from jaxrain.diffusion.samplers.dpmpp_2m import dpmpp_2m
from jaxrain.diffusion.samplers.heun import heun
from jaxrain.diffusion.samplers.stepping import Sampler

SAMPLERS: dict[str, Sampler] = {"ddpm": ddpm, "ddim": ddim, "dpmpp_2m": dpmpp_2m, "heun": heun}

__all__ = ["SAMPLERS", "Sampler", "ddim", "ddpm", "dpmpp_2m", "heun"]
