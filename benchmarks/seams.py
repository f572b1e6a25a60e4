"""Whether members of an ensemble show where their tiles, or coarse cells, meet.

    python benchmarks/seams.py OUT.nc [--cell 25]

At places that a lattice gives, neighbouring points differ by so much on average, over what they do
elsewhere: at the edges of tiles, inside their overlaps (less, were fields blended there), and at
the edges of coarse cells. Rain has ups and downs of its own, so the same is measured of the lattice
in all its other positions: seams are there where its own position stands out, by more than the
others differ (z beyond 3). All fields count together; those of one tile say nothing of tiles.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxrain.verification.forecast import Forecast, open_forecast

# Places in a lattice, from 0, of the first of two neighbours -> whether they count.
Chosen = Callable[[NDArray[np.intp]], NDArray[np.bool_]]


def profile(forecast: Forecast, period: int, *, of_area: bool) -> NDArray[np.float64]:
    """Sums and counts of the differences of neighbours, by place in a lattice, [2, period].

    Args:
      forecast: all its fields, along y and along x.
      period: of the lattice [points].
      of_area: whether it begins where the area does, or else where the field does.
    """
    found = np.zeros((2, period))
    for case in forecast.cases:
        for hour in range(len(case.hours)):
            rain = case.members(hour).astype(np.float64)
            for axis, first in zip((1, 2), case.origin, strict=True):
                if rain.shape[axis] <= period:
                    continue
                step = np.abs(np.diff(rain, axis=axis))
                others = (0, 3 - axis)
                place = (np.arange(step.shape[axis]) + first * of_area) % period
                np.add.at(found[0], place, np.nansum(step, axis=others))
                np.add.at(found[1], place, np.isfinite(step).sum(axis=others))
    return found


def scores(found: NDArray[np.float64], chosen: Chosen) -> NDArray[np.float64]:
    """Mean at the chosen places over that at others, minus 1, for each position of the lattice.

    Returns:
      [period]; the first is where the lattice lies.
    """
    period = found.shape[1]
    ratios = []
    for shift in range(period):
        inside = chosen((np.arange(period) - shift) % period)
        here, there = (found[:, places].sum(1) for places in (inside, ~inside))
        ratios.append(here[0] / here[1] / (there[0] / there[1]) - 1)
    return np.array(ratios)


def main() -> None:
    """Prints a row for each lattice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ensemble", metavar="OUT.nc", type=Path, help="what sample wrote")
    parser.add_argument("--cell", type=int, metavar="N", help="of a coarse cell, points")
    arguments = parser.parse_args()
    with open_forecast(arguments.ensemble) as forecast:
        tile, overlap = (int(forecast.attributes[f"jaxrain_{n}"]) for n in ("tile", "overlap"))
        stride = tile - overlap
        lattices: dict[str, tuple[int, bool, Chosen]] = {
            "edges of tiles": (
                stride,
                False,
                lambda at: (at == stride - 1) | (at == overlap - 1),
            ),
            "overlaps of tiles": (stride, False, lambda at: at < overlap - 1),
        }
        if (cell := arguments.cell) is not None:
            lattices["edges of cells"] = (cell, True, lambda at: at == cell - 1)
        print("| | its own place | elsewhere | sd | z |\n| --- | --- | --- | --- | --- |")
        for name, (period, of_area, chosen) in lattices.items():
            if any(min(case.grid.shape) > period + overlap for case in forecast.cases):
                own, *others = scores(profile(forecast, period, of_area=of_area), chosen)
                mean, sd = np.mean(others), np.std(others)
                z = (own - mean) / sd
                print(f"| {name} | {own:+.1%} | {mean:+.1%} | {sd:.1%} | {z:+.1f} |")


if __name__ == "__main__":
    main()
