"""Names and layouts of the network's parameters in PyTorch checkpoints. Knows no torch.

Ours is a nested dict of the flax modules, e.g. downs / 1 / res_block / block1 / conv / kernel, with
kernels [k, k, I, O] and [I, O]; theirs is flat, e.g. downs.1.res_block.block1.block.3.weight, with
weights [O, I, k, k] and [O, I]. Two public dialects name some layers differently.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import numpy as np

Dialect = Literal["sr3", "climate"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)

# Prefix of the network inside a `*_gen.pth`, whose remaining entries are the schedule's buffers.
PREFIX: dict[Dialect, str] = {"sr3": "denoise_fn.", "climate": "denoise_net."}

_EMBEDDING: dict[Dialect, str] = {"sr3": "noise_level_mlp", "climate": "time_embedding"}
_SHIFT: dict[Dialect, str] = {"sr3": "noise_func.noise_func.0", "climate": "noise_func.noise_func"}

# Siblings in the order in which PyTorch registers them: Adam's state is numbered by it.
_ORDER = (
    *("noise_embedding", "downs", "mid", "ups", "final_conv", "first", "second"),
    *("res_block", "attn", "noise_func", "block1", "block2", "res_conv"),
    *("norm", "qkv", "out", "conv", "kernel", "scale", "bias"),
)

Path = tuple[str | int, ...]


def flatten(params: Mapping[Any, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields (path, leaf) of a nested dict in PyTorch's order of registration.

    Places in a list are ints in the path, also where the dict has them as text.
    """
    for key in sorted(params, key=_place):
        whole = (*path, int(key) if str(key).isdigit() else str(key))
        if isinstance(params[key], Mapping):
            yield from flatten(params[key], whole)
        else:
            yield whole, params[key]


def _place(key: str | int) -> int:
    return int(key) if str(key).isdigit() else _ORDER.index(str(key))


def unflatten(leaves: Mapping[Path, Any]) -> dict[Any, Any]:
    """The nested dict with these leaves; the inverse of `flatten`."""
    tree: dict[Any, Any] = {}
    for path, leaf in leaves.items():
        branch = tree
        for key in path[:-1]:
            branch = branch.setdefault(key, {})
        branch[path[-1]] = leaf
    return tree


def torch_name(path: Path, dialect: Dialect) -> str:
    """Name in a state_dict, without prefix."""
    name = ".".join(map(str, path))
    name = name.replace("noise_embedding.first", f"{_EMBEDDING[dialect]}.1")
    name = name.replace("noise_embedding.second", f"{_EMBEDDING[dialect]}.3")
    name = name.replace("noise_func", _SHIFT[dialect])
    name = re.sub(r"(block[12]|final_conv)\.norm", r"\1.block.0", name)
    name = re.sub(r"(block[12]|final_conv)\.conv", r"\1.block.3", name)
    return re.sub(r"\.(kernel|scale)$", ".weight", name)


def jax_path(name: str, ndim: int, dialect: Dialect) -> Path:
    """The inverse of `torch_name`; ndim of the tensor tells a norm's scale from a kernel.

    Names that are none of the network's come back as a path that no network has.
    """
    name = re.sub(r"\.weight$", ".scale" if ndim == 1 else ".kernel", name)
    name = re.sub(r"(block[12]|final_conv)\.block\.0\.", r"\1.norm.", name)
    name = re.sub(r"(block[12]|final_conv)\.block\.3\.", r"\1.conv.", name)
    name = name.replace(f"{_SHIFT[dialect]}.", "noise_func.")
    name = name.replace(f"{_EMBEDDING[dialect]}.1.", "noise_embedding.first.")
    name = name.replace(f"{_EMBEDDING[dialect]}.3.", "noise_embedding.second.")
    return tuple(int(part) if part.isdigit() else part for part in name.split("."))


def to_torch_layout(array: np.ndarray) -> np.ndarray:
    """[k, k, I, O] -> [O, I, k, k] and [I, O] -> [O, I]; vectors stay. No copy."""
    return np.transpose(array, (3, 2, 0, 1)) if array.ndim == 4 else array.T


def to_jax_layout(array: np.ndarray) -> np.ndarray:
    """[O, I, k, k] -> [k, k, I, O] and [O, I] -> [I, O]; vectors stay. No copy."""
    return np.transpose(array, (2, 3, 1, 0)) if array.ndim == 4 else array.T


def to_torch(params: Mapping[Any, Any], dialect: Dialect) -> dict[str, np.ndarray]:
    """Our nested dict as a flat one of views in PyTorch's names, layouts and order."""
    return {
        torch_name(path, dialect): to_torch_layout(np.asarray(leaf))
        for path, leaf in flatten(params)
    }


def from_torch(state: Mapping[str, np.ndarray], dialect: Dialect) -> dict[Any, Any]:
    """A flat dict without prefix as our nested one, of views; the inverse of `to_torch`."""
    return unflatten(
        {jax_path(name, array.ndim, dialect): to_jax_layout(array) for name, array in state.items()}
    )
