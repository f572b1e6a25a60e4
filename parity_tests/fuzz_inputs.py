"""Damaged settings, manifests, checkpoints, arrays and station files through their readers:
python -m parity_tests.fuzz_inputs --mutations 10000 --seed 0.

Each is read, or refused by an InputError of one line. A traceback, more than 10 s of processor
time, a file that was written, or much memory taken is a finding. Mutation number k of a subject and
seed is the same whatever the count. The readers of GRIB and NetCDF: `jaxrain.weather.fuzz`.
"""

import argparse
import json
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxrain.errors import InputError
from parity_tests.fuzz_subjects import SUBJECTS, Subject
from parity_tests.hostile import spoil, spoil_header

LIMIT_S = 10.0
MEMORY_BYTES = 256 << 20  # that a reader of these small files may take at most
OUTCOMES = ("read", "refused", "traceback", "without end", "memory", "litter")


@dataclass(frozen=True)
class Outcome:
    """What became of one damaged file: one of OUTCOMES, and what was said or done."""

    number: int
    told: str
    outcome: str
    detail: str


class _Overtime(BaseException):
    """No reader catches it."""


def fuzz(subject: Subject, numbers: Sequence[int], seed: int) -> Iterator[Outcome]:
    """Damages one of a subject's files and reads it, again and again."""
    whole = subject.files()
    victims = [name for name in subject.victims if name in whole]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "whole"
        for path, content in whole.items():
            _write(folder / path, content)
        for victim in victims:
            if (said := _read(subject.read, folder, victim)) != ("read", ""):
                raise AssertionError(f"{subject.name}: whole files are not read: {said[1]}")
        for number in numbers:
            rng = np.random.default_rng((seed, number))
            victim = victims[int(rng.integers(len(victims)))]
            # Readers keep maps of what they read by path: every number is a folder of its own.
            folder = folder.rename(folder.with_name(str(number)))
            head = subject.header(whole[victim])
            if head is None:
                content, told = spoil(whole[victim], rng)
            else:
                content, told = spoil_header(whole[victim], head, rng)
            _write(folder / victim, content)
            subject.mend(folder)
            before = _listing(folder)
            outcome, detail = _read(subject.read, folder, victim)
            if _listing(folder) != before:
                outcome, detail = "litter", f"{set(_listing(folder)) ^ set(before)}"
            yield Outcome(number, f"{victim}: {told}", outcome, detail)
            _write(folder / victim, whole[victim])


def _read(read: Callable[[Path, str], Any], folder: Path, victim: str) -> tuple[str, str]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with _limited():
            read(folder, victim)
        outcome, said = "read", ""
    except InputError as error:
        said = str(error)
        outcome = "refused" if said and "\n" not in said else "traceback"
    except _Overtime:
        outcome, said = "without end", f"more than {LIMIT_S} s"
    except MemoryError:
        outcome, said = "memory", traceback.format_exc()
    except Exception:
        outcome, said = "traceback", traceback.format_exc()
    taken = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if taken > MEMORY_BYTES:
        return "memory", f"{taken >> 20} MiB"
    return outcome, said


@contextmanager
def _limited() -> Iterator[None]:
    def over(*_: object) -> None:
        raise _Overtime

    former = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # cutting a file short under its map would end the process
    path.write_bytes(content)


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    found = (path for path in folder.rglob("*"))
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all subjects, or those named; status 1 where there are findings."""
    names = [subject.name for subject in SUBJECTS]
    parser = argparse.ArgumentParser(prog="python -m parity_tests.fuzz_inputs")
    parser.add_argument("subjects", nargs="*", help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--mutations", type=int, default=10_000, help="of each (default: 10000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="of each: ends earlier, says how far it came")
    asked = parser.parse_args(argv)
    if unknown := set(asked.subjects) - set(names):
        parser.error(f"no subject {', '.join(unknown)}; there are {', '.join(names)}")
    findings = 0
    for subject in SUBJECTS:
        if asked.subjects and subject.name not in asked.subjects:
            continue
        counts, began, seen = Counter[str](), time.monotonic(), Counter[str]()
        for each in fuzz(subject, range(asked.first, asked.first + asked.mutations), asked.seed):
            counts[each.outcome] += 1
            if each.outcome not in ("read", "refused"):
                last = each.detail.strip().splitlines()[-1][:200]
                seen[last] += 1
                if seen[last] == 1:
                    print(f"{subject.name} {each.number} {each.outcome}: {each.told}")
                    print(each.detail, flush=True)
            if asked.minutes is not None and time.monotonic() - began > 60 * asked.minutes:
                break
        told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)
        took = time.monotonic() - began
        print(
            f"{subject.name}: seed {asked.seed}, {counts.total()} mutations from {asked.first}: "
            f"{told}; {took:.0f} s",
            flush=True,
        )
        findings += sum(counts[outcome] for outcome in OUTCOMES[2:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"findings": findings, "peak_memory_mib": round(peak)}))
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
