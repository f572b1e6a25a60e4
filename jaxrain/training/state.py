"""What training changes, and one step of it, compiled for the devices of a mesh."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxrain.training.gradients import Batch, Draw, LossFn, Params, make_gradient
from jaxrain.training.mesh import replicated, sharded
from jaxrain.training.optimizer import create_optimizer, ema_decay, update_ema
from jaxrain.training.settings import TrainConfig


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a step reads and writes; a pytree.

    Attributes:
      step: int32 [], updates done.
      params: the weights, float32.
      ema: their running average, float32, of the same structure.
      opt_state: optax's.
    """

    step: jax.Array
    params: Params
    ema: Params
    opt_state: Any


# jitted (state, batch, key, learning_rate, *frozen) -> (state, metrics)
TrainStep = jax.stages.Wrapped


def create_state(config: TrainConfig, params: Params) -> TrainState:
    """The state before the first update."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        # A copy: the step donates its inputs, and one buffer cannot be given away twice.
        ema=jax.tree.map(jnp.copy, params),
        opt_state=create_optimizer(config).init(params),
    )


def make_train_step(
    loss_fn: LossFn, config: TrainConfig, mesh: Mesh, draw: Draw | None = None
) -> TrainStep:
    """Compiles one update.

    Args:
      loss_fn: mean loss of a global batch; pure.
      config: optimizer's settings, and the parts that a batch is cut into.
      mesh: where batch and state lie, as `put_batch` and `put_state` lay them; XLA adds the one
        sum of gradients over devices that follows from that.
      draw: as `make_gradient` takes it.

    Returns:
      step(state, batch, key, learning_rate, *frozen) -> (state, metrics), frozen as loss_fn takes
      them. The given state is donated, do not use it again. `key` is the run's own, the same at
      every step: the step folds its number in, so that going on needs no random state. An update
      whose loss or gradient is not finite changes nothing but the step's number. Metrics are
      float32 scalars: loss, grad_norm (before clipping), param_norm (after the update), and what
      loss_fn adds.
    """
    optimizer = create_optimizer(config)
    gradient = make_gradient(loss_fn, mesh, config.accumulate, draw)

    def step(
        state: TrainState, batch: Batch, key: jax.Array, learning_rate: jax.Array, *frozen: Params
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        key = jax.random.fold_in(key, state.step)
        (loss, further), grads = gradient(state.params, batch, key, *frozen)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = jax.tree.map(lambda p, u: p - learning_rate * u, state.params, updates)
        ema = update_ema(state.ema, params, ema_decay(config, state.step))
        norm = optax.tree.norm(grads)
        good = jnp.isfinite(loss) & jnp.isfinite(norm)
        params, ema, opt_state = jax.tree.map(
            lambda new, old: jnp.where(good, new, old),
            (params, ema, opt_state),
            (state.params, state.ema, state.opt_state),
        )
        metrics = {
            "loss": loss,
            "grad_norm": norm,
            "param_norm": optax.tree.norm(params),
            **further,
        }
        metrics = jax.lax.with_sharding_constraint(metrics, replicated(mesh))
        return _as_put(TrainState(state.step + 1, params, ema, opt_state), mesh), metrics

    return jax.jit(step, donate_argnums=0, compiler_options=compiler_options(mesh))


def compiler_options(mesh: Mesh) -> dict[str, bool]:
    """What XLA is asked beyond its defaults: GPUs that share a step send while they compute."""
    several_gpus = mesh.size > 1 and mesh.devices.flat[0].platform == "gpu"
    return {"xla_gpu_enable_latency_hiding_scheduler": True} if several_gpus else {}


def _as_put(state: TrainState, mesh: Mesh) -> TrainState:
    """The new state lies where the old one lay."""
    places = jax.tree.map(lambda leaf: sharded(leaf, mesh), state)
    return jax.lax.with_sharding_constraint(state, places)
