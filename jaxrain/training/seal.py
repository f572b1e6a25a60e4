"""Seals: size and sha256 of every file of a folder, so that damage is told from what is whole."""

import hashlib
import json
from pathlib import Path

FILE = "seal.json"


def write_seal(folder: Path, *, ignore: frozenset[str] = frozenset()) -> None:
    """Writes FILE into a folder: name, bytes and sha256 of each file in it.

    Args:
      folder: finished, all its files closed.
      ignore: names in it that may change later.
    """
    files = {
        name: [path.stat().st_size, _sha256(path)]
        for name, path in _files(folder).items()
        if name not in ignore
    }
    partial = folder / f".{FILE}.partial"
    partial.write_text(json.dumps(files, separators=(",", ":")), encoding="utf-8")
    partial.replace(folder / FILE)


def find_damage(folder: Path) -> str | None:
    """Compares a folder with its seal, reading every file.

    Returns:
      None where all is as it was written; else which file is missing, shortened or changed.
    """
    try:
        sealed = json.loads((folder / FILE).read_text(encoding="utf-8"))
        expected = {str(name): (int(size), str(digest)) for name, (size, digest) in sealed.items()}
    except FileNotFoundError:
        return f"{FILE} is missing"
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return f"{FILE} is unreadable"
    # Names come from the folder, never from the seal: no text in a file becomes a path.
    present = _files(folder)
    for name, (size, digest) in sorted(expected.items()):
        if name not in present:
            return f"{name} is missing"
        actual = present[name].stat().st_size
        if actual != size:
            return f"{name} has {actual} bytes instead of {size}"
        if _sha256(present[name]) != digest:
            return f"{name} has other bytes than were written"
    return None


def _files(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (FILE, f".{FILE}.partial")
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
