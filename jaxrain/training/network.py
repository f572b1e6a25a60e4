"""The network and its training loss as pure functions of a nested dict of weights."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxrain.diffusion.process import DiffusionConfig, draw_noise, loss_at, regress
from jaxrain.diffusion.schedules import make_schedule
from jaxrain.diffusion.unet import UNet, UNetConfig
from jaxrain.pairs.conditioning import Example, assemble
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.scaling import Scaling, decode_target
from jaxrain.pairs.surroundings import condition_channels
from jaxrain.training.gradients import Batch, Draw, LossFn, Params

# (seed) -> weights
Init = Callable[[int], Params]
# (weights, x [B, H, W, C + 1], s [B, 1], key of dropout or None for none) -> [B, H, W, 1]
Apply = Callable[..., jax.Array]


def define_network(
    model: UNetConfig,
    data: DataConfig,
    channels: int,
    precision: Literal["float32", "bfloat16"] = "float32",
    rematerialise: int = 0,
) -> tuple[Init, Apply]:
    """The U-Net that a config describes, split into how it starts and what it computes.

    Args:
      model: its shape.
      data: patch size, interpolations, static fields and encodings, which set its input.
      channels: predictors C of the store.
      precision: of its arithmetic; weights and output are float32 always.
      rematerialise: levels whose activations the backward pass computes again.

    Returns:
      `init(seed)` -> weights, a nested dict of float32 arrays, and
      `apply(weights, x, s, key=None)` -> prediction; both can be traced. For shapes alone, without
      any arithmetic: `jax.eval_shape(init, 0)`.
    """

    def build(seed: int) -> UNet:
        return UNet(
            model,
            in_channels=condition_channels(data, channels) + 1,
            image_size=data.patch,
            dtype=jnp.dtype(precision),
            rngs=nnx.Rngs(jax.random.key(seed)),
        )

    graph, _ = nnx.split(nnx.eval_shape(lambda: build(0)))

    @jax.jit
    def init(seed: int) -> Params:
        return nnx.to_pure_dict(nnx.state(build(seed), nnx.Param))

    def apply(
        params: Params, x: jax.Array, s: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        network = nnx.merge(graph, params)
        rngs = None if key is None else nnx.Rngs(dropout=key)
        return network(x, s, deterministic=key is None, rngs=rngs, rematerialise=rematerialise)

    return init, apply


def make_loss(
    apply: Apply, diffusion: DiffusionConfig, scaling: Scaling, regression: Apply | None = None
) -> LossFn:
    """The mean loss of a loader's batch: interpolation, scaling, noising and network in one.

    Args:
      apply: the network that is trained.
      diffusion: its process.
      scaling: of the store.
      regression: the network whose remainder is the target; None where there is none.

    Returns:
      loss_fn(weights, batch, key) -> (loss [], {"known": share of points that are not missing});
      with a regression its weights are a fourth argument.
      Where the batch holds noise already (`make_draw`), none is drawn.
    """
    draw = make_draw(diffusion)

    def loss_fn(
        params: Params, batch: Batch, key: jax.Array, frozen: Params = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        _, of_dropout = jax.random.split(key)
        drawn = batch if "eps" in batch else draw(batch, key)
        expected = None
        if regression is not None:
            expected = partial(regress, partial(regression, frozen))
        example = assemble(batch, scaling, expected)
        loss, aux = loss_at(
            lambda x, s: apply(params, x, s, of_dropout),
            diffusion,
            example.x0,
            example.condition,
            drawn["s"],
            drawn["eps"],
            example.mask,
            partial(_amounts, scaling, example, regression is not None),
        )
        return loss, {"known": aux["known"]}

    return loss_fn


def _amounts(scaling: Scaling, example: Example, remainder: bool, x0: jax.Array) -> jax.Array:
    """Rain that x0 [B, P, Q, 1] stands for, mm; x0 may be what a regression leaves."""
    whole = x0 + example.condition[..., -1:] if remainder else x0
    return decode_target(scaling, whole, example.coarse_rain_mm)


def make_draw(diffusion: DiffusionConfig) -> Draw:
    """What is drawn at random for the examples of a loader's batch.

    Returns:
      draw(batch, key) -> the batch with noise levels `s` [B, 1] and noise `eps`
      [B, P, Q, 1], or [B, P, Q, 2] of two members.
    """
    schedule = make_schedule(diffusion.schedule, diffusion.steps, diffusion.start, diffusion.end)

    def draw(batch: Batch, key: jax.Array) -> Batch:
        of_process, _ = jax.random.split(key)
        s, eps = draw_noise(of_process, diffusion, schedule, batch["fine"][..., None])
        return batch | {"s": s, "eps": eps}

    return draw
