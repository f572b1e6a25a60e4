"""Adam as PyTorch keeps it: a state_dict numbered in the order of registration."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxrain.errors import InputError
from jaxrain.training.dialects import Dialect, from_torch, to_torch
from jaxrain.training.exchange import Moments
from jaxrain.training.settings import TrainConfig

# What our optimizer has and no setting changes: optax's defaults, which are PyTorch's.
BETA1, EPS = 0.9, 1e-8


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
        "betas": (BETA1, config.beta2),
        "eps": EPS,
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
      InputError: other parameters than the network's, or shapes that differ.
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


def adam_settings(
    optimizer: Mapping[str, Any], config: TrainConfig, origin: str, *, adopt: bool
) -> tuple[TrainConfig, list[str]]:
    """What a PyTorch optimizer was set to, beside a config's settings.

    Args:
      optimizer: state_dict of torch.optim.Adam or AdamW.
      config: section train.
      origin: what the sentences call the file.
      adopt: take the file's settings; else the config's stay.

    Returns:
      The section to train on with, and sentences on what was taken, differs, or can't be kept.
    """
    groups = optimizer.get("param_groups") or [{}]
    group = groups[0]
    there: dict[str, Any] = {
        "learning_rate": float(group.get("lr", config.learning_rate)),
        "beta2": float(group.get("betas", (BETA1, config.beta2))[1]),
        "weight_decay": float(group.get("weight_decay", config.weight_decay)),
    }
    differing = {key: value for key, value in there.items() if value != getattr(config, key)}
    told = ", ".join(f"train.{key}={value:g}" for key, value in differing.items())
    said = []
    if differing and adopt:
        config = dataclasses.replace(config, **differing)
        said.append(f"taken from {origin}: {told}")
    elif differing:
        here = ", ".join(f"{getattr(config, key):g}" for key in differing)
        said.append(f"{origin} has {told}; the config's {here} stay")
    beta1, eps = float(group.get("betas", (BETA1,))[0]), float(group.get("eps", EPS))
    if (beta1, eps) != (BETA1, EPS):
        said.append(f"{origin} has beta1={beta1:g}, eps={eps:g}; here they are {BETA1:g}, {EPS:g}")
    if group.get("amsgrad"):
        said.append(f"{origin}: amsgrad's maxima are left out, training here is without them")
    if there["weight_decay"] and not group.get("decoupled_weight_decay"):
        said.append(f"{origin}: its weight decay may be Adam's L2 term, here it is AdamW's")
    if len(groups) > 1:
        said.append(
            f"{origin}: of its {len(groups)} parameter groups the first one's settings count"
        )
    return config, said
