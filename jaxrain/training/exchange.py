"""What a checkpoint holds, apart from any format; and how it lies in a run folder."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp

from jaxrain.errors import InputError
from jaxrain.training.checkpoint import FOLDER, quiet_orbax, saved_steps, write_checkpoint
from jaxrain.training.dialects import flatten, unflatten
from jaxrain.training.loop import loader_state
from jaxrain.training.optimizer import create_optimizer
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
    """

    params: Params
    ema: Params | None = None
    moments: Moments | None = None
    step: int = 0
    epoch: int = 0


def read_run(run: Path) -> Exchange:
    """Reads the newest checkpoint of a run, in the types that it was written in.

    Raises:
      InputError: there is none.
    """
    steps = saved_steps(run)
    if not steps:
        raise InputError(f"{run} has no checkpoint: give a run folder, a .pth or a .safetensors")
    quiet_orbax()
    folder = run.absolute() / FOLDER / str(steps[-1])
    with ocp.PyTreeCheckpointer() as reader:
        params, ema, optimizer = (
            _restore(reader, folder / name) for name in ("params", "ema", "optimizer")
        )
    adam = next(part for part in optimizer["state"] if part and "mu" in part)
    # Orbax has places in a list as text.
    params, ema, first, second = (
        unflatten(dict(flatten(tree))) for tree in (params, ema, adam["mu"], adam["nu"])
    )
    loader = json.loads((folder / "loader" / "metadata").read_text(encoding="utf-8"))
    return Exchange(
        params=params,
        ema=ema,
        moments=Moments(count=int(adam["count"]), first=first, second=second),
        step=int(optimizer["step"]),
        epoch=loader.get("epoch", 0),
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
    write_checkpoint(run, whole, loader_state(config, state.step) | {"epoch": state.epoch})


def _zeros(leaf: Any) -> np.ndarray:
    # One zero seen as a whole array: it takes no memory.
    return np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)
