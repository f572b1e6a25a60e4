"""How weights follow gradients: AdamW, its learning rate over time, and the running average."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrain.training.settings import TrainConfig


def learning_rate_schedule(config: TrainConfig) -> optax.Schedule:
    """Linear warm-up, then half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983).

    A warm-up longer than a tenth of the run is cut to that, so that short trial runs learn too.

    Returns:
      A function from the number of updates done to the rate of the next one; update 0 already
      moves the weights.
    """
    warmup = min(config.warmup_steps, config.steps // 10)
    return optax.warmup_cosine_decay_schedule(
        init_value=config.learning_rate / (warmup + 1),
        peak_value=config.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(config.steps, 1),
        end_value=config.learning_rate * config.final_learning_rate,
    )


def create_optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Clipping by the global norm, then AdamW (arXiv:1711.05101)."""
    clip = (
        optax.identity()
        if config.clip_norm is None
        else optax.clip_by_global_norm(config.clip_norm)
    )
    adamw = optax.adamw(
        learning_rate_schedule(config),
        b2=config.beta2,
        weight_decay=config.weight_decay,
        mask=_is_kernel,
    )
    return optax.chain(clip, adamw)


def ema_decay(config: TrainConfig, step: jax.Array | int) -> jax.Array:
    """Decay of the average at update `step` (0, 1, ...): ramps from 0.1 up to the config's.

    With (1 + n) / (10 + n) the average reaches back over about the last ninth of the n updates
    done, so early weights are forgotten also in runs much shorter than 1 / (1 - decay).
    """
    return jnp.minimum(config.ema_decay, (1.0 + step) / (10.0 + step))


def update_ema(ema: Any, params: Any, decay: jax.Array) -> Any:
    """ema <- decay * ema + (1 - decay) * params, leaf by leaf."""
    return jax.tree.map(lambda average, new: average + (1.0 - decay) * (new - average), ema, params)


def _is_kernel(params: Any) -> Any:
    # Biases and the scales of norms are vectors; decaying them pulls towards nothing meaningful.
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
