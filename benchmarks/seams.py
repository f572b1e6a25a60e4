"""Whether members of an ensemble show where their tiles, or coarse cells, meet.

    python benchmarks/seams.py OUT.nc [--cell 25] [--beside WHOLE.nc] [--log]

At places that a lattice gives, neighbouring points differ by so much on average, over what they do
elsewhere: at the edges of tiles, inside their overlaps (less, were fields blended there), and at
the edges of coarse cells. Rain has ups and downs of its own, so the same is measured of the lattice
in all its other positions: seams are there where its own position stands out, by more than the
others differ (z beyond 3). All fields count together, but along axes of one tile. Heavy rain
outweighs all other, but with `--log`.

`--beside` takes the same members drawn as one tile each (`--tile` as large as the area). They have
the same noise at every point, and nearly the same rain: what they do not have are seams. So the
last column, what the tiled ones have at those places more than they, is free of rain's own ups and
downs. Its spread over the other positions says how much of it is chance.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxrain.verification.forecast import Forecast, open_forecast

# Places in a lattice, from 0, of the first of two neighbours -> whether they count.
Chosen = Callable[[NDArray[np.intp]], NDArray[np.bool_]]


def profile(
    forecast: Forecast, period: int, *, of_area: bool, longer_than: int, log: bool
) -> NDArray[np.float64]:
    """Sums and counts of the differences of neighbours, by place in a lattice, [2, period].

    Args:
      forecast: all its fields, along y and along x.
      period: of the lattice [points].
      of_area: whether it begins where the area does, or else where the field does.
      longer_than: points of an axis that counts.
      log: whether it is log(1 + rain / mm) that differs.
    """
    found = np.zeros((2, period))
    for case in forecast.cases:
        for hour in range(len(case.hours)):
            rain = case.members(hour).astype(np.float64)
            rain = np.log1p(rain) if log else rain
            for axis, first in zip((1, 2), case.origin, strict=True):
                if rain.shape[axis] <= longer_than:
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


def _check_same(forecast: Forecast, path: Path) -> None:
    with open_forecast(path) as beside:
        for ours, theirs in zip(forecast.cases, beside.cases, strict=True):
            same = ours.members(0).shape == theirs.members(0).shape
            if not (
                same and np.array_equal(ours.hours, theirs.hours) and ours.origin == theirs.origin
            ):
                raise SystemExit(
                    f"{path} holds other members, hours or points than {forecast.path}"
                )


def main() -> None:
    """Prints a row for each lattice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ensemble", metavar="OUT.nc", type=Path, help="what sample wrote")
    parser.add_argument("--cell", type=int, metavar="N", help="of a coarse cell, points")
    parser.add_argument(
        "--beside", type=Path, metavar="WHOLE.nc", help="the same members, each drawn as one tile"
    )
    parser.add_argument("--log", action="store_true", help="of log(1 + rain / mm)")
    arguments = parser.parse_args()
    with open_forecast(arguments.ensemble) as forecast:
        tile, overlap = (int(forecast.attributes[f"jaxrain_{n}"]) for n in ("tile", "overlap"))
        stride, anchored = tile - overlap, "jaxrain_tile_anchor" in forecast.attributes
        # By name: period, whether it begins where the area does, which axes count, which places.
        lattices: dict[str, tuple[int, bool, int, Chosen]] = {
            "edges of tiles": (
                stride,
                anchored,
                tile,
                lambda at: (at == stride - 1) | (at == overlap - 1),
            ),
            "overlaps of tiles": (stride, anchored, tile, lambda at: at < overlap - 1),
        }
        if (cell := arguments.cell) is not None:
            lattices["edges of cells"] = (cell, True, cell, lambda at: at == cell - 1)
        if arguments.beside:
            _check_same(forecast, arguments.beside)
        more = " more than beside (sd) |" if arguments.beside else ""
        print(f"| | its own place | elsewhere | sd | z |{more}")
        print("| --- | --- | --- | --- | --- |" + " --- |" * bool(more))
        for name, (period, of_area, longest, chosen) in lattices.items():
            if all(max(case.grid.shape) <= longest for case in forecast.cases):
                continue
            how = {"of_area": of_area, "longer_than": longest, "log": arguments.log}
            here = scores(profile(forecast, period, **how), chosen)
            own, others = here[0], here[1:]
            mean, sd = np.mean(others), np.std(others)
            row = f"| {name} | {own:+.1%} | {mean:+.1%} | {sd:.1%} | {(own - mean) / sd:+.1f} |"
            if arguments.beside:
                with open_forecast(arguments.beside) as beside:
                    gain = here - scores(profile(beside, period, **how), chosen)
                row += f" {gain[0]:+.2%} ({gain[1:].std():.2%}) |"
            print(row)


if __name__ == "__main__":
    main()
