"""Files and folders that are whole or not there: written beside and renamed."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write to, beside `path`, that takes its place at the end.

    Its name is like no other's: what a killed run's last process still writes never meets what the
    next run writes. After an error nothing is left.

    Yields:
      The path to write to, in the same folder, which must exist.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder to write into, beside `path`, that takes its place at the end.

    What is there already goes when the new one is whole; what a killed run left half-written goes
    at once. After an error nothing is left.

    Yields:
      The folder to write into, not yet made, in the same folder, which must exist.
    """
    for left in path.parent.glob(f".{path.name}.*.partial"):
        shutil.rmtree(left)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    replaced = path.with_name(f"{partial.name}.replaced.partial")
    try:
        yield partial
        if path.exists():
            path.rename(replaced)  # a folder that holds something can't be renamed over
        partial.rename(path)
    finally:
        for left in (partial, replaced):
            shutil.rmtree(left, ignore_errors=True)


def remove_partial_files(folder: Path) -> None:
    """Removes what killed runs left half-written anywhere below a folder."""
    for partial in folder.rglob(".*.partial*"):
        partial.unlink(missing_ok=True)
