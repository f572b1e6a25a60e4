"""Processes that live side by side and compute one after the other, so that noise hits all alike.

A worker serves one system in one mode. Its standard input brings a job, a JSON object on one line,
then a count of steps a line; each count is answered by `[seconds, peak memory in MiB or null]`,
and by a third number, the operations of a step, where they are others than the job says.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS_A_REPETITION = 0.2  # fast steps are repeated within one repetition until it takes this


class WorkerEnded(Exception):
    """A worker's process ended before it answered; the message is the last line that it said."""


@dataclass(frozen=True)
class Measured:
    """What a worker's repetitions gave.

    Attributes:
      seconds: of a step, one per repetition.
      peak_memory_mib: of its device or, on CPU, of its process.
      operations: of a step, where it counts its own.
    """

    seconds: list[float]
    peak_memory_mib: float | None
    operations: int | None


@dataclass
class Worker:
    """A process that does one job after another.

    Attributes:
      process: its standard input and output are pipes.
      errors: file that takes its standard error.
      mode: how the system runs; goes with each job.
    """

    process: subprocess.Popen[str]
    errors: Any
    mode: str

    def start(self, job: Mapping[str, Any]) -> None:
        """Gives it its next job."""
        self._send({**job, "mode": self.mode})

    def run(self, steps: int) -> tuple[float, float | None, int | None]:
        """Seconds of one step, the device's peak memory in MiB and the operations of a step.

        Raises:
          WorkerEnded: it did not live to answer.
        """
        self._send(steps)
        assert self.process.stdout
        answer = self.process.stdout.readline()
        if not answer:
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines() or ["it said nothing"]
            raise WorkerEnded(said[-1])
        seconds, peak, *operations = json.loads(answer)
        return seconds / steps, peak, operations[0] if operations else None

    def _send(self, request: Mapping[str, Any] | int) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # the answer that misses says it better
            print(json.dumps(request), file=self.process.stdin, flush=True)

    def forget_peak(self) -> None:
        """Starts the process's peak anew, so that compilation does not count. Linux only."""
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_memory_mib(self) -> float | None:
        """Most resident memory since then; None where /proc does not tell."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        return None


@contextlib.contextmanager
def open_worker(module: str, mode: str, **environment: str) -> Iterator[Worker]:
    """Starts `python -m module`, and ends it."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment() | environment,
        )
        try:
            yield Worker(process, errors, mode)
        finally:
            process.kill()
            process.communicate()


def begin(worker: Worker, job: Mapping[str, Any]) -> None:
    """Gives it a job and has it compiled."""
    worker.start(job)
    worker.run(1)


def begin_together(jobs: Sequence[tuple[Worker, Mapping[str, Any]]]) -> None:
    """`begin` of all side by side. One that ended says so when it is asked next."""

    def begin_one(pair: tuple[Worker, Mapping[str, Any]]) -> None:
        with contextlib.suppress(WorkerEnded):
            begin(*pair)

    with ThreadPoolExecutor(max(len(jobs), 1)) as pool:
        list(pool.map(begin_one, jobs))


def steps_a_repetition(worker: Worker) -> int:
    """How many steps of the job that it began with make one repetition."""
    once = min(worker.run(1)[0] for _ in range(3))  # a CUDA graph is recorded in the second step
    worker.forget_peak()
    return max(1, round(SECONDS_A_REPETITION / once))


def take_turns(workers: Sequence[Worker], counts: Sequence[int], repeats: int) -> list[Measured]:
    """Measures warm workers, one repetition of each in turn; counts are of `steps_a_repetition`."""
    turns = [
        [worker.run(count) for worker, count in zip(workers, counts, strict=True)]
        for _ in range(repeats)
    ]
    return [
        Measured(
            seconds=[seconds for seconds, _, _ in runs],
            peak_memory_mib=runs[-1][1] or worker.peak_memory_mib(),
            operations=runs[-1][2],
        )
        for worker, runs in zip(workers, zip(*turns, strict=True), strict=True)
    ]


def compile_seconds(module: str, mode: str, job: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds before a job's first step, cold, and in a later process that finds the cache."""
    found = []
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            with open_worker(module, mode, JAX_COMPILATION_CACHE_DIR=cache) as worker:
                worker.start(job)
                first, *_ = worker.run(1)
                again, *_ = worker.run(1)
                found.append(max(first - again, 0.0))
    return found[0], found[1]


def _environment() -> dict[str, str]:
    """One for all workers: as many threads as processors, and large pages that malloc keeps.

    On a GPU each takes what it needs as it needs it, for several live side by side.
    """
    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    keep = 2**32  # bytes
    return {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        **os.environ,
        "OMP_NUM_THREADS": str(processors),
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"
        f":glibc.malloc.mmap_threshold={keep}:glibc.malloc.trim_threshold={keep}",
    }
