"""One training a folder: a lock that the kernel gives back however its holder dies."""

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from jaxrain.errors import InputError

FILE = ".lock"


@contextlib.contextmanager
def hold(run: Path) -> Iterator[None]:
    """Holds a run's folder, made where absent, until the context or the process ends.

    The file stays for good; what counts is the lock on it (flock), so nothing that a crash leaves
    behind has to be cleaned up. What it says inside is only for people.

    Raises:
      InputError: another process holds it; says which.
      OSError: the folder cannot be written.
    """
    run.mkdir(parents=True, exist_ok=True)
    path = run / FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise InputError(
                f"{run} is being trained by {_holder(path)}; wait for it, stop it, or give another "
                "train.run=FOLDER"
            ) from None
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        os.ftruncate(descriptor, 0)
        holder = f"process {os.getpid()} on {socket.gethostname()} since {now}"
        os.pwrite(descriptor, holder.encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")[:200]
    return "".join(c for c in text if c.isprintable()) or "another process"
