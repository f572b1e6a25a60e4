"""Readers in a process of their own: a file that brings down a C library costs one line, no more.

ecCodes ends the process where an assertion of its own fails, OpenJPEG may write past its memory,
and HDF5 may follow a damaged file in circles: nothing that Python could catch. One process is
started when it is first needed, reads file after file, and is started anew after a file that ended
it. A process that may itself be lost reads without a second one.
"""

import atexit
import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from jaxrain.errors import InputError

_Result = TypeVar("_Result")
_START = "from jaxrain.weather.guard import serve; serve()"
# CPU time that a file may take, s: packed fields come at 1 MB/s even on slow machines.
_LIMIT_S, _LIMIT_S_PER_MB = 8.0, 10.0
_LENGTH_BYTES = 8

_lock = threading.Lock()
_workers: dict[int, subprocess.Popen[bytes]] = {}  # by the process that started it
_expendable: set[int] = set()  # processes that may be lost


def guarded(reader: Callable[..., _Result], path: str | Path, **keys: Any) -> _Result:
    """Runs `reader(path, **keys)` in the process for readers.

    Args:
      reader: a function of a module.
      path: the file, its first argument.
      keys: its others; they and the result are sent from process to process.

    Returns:
      The reader's result. What it logs is logged here.

    Raises:
      InputError: the reader's own; or the file ended the process, or took longer than any whole
        file of its size does.
      Exception: whatever else the reader raises.
    """
    if os.getpid() in _expendable:
        return _within_limits(reader, path, keys)
    with _lock:
        worker = _worker()
        try:
            _send(worker.stdin, (reader, path, keys))
            result, error, records = pickle.loads(_receive(worker.stdout))
        except (EOFError, BrokenPipeError) as ended:
            raise InputError(
                f"{path}: cannot be read: {_end(worker)}; fetch the file again"
            ) from ended
        except BaseException:  # interrupted: the answer to come would be taken for the next one's
            worker.kill()
            _end(worker)
            raise
    for record in records:
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
    if error is not None:
        raise error
    return result


def read_here() -> None:
    """Says that this process may be lost, so that `guarded` reads in it.

    A file that ends it has to be noticed by whoever gave it work, and named with its help or by
    another try in a process that has not said so. Limits on CPU time hold here as well.
    """
    sys.stdout, sys.stderr = (os.fdopen(os.dup(stream), "w", buffering=1) for stream in (1, 2))
    _silence()
    _expendable.add(os.getpid())


def serve() -> None:
    """What the process for readers does: reads what it is told on stdin, answers on stdout."""
    answers = os.fdopen(os.dup(1), "wb")
    _silence()
    records: list[logging.LogRecord] = []
    logging.basicConfig(level=logging.INFO, handlers=[_Kept(records)])
    while True:
        try:
            packed = _receive(sys.stdin.buffer)
        except EOFError:
            return
        result: object = None
        error: Exception | None = None
        try:
            reader, path, keys = pickle.loads(packed)
            result = _within_limits(reader, path, keys)
        except Exception as raised:
            error = raised
            if not isinstance(raised, InputError):
                raised.add_note(f"In the process for readers:\n{traceback.format_exc()}")
        _send(answers, (result, error, _sendable(records)))
        records.clear()


def _within_limits(
    reader: Callable[..., _Result], path: str | Path, keys: dict[str, Any]
) -> _Result:
    """Runs a reader; the process ends where it takes too long."""
    # Counts CPU time, so that a busy machine is no reason; its signal ends C code too.
    size = Path(path).stat().st_size if Path(path).exists() else 0
    signal.setitimer(signal.ITIMER_PROF, _LIMIT_S + _LIMIT_S_PER_MB * size / 1e6)
    try:
        return reader(path, **keys)
    except MemoryError:
        raise InputError(
            f"{path}: asks for more memory than there is: its header may be damaged; fetch the "
            "file again"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _silence() -> None:
    """Sends what the C libraries print nowhere; what matters comes as an exception."""
    with Path(os.devnull).open("w") as nowhere:
        for printed in (1, 2):
            os.dup2(nowhere.fileno(), printed)


class _Kept(logging.Handler):
    """Keeps what is logged, for the process that asked."""

    def __init__(self, records: list[logging.LogRecord]):
        super().__init__()
        self.records = records

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _sendable(records: list[logging.LogRecord]) -> list[logging.LogRecord]:
    for record in records:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
    return list(records)


def _worker() -> subprocess.Popen[bytes]:
    here = os.getpid()
    worker = _workers.get(here)
    if worker is None or worker.poll() is not None:
        paths = os.pathsep.join(path for path in sys.path if path)
        worker = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
        )
        _workers[here] = worker
        atexit.register(_stop, worker)
    return worker


def _end(worker: subprocess.Popen[bytes]) -> str:
    _stop(worker)
    _workers.pop(os.getpid(), None)
    if worker.returncode == -signal.SIGPROF:
        return "the library that decodes it does not come to an end"
    return f"the library that decodes it broke down (exit status {worker.returncode})"


def _stop(worker: subprocess.Popen[bytes]) -> None:
    if worker.stdin is not None and worker.stdout is not None:
        with contextlib.suppress(BrokenPipeError):
            worker.stdin.close()
        worker.stdout.close()
    worker.wait()


def _send(stream: IO[bytes] | None, content: object) -> None:
    assert stream is not None
    packed = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(packed).to_bytes(_LENGTH_BYTES, "big"))
    stream.write(packed)
    stream.flush()


def _receive(stream: IO[bytes] | None) -> bytes:
    assert stream is not None
    length = stream.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        raise EOFError
    return stream.read(int.from_bytes(length, "big"))
