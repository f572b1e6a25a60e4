"""What a checkpoint holds, apart from any format; and how it lies in a run folder and in Adam's."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp

from jaxrain.errors import InputError
from jaxrain.training.checkpoint import FOLDER, open_checkpoints, saved_steps
from jaxrain.training.dialects import Dialect, flatten, from_torch, to_torch, unflatten
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
        return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), part)

    whole = TrainState(
        step=np.asarray(state.step, np.int32),  # type: ignore[arg-type]
        params=state.params,
        ema=state.params if state.ema is None else state.ema,
        opt_state=jax.tree.map(
            fill, optimizer, is_leaf=lambda part: isinstance(part, optax.ScaleByAdamState)
        ),
    )
    with open_checkpoints(run) as checkpoints:
        checkpoints.save(whole, loader_state(config, state.step) | {"epoch": state.epoch})


def adam_to_torch(moments: Moments, config: TrainConfig, learning_rate: float) -> dict[str, Any]:
    """The state_dict of torch.optim.Adam: numbered in the order of registration."""
    first, second = (
        list(to_torch(tree, "sr3").values()) for tree in (moments.first, moments.second)
    )
    state = {
        i: {"step": np.asarray(moments.count, np.float32), "exp_avg": m, "exp_avg_sq": v}
        for i, (m, v) in enumerate(zip(first, second, strict=True))
    }
    group = {
        "lr": learning_rate,
        "betas": (0.9, config.beta2),
        "eps": 1e-8,
        "weight_decay": config.weight_decay,
        "amsgrad": False,
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "fused": None,
        "decoupled_weight_decay": False,
        "params": list(range(len(first))),
    }
    return {"state": state, "param_groups": [group]}


def adam_from_torch(
    optimizer: Mapping[str, Any], weights: Mapping[str, np.ndarray], dialect: Dialect, origin: str
) -> Moments | None:
    """Adam's moments by the names of the weights that they belong to.

    Args:
      optimizer: state_dict of torch.optim.Adam or AdamW.
      weights: the network's, in the order of registration.
      dialect: of their names.
      origin: what an error calls it.

    Returns:
      The moments, or None where no update was done yet.

    Raises:
      InputError: other parameters than the network's, shapes that differ, or amsgrad.
    """
    state = {int(key): value for key, value in optimizer["state"].items()}
    if not state:
        return None
    if sorted(state) != list(range(len(weights))):
        raise InputError(
            f"{origin}: Adam's state is of {len(state)} parameters, expected {len(weights)}"
        )
    first: dict[str, np.ndarray] = {}
    second: dict[str, np.ndarray] = {}
    for number, (name, weight) in enumerate(weights.items()):
        entry = state[number]
        if "max_exp_avg_sq" in entry:
            raise InputError(
                f"{origin}: has amsgrad's max_exp_avg_sq, which training here does not use; move "
                "the file away to convert the weights alone"
            )
        for target, key in ((first, "exp_avg"), (second, "exp_avg_sq")):
            if key not in entry or entry[key].shape != weight.shape:
                shape = list(entry[key].shape) if key in entry else "none"
                raise InputError(
                    f"{origin}: {key} of parameter {number} ({name}) has shape {shape}, "
                    f"expected {list(weight.shape)}"
                )
            target[name] = entry[key]
    return Moments(
        count=int(state[0]["step"]),
        first=from_torch(first, dialect),
        second=from_torch(second, dialect),
    )
