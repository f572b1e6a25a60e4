"""The diffusion process (Ho et al. 2020, arXiv:2006.11239): noising, training targets, loss, and
what a prediction says about the clean field.

Symbols: s = sqrt(alpha_bar), x = s x0 + sqrt(1 - s^2) eps, sigma = sqrt(1 - s^2) / s.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxrain.diffusion.one_step import fair_crps_of_two, generate
from jaxrain.diffusion.schedules import Schedule, buffers
from jaxrain.diffusion.settings import DiffusionConfig, Prediction

# (input [B, H, W, C + 1], s [B, 1]) -> prediction [B, H, W, 1]
Network = Callable[[Array, Array], Array]
# x0 [B, H, W, 1] -> the rain that it stands for, mm, the same shape
Amounts = Callable[[Array], Array]
# (x [B, H, W, 1], s [B, 1] or scalar) -> x0_hat [B, H, W, 1]
Denoise = Callable[[Array, ArrayLike], Array]


def q_sample(x0: Array, s: ArrayLike, eps: Array) -> Array:
    """Noises x0 to level s, which broadcasts against it (Ho et al. 2020, eq. 4)."""
    s = jnp.asarray(s, x0.dtype)
    return s * x0 + jnp.sqrt(1 - s * s) * eps


def posterior(schedule: Schedule, x0: Array, x: Array, t: ArrayLike) -> tuple[Array, Array]:
    """Mean and log variance of q(x_{t-1} | x_t, x0) (Ho et al. 2020, eq. 7).

    Args:
      schedule: of T steps.
      x0: clean field.
      x: noisy field at step t, same shape.
      t: step in 1..T.

    Returns:
      Mean, shaped like x, and log variance, shaped like t, the variance floored at 1e-20.
    """
    arrays = buffers(schedule)

    def at(name: str) -> Array:
        return jnp.asarray(arrays[name], x.dtype)[jnp.asarray(t) - 1]

    mean = at("posterior_mean_coef1") * x0 + at("posterior_mean_coef2") * x
    return mean, at("posterior_log_variance_clipped")


def draw_levels(key: Array, config: DiffusionConfig, schedule: Schedule, like: Array) -> Array:
    """Noise levels for training, one per example: s [B, 1] in the dtype of `like` [B, ...]."""
    shape, dtype = (like.shape[0], 1), like.dtype
    if config.noise_levels == "lognormal":
        ln_sigma = config.p_mean + config.p_std * jax.random.normal(key, shape, dtype)
        return jax.lax.rsqrt(1 + jnp.exp(2 * ln_sigma))
    key_t, key_s = jax.random.split(key)
    t = jax.random.randint(key_t, shape, 1, schedule.steps + 1)
    s = jnp.asarray(schedule.s, dtype)
    return jax.random.uniform(key_s, shape, dtype, minval=s[t], maxval=s[t - 1])


def draw_noise(
    key: Array, config: DiffusionConfig, schedule: Schedule, like: Array
) -> tuple[Array, Array]:
    """Noise levels s [B, 1] and noise eps of the dtype of `like` [B, H, W, 1], for training.

    eps is shaped as `like`, for the objective crps [B, H, W, 2]: of two members.
    """
    key_s, key_eps = jax.random.split(key)
    shape = (*like.shape[:-1], 2) if config.objective == "crps" else like.shape
    eps = jax.random.normal(key_eps, shape, like.dtype)
    return draw_levels(key_s, config, schedule, like), eps


def training_loss(
    network: Network,
    config: DiffusionConfig,
    schedule: Schedule,
    key: Array,
    x0: Array,
    condition: Array,
    mask: Array | None = None,
    amounts: Amounts | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Draws noise levels and noise, and scores the network's prediction.

    Args:
      network: (input [B, H, W, C + 1], s [B, 1]) -> [B, H, W, 1], condition first in the input.
      config: of the process.
      schedule: of the process.
      key: jax PRNG key.
      x0: [B, H, W, 1], the scaled target; any number where mask is 0.
      condition: [B, H, W, C].
      mask: [B, H, W, 1], 1 where x0 is known, or None where it is everywhere.
      amounts: what x0 stands for, in mm; only crps_amounts asks for it.

    Returns:
      The mean over known values of the weighted loss, and {"s": [B, 1], "per_example": [B],
      "known": share of known values} beside it; per_example is unweighted.
    """
    s, eps = draw_noise(key, config, schedule, x0)
    return loss_at(network, config, x0, condition, s, eps, mask, amounts)


def loss_at(
    network: Network,
    config: DiffusionConfig,
    x0: Array,
    condition: Array,
    s: Array,
    eps: Array,
    mask: Array | None = None,
    amounts: Amounts | None = None,
) -> tuple[Array, dict[str, Array]]:
    """`training_loss` at given levels s [B, 1] and noise eps, as `draw_noise` gives them.

    The objective regression heeds neither, crps no levels.
    """
    if config.objective == "regression":
        error, even = regress(network, condition) - x0, jnp.ones_like(s)
        return _mean_cost(config, error, even, jnp.zeros_like(s), mask)
    if config.objective == "crps":
        # One call of the network for two, side by side, so that each stays on its device.
        noise = jnp.moveaxis(eps, -1, 1).reshape(-1, *x0.shape[1:])
        members = generate(network, jnp.repeat(condition, 2, 0), noise, config.prediction)
        first, second = jnp.moveaxis(members.reshape(-1, 2, *x0.shape[1:]), 1, 0)
        mask = jnp.ones_like(x0) if mask is None else mask
        total = fair_crps_of_two(first, second, x0, mask, config.crps_increments)
        if config.crps_amounts:
            if amounts is None:
                raise ValueError("crps_amounts scores rain in mm: give amounts, from x0 to mm")
            a, b, y = (amounts(jnp.where(mask > 0, field, 0)) for field in (first, second, x0))
            of_mm = fair_crps_of_two(a, b, y, mask, config.crps_increments)
            total += config.crps_amounts * of_mm
        return _mean(total, jnp.ones_like(s), jnp.zeros_like(s), mask)
    level = s[:, :, None, None]  # [B, 1, 1, 1]
    x = q_sample(x0, level, eps)
    target = _target(config.prediction, x0, eps, level)
    error = network(jnp.concatenate([condition, x], -1), s) - target
    return _mean_cost(config, error, _weight(config, s), s, mask)


def regress(network: Network, condition: Array) -> Array:
    """What a network of the objective regression says of x0, [B, H, W, 1].

    Its noisy channel is 0 and so is s, which is all that a denoiser would learn from pure noise.
    """
    nothing = jnp.zeros_like(condition[..., :1])
    s = jnp.zeros((len(condition), 1), condition.dtype)
    return network(jnp.concatenate([condition, nothing], -1), s)


def _mean_cost(
    config: DiffusionConfig, error: Array, weight: Array, s: Array, mask: Array | None
) -> tuple[Array, dict[str, Array]]:
    """The loss of errors [B, H, W, 1] with weights [B, 1], as `training_loss` returns it."""
    mask = jnp.ones_like(error) if mask is None else mask
    # where, and not a product: a missing target may be NaN.
    cost = jnp.where(mask > 0, jnp.abs(error) if config.loss == "l1" else jnp.square(error), 0)
    return _mean(jnp.sum(cost, (1, 2, 3)), weight, s, mask)


def _mean(total: Array, weight: Array, s: Array, mask: Array) -> tuple[Array, dict[str, Array]]:
    """Of costs [B], each summed over an example's known points, the mean over all of them."""
    known = jnp.sum(mask > 0, (1, 2, 3), dtype=total.dtype)
    loss = jnp.sum(weight[:, 0] * total) / jnp.maximum(jnp.sum(known), 1)
    aux = {
        "s": s,
        "per_example": total / jnp.maximum(known, 1),
        "known": jnp.sum(known) / mask.size,
    }
    return loss, aux


def _target(prediction: Prediction, x0: Array, eps: Array, s: Array) -> Array:
    match prediction:
        case "eps":
            return eps
        case "v":
            return s * eps - jnp.sqrt(1 - s * s) * x0
        case "x0":
            return x0


def _weight(config: DiffusionConfig, s: Array) -> Array:
    """Hang et al. 2023 (arXiv:2303.09556), section 3.4: min(SNR, gamma) on x0, as each target's."""
    if config.weighting == "none":
        return jnp.ones_like(s)
    snr = s * s / jnp.maximum(1 - s * s, jnp.finfo(s.dtype).eps)
    capped = jnp.minimum(snr, config.min_snr_gamma)
    match config.prediction:
        case "eps":
            return capped / jnp.maximum(snr, jnp.finfo(s.dtype).tiny)
        case "v":
            return capped / (snr + 1)
        case "x0":
            return capped


def epsilon_scaled(denoise: Denoise, scale: float) -> Denoise:
    """As `denoise`, but the noise that it finds is divided by `scale` (Ning et al. 2024,
    arXiv:2308.15321, section 4).

    A chain so takes out less noise at each step than the network asks for. Above 1 it leaves
    more of what is fine, which a network that errs averages away. x0_hat has (1 - 1 / scale) sigma
    of the noise in it, so chains that begin at large sigma want a scale near 1.
    """

    def scaled(x: Array, s: ArrayLike) -> Array:
        x0 = denoise(x, s)
        level = jnp.asarray(s, x.dtype)
        level = jnp.reshape(level, level.shape + (1,) * (x.ndim - level.ndim))
        # s = 0 is noise without signal, which can leave nothing of it in x0.
        signal = jnp.where(level > 0, level, 1)
        return x0 + jnp.where(level > 0, (1 - 1 / scale) * (x / signal - x0), 0)

    return scaled


def denoiser(network: Network, condition: Array, config: DiffusionConfig) -> Denoise:
    """Turns a network into denoise(x, s) -> x0_hat, whatever it predicts.

    Args:
      network: (input [B, H, W, C + 1], s [B, 1]) -> [B, H, W, 1].
      condition: [B, H, W, C].
      config: of the process; its objective and prediction are used.

    Returns:
      A function of x [B, H, W, 1] and s ([B, 1] or a scalar), of which a regression heeds neither
      and the objective crps takes x for pure noise.
    """
    if config.objective == "regression":
        return lambda x, s: regress(network, condition)
    if config.objective == "crps":
        return lambda x, s: generate(network, condition, x, config.prediction)

    def denoise(x: Array, s: ArrayLike) -> Array:
        s = jnp.broadcast_to(jnp.asarray(s, x.dtype), (x.shape[0], 1))
        output = network(jnp.concatenate([condition, x], -1), s)
        level = s[:, :, None, None]
        match config.prediction:
            case "eps":
                # jsd ends at s = 0, where noise tells nothing: huge and clipped, but no 0 / 0.
                signal = jnp.maximum(level, jnp.finfo(x.dtype).tiny)
                return (x - jnp.sqrt(1 - level * level) * output) / signal
            case "v":
                return level * x - jnp.sqrt(1 - level * level) * output
            case "x0":
                return output

    return denoise
