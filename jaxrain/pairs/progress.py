"""Progress of long work: a bar on a terminal, a few plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

_LINES = 10  # of a stage, so that a log of thousands of files stays readable


def watched(items: Sequence[T], what: str, say: Callable[[str], None]) -> Iterator[T]:
    """Goes through `items` and shows how far it is.

    Args:
      items: the work, piece by piece.
      what: 'files read'; names the pieces and what is done.
      say: takes a line, where no terminal shows a bar.
    """
    if say is print and sys.stdout.isatty():
        from rich.progress import track

        yield from track(items, description=what)
        return
    for done, item in enumerate(items, 1):
        yield item
        if done * _LINES // len(items) > (done - 1) * _LINES // len(items):
            say(f"{done} of {len(items)} {what}")
