"""Pieces of work done by many processes, on this machine or on a dask cluster.

Results come in the order of the pieces, whoever did them, so the number of workers and their pace
never change what is made.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import wait
from typing import Protocol, TypeVar

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from jaxrain.errors import InputError
from jaxrain.pairs.preloading import expect_work
from jaxrain.weather.guard import read_here
from jaxrain.weather.large_fields import share_turns

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_CONNECT_S = 20


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class PrepareConfig:
    """Who does the work of `prepare`; what is made does not depend on it.

    Attributes:
      workers: processes on this machine; None takes one a processor, 0 works in the command's own
        process, where a C library that crashes takes the command with it.
      large_at_once: GRIB files of fine rain with more than 4 million points (China at 0.01 degree
        has 42) that this machine's workers read at once: while it is read each takes most of a GiB.
      cluster: address of a running dask cluster's scheduler, as 'tcp://10.0.0.1:8786', whose
        workers see the same files under the same absolute paths; `workers` and `large_at_once` then
        say nothing.
    """

    workers: int | None = Field(default=None, ge=0)
    large_at_once: int = Field(default=2, ge=1)
    cluster: str | None = None


class Run(Protocol):
    """Does pieces of work and yields their results in order."""

    def __call__(
        self, work: Callable[[Piece], Result], pieces: Sequence[Piece], names: Sequence[str]
    ) -> Iterator[Result]:
        """Yields `work(piece)` of each piece; `names` say in an error which piece it was."""


IN_THIS_PROCESS = PrepareConfig(workers=0)


def worker_count(settings: PrepareConfig) -> int:
    """How many pieces are done at once on this machine."""
    if settings.workers is None:
        return len(os.sched_getaffinity(0))
    return max(settings.workers, 1)


@contextmanager
def workforce(settings: PrepareConfig) -> Iterator[Run]:
    """Those who do the work; let go at the end.

    Functions and pieces that are given to them have to be picklable.

    Yields:
      What runs pieces of work. An exception of a piece is raised where its result would have come;
      later pieces that nobody has begun are dropped. A process that dies is an InputError that
      names the piece at which it died.

    Raises:
      InputError: the cluster cannot be reached.
    """
    if settings.cluster is not None:
        with _cluster(settings.cluster) as run:
            yield run
    elif settings.workers == 0:
        yield in_this_process
    else:
        with _processes(worker_count(settings), settings.large_at_once) as run:
            yield run


def in_this_process(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], names: Sequence[str]
) -> Iterator[Result]:
    """A workforce of nobody else."""
    return map(work, pieces)


@contextmanager
def _processes(count: int, large_at_once: int) -> Iterator[Run]:
    pools: list[ProcessPoolExecutor] = []  # the one in use, once there was work

    def run(
        work: Callable[[Piece], Result], pieces: Sequence[Piece], names: Sequence[str]
    ) -> Iterator[Result]:
        first = 0
        while first < len(pieces):
            if not pools:
                pools.append(_pool(count, large_at_once))
            futures = [pools[0].submit(work, piece) for piece in pieces[first:]]
            try:
                for future in futures:
                    yield future.result()
                    first += 1
            except BrokenProcessPool:
                pools.pop().shutdown()
                # Any of the pieces that were begun may have done it: each has a process to itself.
                suspects = 2 * count + 1
                last = min(first + suspects, len(pieces))
                yield from _one_by_one(work, pieces[first:last], names[first:last])
                first = last

    try:
        yield run
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def _one_by_one(
    work: Callable[[Piece], Result],
    pieces: Sequence[Piece],
    names: Sequence[str],
) -> Iterator[Result]:
    """Results of pieces that each have a fresh process, and their reader another.

    Raises:
      InputError: the process of one of them died; names the piece.
    """
    for piece, name in zip(pieces, names, strict=True):
        with _pool(1, 1, suspect=True) as pool:
            try:
                yield pool.submit(work, piece).result()
            except BrokenProcessPool:
                raise InputError(_died(name)) from None


def _died(name: str) -> str:
    return (
        f"{name}: the process that worked on it died, by a crash of a C library or for want of "
        "memory: fetch the file again, leave it out with data.exclude, or take fewer "
        "prepare.workers"
    )


def _pool(count: int, large_at_once: int, *, suspect: bool = False) -> ProcessPoolExecutor:
    # Forked from a process that has imported all and done nothing: quick, and without the threads
    # that make a fork of our own process unsafe.
    expect_work()
    context = multiprocessing.get_context("forkserver")
    # Made anew with the pool: a process that died may have taken its turn with it.
    turns = context.BoundedSemaphore(large_at_once)
    return ProcessPoolExecutor(
        count, mp_context=context, initializer=_begin, initargs=(suspect, turns)
    )


def _begin(suspect: bool, turns: AbstractContextManager) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends us
    if not suspect:
        read_here()  # a process that dies is noticed here, and its pieces are tried again
        share_turns(turns)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent has been killed; it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _cluster(address: str) -> Iterator[Run]:
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise InputError(
            f"prepare.cluster={address} needs dask.distributed: pip install 'jaxrain[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"prepare.cluster={address}: no dask scheduler answers there ({error}): check the "
            "address, or leave it out to work on this machine"
        ) from None

    def run(
        work: Callable[[Piece], Result], pieces: Sequence[Piece], names: Sequence[str]
    ) -> Iterator[Result]:
        futures = client.map(work, pieces, pure=False)
        try:
            for future, name in zip(futures, names, strict=True):
                try:
                    yield future.result()
                except KilledWorker:
                    raise InputError(_died(name)) from None
                future.release()
        finally:
            client.cancel(futures)

    with client:
        yield run
