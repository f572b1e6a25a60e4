"""Damaged files through all readers: python -m jaxrain.weather.fuzz --mutations 10000 --seed 0.

Each file is read in a worker process that lives on as long as it can, since a C library may bring
it down. A file is read, or refused in one line that names it; anything else is a finding. Mutation
number k of a seed is the same whatever the count and the number of workers.
"""

import argparse
import logging
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from jaxrain.errors import InputError
from jaxrain.weather.era5 import inventory, read_coarse
from jaxrain.weather.fine_files import read_fine_file
from jaxrain.weather.fuzz_files import damaged, whole_files
from jaxrain.weather.variables import PREDICTORS

OUTCOMES = ("read", "refused", "traceback", "hang", "crash", "litter")
_FINDINGS = OUTCOMES[2:]
_LIMIT_S = 10.0
_MEMORY_BYTES = 6 << 30


@dataclass(frozen=True)
class Finding:
    """A file that was neither read nor refused.

    Attributes:
      number: of the mutation.
      told: what was done to which file.
      outcome: one of OUTCOMES.
      detail: the last lines of the traceback, or how the process ended.
    """

    number: int
    told: str
    outcome: str
    detail: str


def read_all(path: Path) -> tuple[str, str]:
    """Reads a file as coarse and as fine.

    Returns:
      The outcome: a finding where one of the two is, else 'read' where one of the two is read;
      and what was said.
    """
    outcomes = [_outcome(path, reader) for reader in (_coarse, read_fine_file)]
    order = (*reversed(_FINDINGS), "read", "refused")
    return min(outcomes, key=lambda each: order.index(each[0]))


def _coarse(path: Path) -> object:
    found = inventory(path)
    levels = sorted({level for each in found.levels.values() for level in each})
    whole = [int(level) for level in levels if level == int(level)][:2]
    return read_coarse(
        path,
        variables=PREDICTORS,
        levels=whole,
        interpolate_levels=True,
        derive_humidity=True,
        partial=True,
    )


def _outcome(path: Path, reader: Callable[[Path], object]) -> tuple[str, str]:
    beside = sorted(path.parent.iterdir())
    try:
        reader(path)
        outcome, said = "read", ""
    except InputError as error:
        said = str(error)
        outcome = "refused" if "\n" not in said and path.name in said else "traceback"
    except Exception:
        outcome, said = "traceback", traceback.format_exc()
    left = set(path.parent.iterdir()) - set(beside)
    return ("litter", f"left {left}") if left else (outcome, said)


def _serve(connection: Connection) -> None:
    """A worker: reads the files whose paths come in until its end is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 (what the C libraries print themselves)
        os.dup2(nowhere.fileno(), 2)
    while True:
        try:
            path = connection.recv()
        except EOFError:
            return
        connection.send(read_all(path))


def fuzz(
    numbers: Iterable[int], seed: int, *, limit_s: float = _LIMIT_S
) -> Iterator[tuple[Finding, bytes]]:
    """Reads damaged files one after another, each by a worker that the last file left alive.

    Args:
      numbers: of the mutations.
      seed: makes the mutations together with their numbers.
      limit_s: a file that takes longer is a hang.

    Yields:
      What became of each, and its content.
    """
    files = whole_files()
    worker: tuple[BaseProcess, Connection] | None = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number in numbers:
                name, content, told = damaged(files, np.random.default_rng((seed, number)))
                path = Path(folder) / name
                path.write_bytes(content)
                worker = worker or _start()
                outcome, detail = _ask(worker, path, limit_s)
                if outcome in ("hang", "crash"):
                    _stop(worker)
                    worker = None
                for each in Path(folder).iterdir():
                    each.unlink()
                yield Finding(number, told, outcome, detail), content
    finally:
        if worker is not None:
            _stop(worker)


def _start() -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    ours.send(Path(os.devnull))  # it answers when its imports are done, which take their time
    ours.recv()
    return process, ours


def _ask(worker: tuple[BaseProcess, Connection], path: Path, limit_s: float) -> tuple[str, str]:
    process, connection = worker
    try:
        connection.send(path)
        if not connection.poll(limit_s):
            return "hang", f"over {limit_s:g} s"
        return connection.recv()
    except (EOFError, ConnectionError):
        process.join(limit_s)
        return "crash", f"exit code {process.exitcode}"


def _stop(worker: tuple[BaseProcess, Connection]) -> None:
    process, connection = worker
    connection.close()
    process.kill()
    process.join()


def main(argv: list[str] | None = None) -> int:
    """Runs mutations and prints what became of them; status 1 where there are findings."""
    parser = argparse.ArgumentParser(prog="python -m jaxrain.weather.fuzz")
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=_LIMIT_S, help="seconds for each file")
    parser.add_argument("--minutes", type=float, help="stops early, having said how far it came")
    parser.add_argument("--keep", type=Path, help="folder for the files that are findings")
    asked = parser.parse_args(argv)
    numbers = range(asked.first, asked.first + asked.mutations)
    counts, began = Counter[str](), time.monotonic()
    for finding, content in fuzz(numbers, asked.seed, limit_s=asked.limit):
        counts[finding.outcome] += 1
        if finding.outcome in _FINDINGS:
            last = finding.detail.strip().splitlines()[-1]
            print(f"{finding.number} {finding.outcome}: {finding.told}: {last}", flush=True)
            if asked.keep is not None:
                asked.keep.mkdir(parents=True, exist_ok=True)
                (asked.keep / str(finding.number)).write_bytes(content)
                (asked.keep / f"{finding.number}.txt").write_text(finding.detail)
        if asked.minutes is not None and time.monotonic() - began > 60 * asked.minutes:
            break
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)
    minutes = (time.monotonic() - began) / 60
    done = f"seed {asked.seed}, {counts.total()} mutations from {asked.first}"
    print(f"{done}: {told}; {minutes:.1f} min")
    return int(any(counts[outcome] for outcome in _FINDINGS))


if __name__ == "__main__":
    sys.exit(main())
