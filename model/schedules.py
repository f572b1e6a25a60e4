"""Noise schedules in float64, and the twelve buffers that checkpoints of this process hold."""

import numpy as np


def make_betas(name: str, steps: int, start: float = 1e-4, end: float = 2e-2) -> np.ndarray:
    """[T] variances added at steps 1..T; names as in the JAX package.

    Raises:
      ValueError: unknown name.
    """
    match name:
        case "linear":
            return np.linspace(start, end, steps)
        case "quad":
            return np.linspace(start**0.5, end**0.5, steps) ** 2
        case "const":
            return np.full(steps, end)
        case "jsd":
            return 1.0 / np.linspace(steps, 1, steps)
        case "warmup10" | "warmup50":
            warm = int(steps * (0.1 if name == "warmup10" else 0.5))
            return np.concatenate([np.linspace(start, end, warm), np.full(steps - warm, end)])
        case "cosine":
            i = np.arange(steps + 1)
            alpha_bar = np.cos((i / steps + 0.008) / 1.008 * np.pi / 2) ** 2
            alpha_bar = alpha_bar / alpha_bar[0]
            return np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.999)
    raise ValueError(f"unknown schedule {name!r}")


def make_buffers(betas: np.ndarray) -> dict[str, np.ndarray]:
    """The twelve arrays [T], float64."""
    alphas = 1 - betas
    alphas_cumprod = np.cumprod(alphas)
    alphas_cumprod_prev = np.append(1.0, alphas_cumprod[:-1])
    posterior_variance = betas * (1 - alphas_cumprod_prev) / (1 - alphas_cumprod)
    with np.errstate(divide="ignore"):
        return {
            "betas": betas,
            "alphas_cumprod": alphas_cumprod,
            "alphas_cumprod_prev": alphas_cumprod_prev,
            "sqrt_alphas_cumprod": np.sqrt(alphas_cumprod),
            "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - alphas_cumprod),
            "log_one_minus_alphas_cumprod": np.log(1 - alphas_cumprod),
            "sqrt_recip_alphas_cumprod": np.sqrt(1 / alphas_cumprod),
            "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / alphas_cumprod - 1),
            "posterior_variance": posterior_variance,
            "posterior_log_variance_clipped": np.log(np.maximum(posterior_variance, 1e-20)),
            "posterior_mean_coef1": betas * np.sqrt(alphas_cumprod_prev) / (1 - alphas_cumprod),
            "posterior_mean_coef2": (1 - alphas_cumprod_prev)
            * np.sqrt(alphas)
            / (1 - alphas_cumprod),
        }
