"""Damaged files through all readers: python -m jaxrain.weather.fuzz --mutations 10000 --seed 0.

A file is read, or refused in one line that names it; where it brought down a C library or ran in
circles, the guard of `jaxrain.weather.guard` says so in that line. Anything else is a finding.
Mutation number k of a seed is the same whatever the count.
"""

import argparse
import logging
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.era5 import inventory, read_coarse
from jaxrain.weather.fine_files import read_fine_file
from jaxrain.weather.fuzz_files import damaged, whole_files
from jaxrain.weather.guard import guarded
from jaxrain.weather.variables import PREDICTORS

OUTCOMES = ("read", "refused", "broke down", "without end", "traceback", "litter")
FINDINGS = OUTCOMES[-2:]
_BY_THE_GUARD = {"broke down": "broke down", "does not come to an end": "without end"}


@dataclass(frozen=True)
class Outcome:
    """What became of a damaged file.

    Attributes:
      number: of the mutation.
      told: what was done to which file.
      outcome: one of OUTCOMES; the worst of those as a coarse and as a fine file, but 'read' where
        it was read as one and refused as the other.
      detail: the line that refused it, or the traceback.
      content: of the file.
    """

    number: int
    told: str
    outcome: str
    detail: str
    content: bytes


def fuzz(numbers: Iterable[int], seed: int) -> Iterator[Outcome]:
    """Damages and reads files, one after another.

    Args:
      numbers: of the mutations.
      seed: makes the mutations together with their numbers.
    """
    files = whole_files()
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            name, content, told = damaged(files, np.random.default_rng((seed, number)))
            path = Path(folder) / name
            path.write_bytes(content)
            yield Outcome(number, told, *read_all(path), content)
            for each in Path(folder).iterdir():
                each.unlink()


def read_all(path: Path) -> tuple[str, str]:
    """Reads a file as coarse and as fine; the outcome and what was said, as in `Outcome`."""
    outcomes = [_outcome(path, reader) for reader in (read_predictors, read_fine_file)]
    order = (*reversed(OUTCOMES[2:]), "read", "refused")
    return min(outcomes, key=lambda each: order.index(each[0]))


def read_predictors(path: Path) -> xr.Dataset:
    """Reads all predictors that a file holds, on the first two levels that are whole numbers."""
    found = inventory(path)
    levels = sorted({level for each in found.levels.values() for level in each})
    return read_coarse(
        path,
        variables=PREDICTORS,
        levels=[int(level) for level in levels if level == int(level)][:2],
        interpolate_levels=True,
        derive_humidity=True,
        partial=True,
    )


def _outcome(path: Path, reader: Callable[[Path], xr.Dataset]) -> tuple[str, str]:
    try:
        guarded(reader, path)
        outcome, said = "read", ""
    except InputError as error:
        said = str(error)
        outcome = "refused" if "\n" not in said and path.name in said else "traceback"
        for words, guards in _BY_THE_GUARD.items():
            outcome = guards if words in said else outcome
    except Exception:
        outcome, said = "traceback", traceback.format_exc()
    left = [each.name for each in path.parent.iterdir() if each != path]
    return ("litter", f"left {left}") if left else (outcome, said)


def main(argv: list[str] | None = None) -> int:
    """Runs mutations and prints what became of them; status 1 where there are findings."""
    parser = argparse.ArgumentParser(prog="python -m jaxrain.weather.fuzz")
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="ends earlier, and says how far it came")
    parser.add_argument("--keep", type=Path, help="folder for files that are findings")
    asked = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    numbers = range(asked.first, asked.first + asked.mutations)
    counts, began = Counter[str](), time.monotonic()
    for each in fuzz(numbers, asked.seed):
        counts[each.outcome] += 1
        if each.outcome not in ("read", "refused"):
            last = each.detail.strip().splitlines()[-1]
            print(f"{each.number} {each.outcome}: {each.told}: {last}", flush=True)
        if each.outcome in FINDINGS and asked.keep is not None:
            asked.keep.mkdir(parents=True, exist_ok=True)
            (asked.keep / str(each.number)).write_bytes(each.content)
            (asked.keep / f"{each.number}.txt").write_text(each.detail)
        if asked.minutes is not None and time.monotonic() - began > 60 * asked.minutes:
            break
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)
    minutes = (time.monotonic() - began) / 60
    done = f"seed {asked.seed}, {counts.total()} mutations from {asked.first}"
    print(f"{done}: {told}; {minutes:.1f} min")
    return int(any(counts[outcome] for outcome in FINDINGS))


if __name__ == "__main__":
    from jaxrain.weather import fuzz as importable  # the readers' process knows no __main__

    sys.exit(importable.main())
