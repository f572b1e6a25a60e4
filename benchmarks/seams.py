"""Whether members of an ensemble show where their tiles, or coarse cells, meet.

    python benchmarks/seams.py OUT.nc [--cell 25]

At places that a lattice gives, neighbouring points differ by so much on average, over what they do
elsewhere: at the edges of tiles, inside their overlaps (smaller, were fields blended there), and at
the edges of coarse cells. Rain has ups and downs of its own, so the same is measured of the lattice
in all its other positions: seams are there where its own position stands out, by more than the
others differ (z beyond 3). Fields of one tile say nothing of tiles.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxrain.verification.forecast import open_forecast

# From the distance of two neighbours' first to the lattice's own first point: whether they count.
Chosen = Callable[[NDArray[np.intp]], NDArray[np.bool_]]


def changes(members: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Mean difference of neighbours across each line of points, along y and along x."""
    rain = members.astype(np.float64)
    found = []
    for axis in (1, 2):
        step = np.abs(np.diff(rain, axis=axis))
        other = tuple(k for k in range(3) if k != axis)
        known = np.isfinite(step).sum(axis=other)
        found.append(np.nansum(step, axis=other) / np.maximum(known, 1))
    return found


def score(lines: list[NDArray[np.float64]], period: int, chosen: Chosen) -> NDArray[np.float64]:
    """Change at the chosen places over that at others, minus 1, for each position of the lattice.

    Args:
      lines: of `changes`.
      period: of the lattice [points].
      chosen: by place in it, from 0 to period - 1.

    Returns:
      [period]; the first is where the lattice lies.
    """
    found = []
    for shift in range(period):
        here, there = [], []
        for line in lines:
            inside = chosen((np.arange(len(line)) - shift) % period)
            here.append(line[inside])
            there.append(line[~inside])
        found.append(np.concatenate(here).mean() / np.concatenate(there).mean() - 1)
    return np.array(found)


def told(name: str, scores: NDArray[np.float64]) -> str:
    """A row: the lattice's own score, the others' mean and standard deviation, and z."""
    own, others = scores[0], scores[1:]
    z = (own - others.mean()) / others.std()
    return f"| {name} | {own:+.1%} | {others.mean():+.1%} | {others.std():.1%} | {z:+.1f} |"


def main() -> None:
    """Prints a table for each case of the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ensemble", metavar="OUT.nc", type=Path, help="what sample wrote")
    parser.add_argument("--cell", type=int, metavar="N", help="of a coarse cell, points")
    arguments = parser.parse_args()
    with open_forecast(arguments.ensemble) as forecast:
        tile, overlap = (int(forecast.attributes[f"jaxrain_{n}"]) for n in ("tile", "overlap"))
        stride = tile - overlap
        lattices: dict[str, tuple[int, Chosen]] = {
            "edges of tiles": (stride, lambda at: (at == stride - 1) | (at == overlap - 1)),
            "overlaps of tiles": (stride, lambda at: at < overlap - 1),
        }
        if (cell := arguments.cell) is not None:
            lattices["edges of cells"] = (cell, lambda at: at == cell - 1)
        for case in forecast.cases:
            hours = [changes(case.members(hour)) for hour in range(len(case.hours))]
            lines = [np.mean(along, axis=0) for along in zip(*hours, strict=True)]
            print(f"{case.name}, {len(hours)} hours, {case.grid.shape} points:\n")
            print("| | its own place | elsewhere | sd | z |\n| --- | --- | --- | --- | --- |")
            for name, (period, chosen) in lattices.items():
                if period < min(map(len, lines)):
                    print(told(name, score(lines, period, chosen)))
            print()


if __name__ == "__main__":
    main()
