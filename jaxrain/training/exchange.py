"""What a checkpoint holds, apart from any format; and how it lies in a run folder."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp

from jaxrain.errors import InputError
from jaxrain.training.checkpoint import quiet_orbax, write_checkpoint
from jaxrain.training.dialects import flatten, unflatten
from jaxrain.training.meaning import KEY, kept_meaning
from jaxrain.training.optimizer import create_optimizer
from jaxrain.training.progress import loader_state
from jaxrain.training.saved import FOLDER, read_loader_state, saved_steps, whole_step
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import Params, TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moments:
    """Adam's running averages, in the order and structure of the weights.

    Attributes:
      count: updates done.
      first: of gradients.
      second: of squared gradients.
    """

    count: int
    first: Params
    second: Params


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exchange:
    """A training state in numpy, all that any of the formats holds.

    Attributes:
      params: our nested dict of the weights.
      ema: their running average, or None.
      moments: Adam's, or None.
      step: updates done.
      epoch: that PyTorch's trainer counted.
      meaning: of the weights, `jaxrain.training.meaning`; empty where nobody knows it.
    """

    params: Params
    ema: Params | None = None
    moments: Moments | None = None
    step: int = 0
    epoch: int = 0
    meaning: dict[str, Any] = dataclasses.field(default_factory=dict)


def read_run(run: Path) -> Exchange:
    """Reads the newest checkpoint of a run, in the types that it was written in.

    Raises:
      InputError: there is none that is whole.
    """
    if not saved_steps(run):
        raise InputError(f"{run} has no checkpoint: give a run folder, a .pth or a .safetensors")
    quiet_orbax()
    step = whole_step(run)
    folder = run.absolute() / FOLDER / str(step)
    with ocp.PyTreeCheckpointer() as reader:
        params, ema, optimizer = (
            _restore(reader, folder / name) for name in ("params", "ema", "optimizer")
        )
    adam = next(part for part in optimizer["state"] if part and "mu" in part)
    # Orbax has places in a list as text.
    params, ema, first, second = (
        unflatten(dict(flatten(tree))) for tree in (params, ema, adam["mu"], adam["nu"])
    )
    return Exchange(
        params=params,
        ema=ema,
        moments=Moments(count=int(adam["count"]), first=first, second=second),
        step=int(optimizer["step"]),
        epoch=read_loader_state(run, step).get("epoch", 0),
        meaning=kept_meaning(run, step),
    )


def _restore(reader: ocp.PyTreeCheckpointer, item: Path) -> Any:
    """Reads an item as numpy, wherever its arrays lay when it was written."""
    tree = reader.metadata(item).item_metadata.tree
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
    return reader.restore(item, args=ocp.args.PyTreeRestore(restore_args=as_numpy))


def write_run(run: Path, state: Exchange, config: TrainConfig) -> None:
    """Writes the one checkpoint of a new run, from which training goes on.

    Weights without an average start it; without moments the optimizer starts anew.
    """
    optimizer = jax.eval_shape(create_optimizer(config).init, state.params)

    def fill(part: Any) -> Any:
        if isinstance(part, optax.ScaleByAdamState) and state.moments is not None:
            moments = state.moments
            return optax.ScaleByAdamState(
                np.asarray(moments.count, np.int32), moments.first, moments.second
            )
        # One zero seen as a whole array: it takes no memory.
        return jax.tree.map(
            lambda leaf: np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape), part
        )

    whole = TrainState(
        step=np.asarray(state.step, np.int32),  # type: ignore[arg-type]
        params=state.params,
        ema=state.params if state.ema is None else state.ema,
        opt_state=jax.tree.map(
            fill, optimizer, is_leaf=lambda part: isinstance(part, optax.ScaleByAdamState)
        ),
    )
    beside = {"epoch": state.epoch, KEY: state.meaning}
    write_checkpoint(run, whole, loader_state(config, state.step) | beside)


def _zeros(leaf: Any) -> np.ndarray:
    # One zero seen as a whole array: it takes no memory.
    return np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)
