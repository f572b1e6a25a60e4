"""Files that are whole or not there: written beside and renamed."""

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


def remove_partial_files(folder: Path) -> None:
    """Removes what killed runs left half-written anywhere below a folder."""
    for partial in folder.rglob(".*.partial*"):
        partial.unlink(missing_ok=True)
