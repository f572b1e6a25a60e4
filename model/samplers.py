"""Samplers in PyTorch: the reference. Arguments and steps as in the JAX package."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

# (x, s scalar) -> x0_hat
Denoise = Callable[[Tensor, Tensor], Tensor]
# k -> standard normal field; 0 the starting one
Noise = Callable[[int], Tensor]
Clip = tuple[float, float] | None


def _uniform_levels(alpha_bar: np.ndarray, steps: int) -> np.ndarray:
    return alpha_bar[np.round(np.linspace(len(alpha_bar) - 1, 0, steps + 1)).astype(int)]


def _karras_sigmas(
    alpha_bar: np.ndarray, steps: int, sigma_min: float, sigma_max: float
) -> np.ndarray:
    sigmas = np.sqrt((1 - alpha_bar) / alpha_bar)
    first, last = min(sigma_max, sigmas[-1]), max(sigma_min, sigmas[1])
    share = np.arange(steps) / (steps - 1)
    return (first ** (1 / 7) + share * (last ** (1 / 7) - first ** (1 / 7))) ** 7


def _clipped(x0: Tensor, clip: Clip) -> Tensor:
    return x0 if clip is None else torch.clamp(x0, clip[0], clip[1])


def ddpm(
    denoise: Denoise,
    noise: Noise,
    alpha_bar: np.ndarray,
    *,
    steps: int,
    clip: Clip = (-1.0, 1.0),
) -> Tensor:
    """Ancestral sampling (Ho et al. 2020, algorithm 2) over `steps` evenly spaced times."""
    levels = _uniform_levels(alpha_bar, steps)
    x = noise(0)
    for k, (now, after) in enumerate(pairwise(levels), 1):
        x0 = _clipped(denoise(x, torch.tensor(np.sqrt(now))), clip)
        beta = 1 - now / after
        mean = (
            float(beta * np.sqrt(after) / (1 - now)) * x0
            + float((1 - after) * np.sqrt(now / after) / (1 - now)) * x
        )
        variance = max(beta * (1 - after) / (1 - now), 1e-20)
        x = mean + float(np.exp(0.5 * np.log(variance))) * noise(k) if k < steps else mean
    return x


def ddim(
    denoise: Denoise,
    noise: Noise,
    alpha_bar: np.ndarray,
    *,
    steps: int,
    eta: float = 0.0,
    clip: Clip = (-1.0, 1.0),
) -> Tensor:
    """Song et al. 2020 (arXiv:2010.02502), eq. 12 and 16, over `steps` evenly spaced times."""
    levels = _uniform_levels(alpha_bar, steps)
    x = noise(0)
    for k, (now, after) in enumerate(pairwise(levels), 1):
        x0 = _clipped(denoise(x, torch.tensor(np.sqrt(now))), clip)
        std = float(eta * np.sqrt((1 - after) / (1 - now) * (1 - now / after)))
        eps = (x - float(np.sqrt(now)) * x0) / float(np.sqrt(1 - now))
        x = float(np.sqrt(after)) * x0 + float(np.sqrt(max(1 - after - std**2, 0))) * eps
        if eta:
            x = x + std * noise(k)
    return x


def dpmpp_2m(
    denoise: Denoise,
    noise: Noise,
    alpha_bar: np.ndarray,
    *,
    steps: int,
    clip: Clip = (-1.0, 1.0),
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095, algorithm 2), Karras steps."""
    sigma = _karras_sigmas(alpha_bar, steps, sigma_min, sigma_max)
    s = 1 / np.sqrt(1 + sigma**2)
    x, before = noise(0), None
    for i in range(steps):
        x0 = _clipped(denoise(x, torch.tensor(s[i])), clip)
        if i == steps - 1:
            return x0
        h = np.log(sigma[i] / sigma[i + 1])
        ahead = x0
        if before is not None:
            ratio = np.log(sigma[i - 1] / sigma[i]) / h
            ahead = float(1 + 0.5 / ratio) * x0 - float(0.5 / ratio) * before
        noise_now, noise_next = sigma[i] * s[i], sigma[i + 1] * s[i + 1]
        x = float(noise_next / noise_now) * x - float(s[i + 1] * np.expm1(-h)) * ahead
        before = x0
    return x


def heun(
    denoise: Denoise,
    noise: Noise,
    alpha_bar: np.ndarray,
    *,
    steps: int,
    eta: float = 0.0,
    clip: Clip = (-1.0, 1.0),
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
) -> Tensor:
    """Karras et al. 2022 (arXiv:2206.00364), algorithm 2, `steps` network calls, no level raised
    above the first; S_churn = eta (sqrt(2) - 1) N."""
    sigma = _karras_sigmas(alpha_bar, (steps + 1) // 2, sigma_min, sigma_max)

    def slope(u: Tensor, level: float) -> tuple[Tensor, Tensor]:
        s = 1 / np.sqrt(1 + level**2)
        x0 = _clipped(denoise(float(s) * u, torch.tensor(s)), clip)
        return (u - x0) / level, x0

    u = float(np.sqrt(1 + sigma[0] ** 2)) * noise(0)
    for k, level in enumerate(sigma, 1):
        raised = float(min(level * (1 + eta * (np.sqrt(2) - 1)), sigma[0]))
        if eta:
            u = u + float(np.sqrt(raised**2 - level**2)) * noise(k)
        first, x0 = slope(u, raised)
        if k == len(sigma):
            return x0
        after = float(sigma[k])
        second, _ = slope(u + (after - raised) * first, after)
        u = u + (after - raised) * (0.5 * first + 0.5 * second)
    return u
