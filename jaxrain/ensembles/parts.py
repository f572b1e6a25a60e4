"""Work in pieces that survive a kill: one file for each case, hour and member or product.

A part is a function of what its fingerprint says, so parts that an interrupted command left are
taken up by the same command, and never by one with other settings. They lie beside the output, in
`OUT.nc.parts/`, until the output is whole.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jaxrain.arrays import write_array
from jaxrain.errors import InputError
from jaxrain.lock import hold

_NOTE = "fingerprint.json"
_CASE = re.compile(r"\d{4,}")
_PART = re.compile(rf"{_CASE.pattern}/\d{{6,}}_\w+\.npy")


class Part(NamedTuple):
    """Number of the case, its hour and its member, each from 0; a name where it is no member."""

    case: int
    hour: int
    member: int | str


def parts_folder(output: Path) -> Path:
    """Where the parts of an output file lie."""
    return output.with_name(f"{output.name}.parts")


def file_state(path: Path) -> str:
    """What tells a fingerprint that a large file, or a Zarr store, is the same as before: sha256 of
    names inside it, sizes and times of last change."""
    files = [f for f in (sorted(path.rglob("*")) if path.is_dir() else [path]) if f.is_file()]
    told = [(str(f.relative_to(path)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()


@contextmanager
def open_parts(
    output: Path, fingerprint: dict[str, str], *, discard: bool = False
) -> Iterator[Path]:
    """Makes the folder of an output's parts, or takes up the one that an interrupted command left.

    No other process works at them until the context ends.

    Args:
      output: the file to be made.
      fingerprint: all that defines the values, by name; values are text.
      discard: removes parts that another setting left, instead of refusing.

    Yields:
      The folder.

    Raises:
      InputError: another process makes the output, the folder cannot be made, or it holds parts of
        another setting; names the first that differs.
    """
    folder = parts_folder(output)
    _refuse_other_files(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # by a file system that holds what the kernel tells, as /proc
        raise InputError(
            f"--output {output}: the folder {output.parent} cannot be made; choose another"
        ) from None
    removed = _on_its_way_out(folder)
    with hold(folder, f"{output} is being made", "wait for it, or choose another --output"):
        shutil.rmtree(removed, ignore_errors=True)
        note = folder / _NOTE
        theirs = _read(note)
        if theirs != fingerprint:
            found = [path for path in folder.iterdir() if _CASE.fullmatch(path.name)]
            if found and not discard:
                raise InputError(f"{folder}: {_difference(fingerprint, theirs)}")
            for path in found:
                shutil.rmtree(path)
            # Last: after a kill before it, the parts that stay are still of what the note says.
            _write(note, json.dumps(fingerprint, indent=1).encode())
        yield folder
    # NFS keeps a file that is open, as the lock was, in its folder under another name.
    shutil.rmtree(removed, ignore_errors=True)
    _tell_of(removed)


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
    """Removes the parts once the output is whole; what a kill amid it leaves is in nobody's way.

    Nothing that goes wrong here is an error: the output stands.
    """
    removed = _on_its_way_out(folder)
    try:
        folder.rename(removed)
    except OSError:  # as where another program has a file open that an earlier command left there
        removed = folder
    shutil.rmtree(removed, ignore_errors=True)
    if removed == folder:
        _tell_of(folder)


def _tell_of(left: Path) -> None:
    """A line on parts that could not be removed, if they are there."""
    if left.exists():
        said = f"warning: {left} is needed no more and could not be removed; delete it"
        print(said, file=sys.stderr)


def _on_its_way_out(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.removed")


def _refuse_other_files(folder: Path) -> None:
    """Refuses what is something else; hidden files are a lock, or what a kill left half-written."""
    other = folder.exists() and not folder.is_dir()
    if not (folder / _NOTE).exists():
        for inside, _, names in os.walk(folder):
            for path in (Path(inside, name) for name in names if not name.startswith(".")):
                other = other or not _PART.fullmatch(str(path.relative_to(folder)))
    if other:
        raise InputError(
            f"{folder}: expected parts of an ensemble or nothing, but there are other files; "
            "move them, or choose another --output"
        )


def _path(folder: Path, part: Part) -> Path:
    member = part.member if isinstance(part.member, str) else f"{part.member:05d}"
    return folder / f"{part.case:04d}" / f"{part.hour:06d}_{member}.npy"


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _read(note: Path) -> dict[str, str] | None:
    """The fingerprint in a note; None where there is none, or half of one."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _difference(ours: dict[str, str], theirs: dict[str, str] | None) -> str:
    if theirs is None:
        return f"holds parts without their {_NOTE}; add --overwrite to begin afresh"
    name = next(n for n in {**ours, **theirs} if ours.get(n) != theirs.get(n))
    here, there = (_shortened(f.get(name, "none")) for f in (ours, theirs))
    return (
        f"holds parts of an interrupted command whose {name} was {there}, now it is {here}; "
        "run that command again to finish it, or add --overwrite to begin afresh"
    )


def _shortened(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:24]}..."
