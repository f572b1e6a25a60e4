"""Noise schedules: how fast signal turns into noise over the steps t = 1..T.

All in float64 numpy: a schedule is made once, on the host, and rounded where it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Betas = np.ndarray


def linear(steps: int, start: float, end: float) -> Betas:
    """Ho et al. 2020 (arXiv:2006.11239), section 4."""
    return np.linspace(start, end, steps, dtype=np.float64)


def quad(steps: int, start: float, end: float) -> Betas:
    """Linear in the square root."""
    return np.linspace(start**0.5, end**0.5, steps, dtype=np.float64) ** 2


def const(steps: int, start: float, end: float) -> Betas:
    """`end` everywhere; `start` is not used."""
    return np.full(steps, end, dtype=np.float64)


def jsd(steps: int, start: float, end: float) -> Betas:
    """1 / T, 1 / (T - 1), ..., 1 (Sohl-Dickstein et al. 2015); `start`, `end` are not used."""
    return 1.0 / np.linspace(steps, 1, steps, dtype=np.float64)


def warmup10(steps: int, start: float, end: float) -> Betas:
    """Linear over the first tenth, then `end`."""
    return _warmup(steps, start, end, 0.1)


def warmup50(steps: int, start: float, end: float) -> Betas:
    """Linear over the first half, then `end`."""
    return _warmup(steps, start, end, 0.5)


def _warmup(steps: int, start: float, end: float, share: float) -> Betas:
    betas = np.full(steps, end, dtype=np.float64)
    warm = int(steps * share)
    betas[:warm] = np.linspace(start, end, warm, dtype=np.float64)
    return betas


def cosine(steps: int, start: float, end: float) -> Betas:
    """Nichol and Dhariwal 2021 (arXiv:2102.09672), eq. 17; `start`, `end` are not used."""
    i = np.arange(steps + 1, dtype=np.float64)
    alpha_bar = np.cos((i / steps + 0.008) / 1.008 * np.pi / 2) ** 2
    alpha_bar = alpha_bar / alpha_bar[0]
    return np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.999)


SCHEDULES: dict[str, Callable[[int, float, float], Betas]] = {
    "linear": linear,
    "quad": quad,
    "const": const,
    "jsd": jsd,
    "warmup10": warmup10,
    "warmup50": warmup50,
    "cosine": cosine,
}


@dataclass(frozen=True, eq=False)
class Schedule:
    """Noise levels of a process of T steps, float64.

    Attributes:
      betas: [T], variance added at step t = 1..T, betas[t - 1].
      alpha_bar: [T + 1], share of the signal's variance left after t steps; alpha_bar[0] = 1.
    """

    betas: np.ndarray
    alpha_bar: np.ndarray

    @property
    def steps(self) -> int:
        """T."""
        return len(self.betas)

    @property
    def s(self) -> np.ndarray:
        """[T + 1], sqrt(alpha_bar): what the network sees."""
        return np.sqrt(self.alpha_bar)

    @property
    def sigma(self) -> np.ndarray:
        """[T + 1], noise over signal, sqrt(1 - alpha_bar) / sqrt(alpha_bar); sigma[0] = 0.

        Infinite where no signal is left, as at the end of jsd.
        """
        with np.errstate(divide="ignore"):
            return np.sqrt(1 - self.alpha_bar) / self.s


def make_schedule(name: str, steps: int, start: float = 1e-4, end: float = 2e-2) -> Schedule:
    """Makes one of SCHEDULES.

    Args:
      name: key of SCHEDULES.
      steps: T.
      start: beta of the first step, where the schedule has one.
      end: beta of the last step, where the schedule has one.

    Raises:
      ValueError: unknown name, or betas outside (0, 1].
    """
    if name not in SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}, expected one of {', '.join(SCHEDULES)}")
    betas = SCHEDULES[name](steps, start, end)
    if not np.all((betas > 0) & (betas <= 1)):
        raise ValueError(
            f"schedule {name} from {start} to {end} has betas from {betas.min()} to {betas.max()}, "
            "expected values above 0 and at most 1"
        )
    return Schedule(betas, np.concatenate([[1.0], np.cumprod(1 - betas)]))


def buffers(schedule: Schedule) -> dict[str, np.ndarray]:
    """The twelve arrays [T] that public PyTorch checkpoints of this process hold, float64.

    Where alpha_bar[T] = 0 (jsd), reciprocals and logarithms are infinite, as they are there.
    """
    betas, alpha_bar, previous = schedule.betas, schedule.alpha_bar[1:], schedule.alpha_bar[:-1]
    variance = betas * (1 - previous) / (1 - alpha_bar)
    with np.errstate(divide="ignore"):
        return {
            "betas": betas,
            "alphas_cumprod": alpha_bar,
            "alphas_cumprod_prev": previous,
            "sqrt_alphas_cumprod": np.sqrt(alpha_bar),
            "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - alpha_bar),
            "log_one_minus_alphas_cumprod": np.log(1 - alpha_bar),
            "sqrt_recip_alphas_cumprod": np.sqrt(1 / alpha_bar),
            "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / alpha_bar - 1),
            "posterior_variance": variance,
            "posterior_log_variance_clipped": np.log(np.maximum(variance, 1e-20)),
            "posterior_mean_coef1": betas * np.sqrt(previous) / (1 - alpha_bar),
            "posterior_mean_coef2": (1 - previous) * np.sqrt(1 - betas) / (1 - alpha_bar),
        }


def posterior_coefficients(
    alpha_bar: np.ndarray, previous: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of q(x_previous | x, x0) between any two levels (Ho et al. 2020, eq. 7).

    Args:
      alpha_bar: of x, in [0, 1).
      previous: of x_previous, same shape, in (alpha_bar, 1].

    Returns:
      Factors of x0 and of x in the mean, and the log of the variance floored at 1e-20.
    """
    alpha = alpha_bar / previous
    variance = (1 - alpha) * (1 - previous) / (1 - alpha_bar)
    on_x0 = (1 - alpha) * np.sqrt(previous) / (1 - alpha_bar)
    on_x = (1 - previous) * np.sqrt(alpha) / (1 - alpha_bar)
    return on_x0, on_x, np.log(np.maximum(variance, 1e-20))
