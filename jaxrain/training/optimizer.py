"""How weights follow gradients: AdamW, its learning rate over time, and the running average."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxrain.training.settings import TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983).

    A warm-up longer than a tenth of the run is cut to that, so that short trial runs learn too.

    Args:
      config: its `learning_rate` is the peak, `final_learning_rate` the share left at the end.
      step: updates done; update 0 already moves the weights.
    """
    warmup = min(config.warmup_steps, config.steps // 10)
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    done = min((step - warmup) / max(config.steps - warmup, 1), 1.0)
    low = config.final_learning_rate
    return config.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))


def create_optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Clipping by the global norm, then AdamW (arXiv:1711.05101) but for its learning rate.

    Its updates still have to be multiplied by minus the rate. So the rate is an argument of the
    compiled step and not a part of it: another schedule needs no other program.
    """
    clip = (
        optax.identity()
        if config.clip_norm is None
        else optax.clip_by_global_norm(config.clip_norm)
    )
    return optax.chain(
        clip,
        optax.scale_by_adam(b2=config.beta2),
        optax.add_decayed_weights(config.weight_decay, mask=_is_kernel),
    )


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
