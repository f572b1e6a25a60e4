"""Progress of long work: a bar on a terminal, a few plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
Say = Callable[[str], None]

_LINES = 10  # of a stage, so that a log of thousands of files stays readable


def watched(items: Iterable[T], count: int, what: str, say: Say) -> Iterator[T]:
    """Goes through `items` and shows how far it is.

    Args:
      items: the work, piece by piece.
      count: of the pieces.
      what: 'files read'; names the pieces and what is done.
      say: takes a line, where no terminal shows a bar.
    """
    if say is print and sys.stdout.isatty():
        from rich.progress import track

        yield from track(items, description=what, total=count)
        return
    for done, item in enumerate(items, 1):
        yield item
        if done * _LINES // count > (done - 1) * _LINES // count:
            say(f"{done} of {count} {what}")
