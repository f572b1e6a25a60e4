"""What a checkpoint's tensors say about the network and the process that they belong to."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from flax import nnx
from pydantic import ValidationError

from jaxrain.diffusion.process import DiffusionConfig
from jaxrain.diffusion.schedules import SCHEDULES, buffers, make_schedule
from jaxrain.diffusion.unet import UNet, UNetConfig
from jaxrain.errors import InputError
from jaxrain.training.dialects import DIALECTS, PREFIX, Dialect, flatten, jax_path, torch_name

State = Mapping[str, np.ndarray]
Shape = tuple[int, ...]

BUFFERS = tuple(buffers(make_schedule("linear", 2)))

# Buffers that were computed in float32 throughout are this far from ours.
_RELATIVE, _ABSOLUTE = 1e-4, 1e-6


def split_state(
    state: Mapping[str, Any], origin: str
) -> tuple[Dialect, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Sorts a state_dict, with or without `module.` and the network's prefix.

    Args:
      state: names to arrays.
      origin: what an error calls it.

    Returns:
      The dialect, the network's arrays by their names without prefix, and the other arrays.

    Raises:
      InputError: it is another network, or of no dialect that we know.
    """
    network, rest = {}, {}
    names = [name.removeprefix("module.") for name in state]
    bare = not any(name.startswith(tuple(PREFIX.values())) for name in names)
    for name, value in zip(names, state.values(), strict=True):
        if not isinstance(value, np.ndarray):
            raise InputError(f"{origin}: {name} is a {type(value).__name__}, expected a tensor")
        inside = next((name.removeprefix(p) for p in PREFIX.values() if name.startswith(p)), None)
        if name in BUFFERS or (inside is None and not bare):
            rest[name] = value
        else:
            network[(inside or name).removeprefix("module.")] = value
    for name in network:
        if name.startswith("time_mlp") or ".res_block.mlp." in name:
            raise InputError(
                f"{origin} is of another network: {name} belongs to the DDPM U-Net that embeds the "
                "step number through time_mlp; expected SR3's, with noise_level_mlp or "
                "time_embedding"
            )
    marks: dict[Dialect, str] = {"sr3": "noise_level_mlp.", "climate": "time_embedding."}
    found = [d for d in DIALECTS if any(name.startswith(marks[d]) for name in network)]
    if len(found) != 1:
        raise InputError(
            f"{origin}: no checkpoint of SR3's network: expected tensors of one of "
            f"{', '.join(marks.values())} and has those of {len(found)}"
        )
    return found[0], network, rest


def recognise_network(
    shapes: Mapping[tuple[str | int, ...], Shape],
    base: UNetConfig,
    image_size: int,
    *,
    free_groups: bool,
) -> tuple[UNetConfig, int]:
    """Reads a network's shape off its tensors.

    Each number is what most of the tensors that know it say, so that one wrong tensor is found to
    be wrong later, by `check_network`, and does not bend all others.

    Args:
      shapes: of our paths, in our layout.
      base: gives what tensors cannot tell.
      image_size: edge of the training patches, which places `attn_res`.
      free_groups: norm_groups is a default that may be lowered to divide the width.

    Returns:
      The config and the number of input channels.

    Raises:
      InputError: it predicts several channels, or is no network of ours at all.
    """
    inner = _most(
        [
            *(shapes[p][-1] for p in [("downs", 0, "kernel"), ("downs", 0, "bias")] if p in shapes),
            *(shape[0] for p, shape in shapes.items() if p[-2:] == ("noise_func", "kernel")),
        ]
    )
    out = _most([shapes[p][-1] for p in shapes if p[:2] == ("final_conv", "conv")])
    patchify = math.isqrt(out)
    if patchify**2 != out or not inner:
        raise InputError(
            f"the network predicts {out} channels from a width of {inner}; expected 1 channel"
        )
    # Nothing but this tensor says how many channels come in, so a wrong one is found here.
    first = shapes.get(("downs", 0, "kernel"), shapes.get(("downs", 0, "scale"), ()))
    if len(first) != 4 or not first[2] or first[2] % out:
        raise InputError(
            f"downs.0.weight is missing or of wrong shape {list(_torch_shape(first))}, expected "
            f"[{inner}, predictors + 1, 3, 3]"
        )
    places: dict[int, list[tuple[str | int, ...]]] = {}
    for path in shapes:
        if path[0] == "downs" and isinstance(path[1], int) and path[1] > 0:
            places.setdefault(path[1], []).append(path)
    levels: list[list[list[tuple[str | int, ...]]]] = [[]]
    for place in sorted(places):
        if any(path[2:3] == ("conv",) for path in places[place]):
            levels.append([])
        else:
            levels[-1].append(places[place])
    widths = [
        _most(
            shapes[path][-1]
            for stage in level
            for path in stage
            if path[-1] in ("kernel", "bias") and "norm" not in path
            if path[3:4] in (("block2",), ("noise_func",))
        )
        for level in levels
    ]
    resolution = image_size // patchify
    attended = [
        any(path[2:3] == ("attn",) for stage in level for path in stage) for level in levels
    ]
    try:
        config = dataclasses.replace(
            base,
            inner_channel=inner,
            norm_groups=math.gcd(base.norm_groups, inner) if free_groups else base.norm_groups,
            channel_mults=tuple(width // inner for width in widths),
            res_blocks=_most(len(level) for level in levels),
            attn_res=tuple(resolution // 2**i for i, here in enumerate(attended) if here),
            patchify=patchify,
        )
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"the tensors make no network of ours: {message}") from None
    return config, first[2] // out


def network_shapes(
    config: UNetConfig, in_channels: int, image_size: int
) -> dict[tuple[str | int, ...], Shape]:
    """Shapes of all parameters by path, in PyTorch's order, without any arithmetic."""
    network = nnx.eval_shape(
        lambda: UNet(config, in_channels=in_channels, image_size=image_size, rngs=nnx.Rngs(0))
    )
    params = nnx.to_pure_dict(nnx.state(network, nnx.Param))
    return {path: tuple(leaf.shape) for path, leaf in flatten(params)}


def check_network(
    state: State, expected: Mapping[tuple[str | int, ...], Shape], dialect: Dialect, origin: str
) -> None:
    """Compares names, shapes and types of a network's tensors with what they should be.

    Raises:
      InputError: names the first tensor that is missing, not expected, or of a wrong shape.
    """
    wanted = {torch_name(path, dialect): _torch_shape(shape) for path, shape in expected.items()}
    for name, shape in wanted.items():
        if name not in state:
            raise InputError(f"{origin}: {name} is missing, expected shape {list(shape)}")
        if state[name].shape != shape:
            raise InputError(
                f"{origin}: {name} has shape {list(state[name].shape)}, expected {list(shape)}"
            )
    for name, array in state.items():
        if name not in wanted:
            raise InputError(
                f"{origin}: {name} of shape {list(array.shape)} is unexpected, "
                "the network has no such tensor"
            )
        if array.dtype not in (np.float32, np.float64):
            raise InputError(f"{origin}: {name} is {array.dtype}, expected float32 or float64")


def state_shapes(state: State, dialect: Dialect) -> dict[tuple[str | int, ...], Shape]:
    """Our paths and layouts of a PyTorch network's tensors."""
    return {
        jax_path(name, array.ndim, dialect): _jax_shape(array.shape)
        for name, array in state.items()
    }


def check_buffers(arrays: State, diffusion: DiffusionConfig, origin: str) -> None:
    """Compares the twelve arrays of a checkpoint with those of a config's schedule.

    Raises:
      InputError: one is missing, not expected, or differs.
    """
    ours = schedule_buffers(diffusion)
    for name in (*ours, *arrays):
        if name not in arrays:
            raise InputError(f"{origin}: {name} is missing, expected shape [{diffusion.steps}]")
        if name not in ours:
            raise InputError(
                f"{origin}: {name} of shape {list(arrays[name].shape)} is unexpected, "
                "it is neither the network's nor the schedule's"
            )
        if arrays[name].shape != ours[name].shape:
            raise InputError(
                f"{origin}: {name} has shape {list(arrays[name].shape)}, expected "
                f"[{diffusion.steps}] (diffusion.steps)"
            )
        if not np.allclose(arrays[name], ours[name], rtol=_RELATIVE, atol=_ABSOLUTE):
            raise InputError(
                f"{origin}: {name} differs from the schedule {diffusion.schedule} of "
                f"{diffusion.steps} steps from {diffusion.start} to {diffusion.end}; "
                "set section diffusion to the schedule that it was trained with"
            )


def schedule_buffers(diffusion: DiffusionConfig) -> dict[str, np.ndarray]:
    """The twelve arrays of a config's schedule, float64 [T]."""
    return buffers(
        make_schedule(diffusion.schedule, diffusion.steps, diffusion.start, diffusion.end)
    )


def recognise_schedule(arrays: State, base: DiffusionConfig) -> DiffusionConfig | None:
    """Finds the schedule that made a checkpoint's arrays; None where none of ours did."""
    betas = arrays.get("betas")
    if betas is None or betas.ndim != 1 or not len(betas):
        return None
    # Six digits undo the rounding of 1e-4 to float32.
    ends = {"start": float(f"{betas[0]:.6g}"), "end": float(f"{betas[-1]:.6g}")}
    for name in SCHEDULES:
        own: dict[str, Any] = ends if name not in ("jsd", "cosine") else {}
        try:
            config = dataclasses.replace(base, schedule=name, steps=len(betas), **own)
            close = np.allclose(betas, schedule_buffers(config)["betas"], _RELATIVE, 1e-9)
        except ValueError:  # such ends make no betas
            continue
        if close:
            return config
    return None


def _most(values: Iterable[int]) -> int:
    common = Counter(values).most_common(1)
    return common[0][0] if common else 0


def _torch_shape(shape: Shape) -> Shape:
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]


def _jax_shape(shape: Shape) -> Shape:
    return (*shape[2:], shape[1], shape[0]) if len(shape) == 4 else shape[::-1]
