"""Work in pieces that survive a kill: one file for each case, hour and member or product.

A part is a function of what its fingerprint says, so parts that an interrupted command left are
taken up by the same command, and never by one with other settings. They lie beside the output, in
`OUT.nc.parts/`, until the output is whole.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxrain.arrays import write_array
from jaxrain.errors import InputError


class Part(NamedTuple):
    """Number of the case, its hour and its member, each from 0; a name where it is no member."""

    case: int
    hour: int
    member: int | str


def parts_folder(output: Path) -> Path:
    """Where the parts of an output file lie."""
    return output.with_name(f"{output.name}.parts")


def open_parts(output: Path, fingerprint: dict[str, str], *, discard: bool = False) -> Path:
    """Makes the folder of an output's parts, or takes up the one that an interrupted command left.

    Args:
      output: the file to be made.
      fingerprint: all that defines the values, by name; values are text.
      discard: removes parts that another setting left, instead of refusing.

    Returns:
      The folder.

    Raises:
      InputError: the folder holds parts of another setting; names the first that differs.
    """
    folder = parts_folder(output)
    note = folder / "fingerprint.json"
    if note.exists():
        theirs = json.loads(note.read_text(encoding="utf-8"))
        if theirs == fingerprint:
            return folder
        if not discard:
            raise InputError(f"{folder}: {_difference(fingerprint, theirs)}")
        shutil.rmtree(folder)
    # A kill may leave the folder without its note, but nothing that is not hidden.
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise InputError(
            f"{folder}: expected parts of an ensemble or nothing, but there are other files; "
            "move them, or choose another --output"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write(note, json.dumps(fingerprint, indent=1).encode())
    return folder


def save_part(folder: Path, part: Part, rain_mm: NDArray[np.float32]) -> None:
    """Writes the rain of a part, mm [H, W], or products [P, H, W], beside and renames."""
    path = _path(folder, part)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            write_array(file, rain_mm)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # a full disk is not filled further


def missing_parts(folder: Path, parts: Iterable[Part]) -> list[Part]:
    """Those of `parts` that are not yet whole, in their order."""
    return [part for part in parts if not _path(folder, part).exists()]


def load_part(folder: Path, part: Part) -> NDArray[np.float32]:
    """What was saved of a part, mapped: only what is looked at is read."""
    return np.load(_path(folder, part), allow_pickle=False, mmap_mode="r")


def remove_part(folder: Path, part: Part) -> None:
    """Removes one part."""
    _path(folder, part).unlink()


def remove_parts(folder: Path) -> None:
    """Removes the parts once the output is whole."""
    shutil.rmtree(folder)


def _path(folder: Path, part: Part) -> Path:
    member = part.member if isinstance(part.member, str) else f"{part.member:05d}"
    return folder / f"{part.case:04d}" / f"{part.hour:06d}_{member}.npy"


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    name = next(n for n in {**ours, **theirs} if ours.get(n) != theirs.get(n))
    here, there = (_shortened(f.get(name, "none")) for f in (ours, theirs))
    return (
        f"holds parts of an interrupted command whose {name} was {there}, now it is {here}; "
        "run that command again to finish it, or add --overwrite to begin afresh"
    )


def _shortened(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:24]}..."
