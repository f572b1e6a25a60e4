"""One process at a piece of work: a lock that the kernel gives back however its holder dies."""

import contextlib
import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from jaxrain.errors import InputError

FILE = ".lock"

# Of file systems that know no such lock, as Lustre without its option flock.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextlib.contextmanager
def hold(folder: Path, work: str, remedy: str) -> Iterator[None]:
    """Holds a folder, made where absent, until the context or the process ends.

    What counts is the lock on a file in it (flock), so nothing that a crash leaves behind has to be
    cleaned up; where the file system knows none, a warning says so and nothing is held. The holder
    may rename the folder and remove it: who comes next makes another. What the file says inside is
    only for people.

    Args:
      folder: that only one process shall work in.
      work: what a second one is told of it, as in 'runs/demo is being trained'.
      remedy: what it is told to do.

    Raises:
      InputError: another process holds it; says which.
      OSError: the folder cannot be written.
    """
    while (descriptor := _lock(folder, work, remedy)) is None:
        pass
    try:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        os.ftruncate(descriptor, 0)
        holder = f"process {os.getpid()} on {socket.gethostname()} since {now}"
        os.pwrite(descriptor, holder.encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path, work: str, remedy: str) -> int | None:
    """The file, open and locked; None where its holder took it away meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with contextlib.ExitStack() as stack, contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                said = f"warning: {folder} lies on a file system without locks: see to it yourself "
                print(said + "that no other process works there", file=sys.stderr)
            elif error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise InputError(f"{work} by {_holder(path)}; {remedy}") from None
            else:
                raise
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            stack.pop_all()
            return descriptor
    return None


def _holder(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")[:200]
    return "".join(c for c in text if c.isprintable()) or "another process"
