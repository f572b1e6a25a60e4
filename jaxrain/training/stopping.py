"""Stopping when asked: which signals mean what, and that the process is gone in time.

SIGTERM and SIGUSR1 (a cluster's warning): finish the step, save, end with status 75. That is
EX_TEMPFAIL of sysexits.h, "try again later": no status of success, of a user's error (2), of a
crash (1) or of Ctrl-C (130), so a batch script may requeue on it and on nothing else. SIGINT means
the same politeness with status 130, which nobody requeues; a second SIGINT ends at once.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

REQUEUE = 75
INTERRUPTED = 130
GRACE_SECONDS = 25.0  # of the 30 between a cluster's warning and its SIGKILL

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Stopped(Exception):
    """Training was asked to stop, and what it knows is saved."""


@dataclass
class Stop:
    """Whether this process was asked to stop.

    Attributes:
      asked: the first signal that came, or None.
      waiting: whether the main thread stands where it may be torn away by `Stopped`.
      alone: whether nobody would wait for this process then; several stop together, at a step.
    """

    asked: signal.Signals | None = None
    waiting: bool = False
    alone: bool = True

    @property
    def name(self) -> str:
        """Of the signal."""
        return self.asked.name if self.asked else "nothing"

    @property
    def status(self) -> int:
        """The exit status that says why."""
        return INTERRUPTED if self.asked == signal.SIGINT else REQUEUE

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, being asked raises `Stopped`: for waits whose outcome nobody will need."""
        self.waiting = self.alone
        try:
            if self.asked and self.alone:
                raise Stopped
            yield
        finally:
            self.waiting = False


@contextlib.contextmanager
def listen() -> Iterator[Stop]:
    """Listens to the signals until the context ends; outside the main thread, to none.

    The handlers of Python wait for the main thread, which may stand in a long step. So a thread
    hears the signals too, and ends the process with the same status when the grace is over: what
    lies on disk is always whole, and the next start goes on from the newest checkpoint.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, _: object) -> None:
        stop.asked = stop.asked or signal.Signals(number)
        if stop.waiting:
            stop.waiting = False
            raise Stopped

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    former = {number: signal.signal(number, ask) for number in _SIGNALS}
    former_descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    over = threading.Event()
    threading.Thread(target=_watch, args=(reading, over), daemon=True).start()
    try:
        yield stop
    finally:
        over.set()
        signal.set_wakeup_fd(former_descriptor)
        for number, handler in former.items():
            signal.signal(number, handler)
        os.close(writing)  # the watcher reads the end, and closes its side


def _watch(reading: int, over: threading.Event) -> None:
    interrupts = 0
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while heard := pipe.read(1):
            number = heard[0]
            interrupts += number == signal.SIGINT
            if interrupts == 2:
                _leave(INTERRUPTED, "interrupted twice: ending at once")
            if number in (signal.SIGTERM, signal.SIGUSR1):
                threading.Thread(target=_after_grace, args=(over,), daemon=True).start()


def _after_grace(over: threading.Event) -> None:
    if not over.wait(GRACE_SECONDS):
        _leave(REQUEUE, f"not done {GRACE_SECONDS:.0f} s after the signal: ending without a save")


def _leave(status: int, why: str) -> None:
    if sys.stdout.isatty():
        sys.stdout.write("\033[?25h")  # the progress bar hid the cursor
        sys.stdout.flush()
    os.write(2, f"\n{why}; what was saved before is good\n".encode())
    os._exit(status)
