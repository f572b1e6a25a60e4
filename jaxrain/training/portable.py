"""Files that carry a network in PyTorch's names: the public pair of `.pth`, ours, safetensors.

`*_gen.pth` and `*_opt.pth` are as the public trainers write them: one state_dict of weights and
schedule; epoch, iter and Adam's state. Ours has the same inside: `params` and `ema` are such
state_dicts, `optimizer` is Adam's; beside them step, epoch, and the config as YAML. A .safetensors
holds the same tensors, named `params.NAME`, `ema.NAME` and `optimizer.NUMBER.exp_avg`, and the rest
as metadata.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxrain.errors import InputError
from jaxrain.training.pth import read_pth, write_pth

FORMAT = "jaxrain"
_LONGEST_NAME = 300
State = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Portable:
    """What such a file holds.

    Attributes:
      params: state_dict with prefix and schedule, or of the network alone.
      ema: likewise, of the averaged weights.
      optimizer: Adam's state_dict.
      step: updates done.
      epoch: that PyTorch's trainer counted.
      config: of ours, YAML.
      notes: sentences on what the file holds and this does not.
    """

    params: State
    ema: State | None = None
    optimizer: dict[str, Any] | None = None
    step: int = 0
    epoch: int = 0
    config: str | None = None
    notes: tuple[str, ...] = ()


def optimizer_file(path: Path) -> Path | None:
    """The `*_opt.pth` that belongs to a `*_gen.pth`; None for other names."""
    if not path.name.endswith("_gen.pth"):
        return None
    return path.with_name(path.name.removesuffix("_gen.pth") + "_opt.pth")


def read_portable(path: Path) -> Portable:
    """Reads any of these files, and the `*_opt.pth` beside a `*_gen.pth`.

    Raises:
      InputError: truncated, of another format, or a pickle that wants to run code.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    content, halves = read_pth(path)
    notes = _half_note(path, halves)
    if isinstance(content.get("params"), Mapping):
        names = {field.name for field in dataclasses.fields(Portable)} - {"notes"}
        return Portable(**{name: content[name] for name in names & set(content)}, notes=notes)
    pair = optimizer_file(path)
    if pair is not None and pair.is_file():
        trainer, halves = read_pth(pair)
        for key in ("iter", "epoch", "optimizer"):
            if key not in trainer:
                raise InputError(f"{pair} has no '{key}', expected epoch, iter, optimizer")
        notes += _half_note(pair, halves)
        if trainer.get("scheduler") is not None:
            notes += (
                f"{pair}: its scheduler's state is left out, the rate follows train.warmup_steps, "
                "train.steps and train.final_learning_rate",
            )
        return Portable(
            params=content,
            optimizer=trainer["optimizer"],
            step=int(trainer["iter"]),
            epoch=int(trainer["epoch"]),
            notes=notes,
        )
    # Public trainers write the step and epoch into the name: I640000_E37_gen.pth.
    counted = re.search(r"I(\d+)_E(\d+)_gen\.pth$", path.name)
    step, epoch = map(int, counted.groups()) if counted else (0, 0)
    return Portable(params=content, step=step, epoch=epoch, notes=notes)


def _half_note(path: Path, types: set[str]) -> tuple[str, ...]:
    if not types:
        return ()
    return (f"{path}: tensors of {' and '.join(sorted(types))} become float32, to the same values",)


def write_public(path: Path, content: Portable) -> None:
    """Writes the weights as a `*_gen.pth`, all of them in `params`."""
    write_pth(path, content.params)


def write_optimizer(path: Path, content: Portable) -> None:
    """Writes the `*_opt.pth` of a content that has an optimizer."""
    trainer = {
        "epoch": content.epoch,
        "iter": content.step,
        "scheduler": None,
        "optimizer": content.optimizer,
    }
    write_pth(path, trainer)


def write_own(path: Path, content: Portable) -> None:
    """Writes our own .pth, which holds everything."""
    fields = {field.name: getattr(content, field.name) for field in dataclasses.fields(content)}
    del fields["notes"]
    write_pth(path, {name: value for name, value in fields.items() if value is not None})


def write_safetensors(path: Path, content: Portable) -> None:
    """Writes everything; numbers and config as metadata.

    Raises:
      OSError: the system refuses, as where the disk is full.
    """
    tensors = {f"params.{name}": array for name, array in content.params.items()}
    tensors |= {f"ema.{name}": array for name, array in (content.ema or {}).items()}
    metadata = {"format": FORMAT, "step": str(content.step), "epoch": str(content.epoch)}
    if content.config is not None:
        metadata["config"] = content.config
    if content.optimizer is not None:
        for number, entry in content.optimizer["state"].items():
            metadata["updates"] = str(int(entry["step"]))
            for name in ("exp_avg", "exp_avg_sq"):
                tensors[f"optimizer.{number}.{name}"] = entry[name]
    # It writes the memory as it lies, so transposed views would come out scrambled.
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    try:
        save_file(contiguous, path, metadata)
    except SafetensorError as error:
        if told := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(told[1]), os.strerror(int(told[1]))) from None
        raise


def _read_safetensors(path: Path) -> Portable:
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError) as error:
        raise InputError(
            f"{path} is truncated or no .safetensors file: {_one_line(error)}"
        ) from None
    for name in tensors:
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise InputError(f"{path}: {name[:60]!r} is no name of a tensor; fetch the file again")
    if metadata.get("format") != FORMAT:
        return Portable(params=tensors)
    groups: dict[str, State] = {"params": {}, "ema": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        group, _, inside = name.partition(".")
        if group not in groups:
            raise InputError(
                f"{path}: {name} of shape {list(tensor.shape)} is unexpected; its names begin "
                "with params., ema. or optimizer."
            )
        groups[group][inside] = tensor
    adam: dict[int, dict[str, Any]] = {}
    for name, tensor in groups["optimizer"].items():
        number, _, key = name.partition(".")
        if not re.fullmatch(r"[0-9]{1,9}", number):
            raise InputError(f"{path}: optimizer.{name[:60]} is unexpected, it has no number")
        entry = adam.setdefault(int(number), {"step": _counted(path, metadata, "updates")})
        entry[key] = tensor
    return Portable(
        params=groups["params"],
        ema=groups["ema"] or None,
        optimizer={"state": adam} if adam else None,
        step=_counted(path, metadata, "step"),
        epoch=_counted(path, metadata, "epoch"),
        config=metadata.get("config"),
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _counted(path: Path, metadata: Mapping[str, str], name: str) -> int:
    text = metadata.get(name, "nothing")
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise InputError(f"{path}: its metadata says {name}={text[:40]!r}, expected a whole number")
    return int(text)
