"""Fields of tens of millions of points: how many processes may hold one at once.

Decoded, a whole-China field takes most of a GiB whatever is cropped from it. Processes that share
turns wait for one before they read such a file, and hold nothing while they wait.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

LARGE_POINTS = 1 << 22
_HEAD = 1 << 14  # bytes in which the grid's section begins

_turns: list[AbstractContextManager] = []  # that this process shares with others, if any


def share_turns(turns: AbstractContextManager) -> None:
    """Says what this process has to hold while it reads a large field, for instance a semaphore."""
    _turns[:] = [turns]


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Waits for a turn where a GRIB file begins with a large field."""
    large = bool(_turns) and first_points(path) >= LARGE_POINTS
    with _turns[0] if large else nullcontext():
        yield


def first_points(path: Path) -> int:
    """Points of a GRIB file's first grid, as its header says; 0 where that is not found."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head[:4] != b"GRIB" or len(head) < 16:
        return 0
    if head[7] == 1:
        grid = head[8 + int.from_bytes(head[8:11], "big") :]
        return int.from_bytes(grid[6:8], "big") * int.from_bytes(grid[8:10], "big")
    position = 16
    while position + 10 <= len(head):
        if head[position + 4] == 3:
            return int.from_bytes(head[position + 6 : position + 10], "big")
        position += max(int.from_bytes(head[position : position + 4], "big"), 5)
    return 0
