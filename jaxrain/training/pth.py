"""PyTorch's `.pth` files as nested dicts of numpy arrays. The only file that imports torch."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrain.errors import InputError


def read_pth(path: Path) -> tuple[dict[Any, Any], set[str]]:
    """Reads a file without running any code that it may hold.

    Tensors become numpy arrays, mapped from the file where its format allows; half precision
    becomes float32, which holds every such number.

    Returns:
      The content, and the types of half precision that were in it.

    Raises:
      InputError: torch is absent, or the file is truncated, wants to run code, or holds no dict.
    """
    torch = _torch()
    mapped = zipfile.is_zipfile(path)  # files from before PyTorch 1.6 are plain pickles
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own about old formats
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        raise InputError(
            f"{path} is refused: it is no .pth file, or holds more than tensors and would run code "
            "when read; save the state_dict alone, from where you trust it"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError):
        raise _truncated(path) from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, expected a dict of tensors")
    halves: set[str] = set()

    def to_numpy(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if leaf.dtype in (torch.float16, torch.bfloat16):
            halves.add(str(leaf.dtype).removeprefix("torch."))
            leaf = leaf.float()
        return leaf.detach().numpy()

    return _convert(content, to_numpy), halves


def write_pth(path: Path, content: Mapping[Any, Any]) -> None:
    """Writes nested dicts and lists, whose numpy arrays become tensors.

    Raises:
      InputError: torch is absent.
      OSError: the system refuses, as where the disk is full.
    """
    torch = _torch()

    def to_tensor(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray):
            return torch.from_numpy(np.array(leaf, order="C"))
        return leaf

    with path.open("wb") as file:
        try:
            torch.save(_convert(content, to_tensor), file)
        except RuntimeError as error:
            # torch ends the archive all the same, and says of that alone that it failed.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise InputError(
            ".pth files need PyTorch: pip install 'jaxrain[torch]' (training and sampling do not)"
        ) from None
    return torch


def _truncated(path: Path) -> InputError:
    size = path.stat().st_size
    return InputError(f"{path} is truncated or no .pth file ({size} bytes); copy it again")


def _convert(value: Any, leaf: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _convert(inside, leaf) for key, inside in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_convert(inside, leaf) for inside in value)
    return leaf(value)
