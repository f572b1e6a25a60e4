"""How much rain varies inside coarse cells, from one training day to the next.

    python benchmarks/contrast_of_days.py STORE [--side 25]

Contrast of a cell is the standard deviation of its points over their mean. It falls with the mean,
so all is compared at the same one, by the slope of ln(contrast) in ln(mean) that days have on
average, over cells of 0.3 mm or more; days of fewer than 3 such cells are left out. Beside it
stands what powers do: of whole hours, as `data.augment_contrast` does to patches, and with the
means around points kept, as `sample.contrast` does to members; and how far powers, even by their
logarithm, must reach for contrasts to differ as these days do.
"""

import argparse
import itertools

import numpy as np

from jaxrain.ensembles.member_contrast import sharpened
from jaxrain.grids.regrid import block_mean
from jaxrain.pairs.contrast import bent
from jaxrain.pairs.store import open_store

LEAST_MM = 0.3
LEAST_CELLS = 3
POWERS = (0.2, 0.25, 1 / 3, 0.5, 1 / 1.4, 1.0, 1.4, 2.0, 3.0, 4.0, 5.0)


def cells(rain: np.ndarray, side: int) -> np.ndarray:
    """ln(mean) and ln(contrast) of an hour's whole cells [mm] that are wet enough, [2, n]."""
    height, width = (length // side * side for length in rain.shape)
    rain = rain[:height, :width].astype(np.float64)
    mean = block_mean(rain, side, min_valid=1)
    variance = block_mean(np.square(rain), side, min_valid=1) - np.square(mean)
    wet = (mean >= LEAST_MM) & (variance > 0)
    return np.stack([np.log(mean[wet]), np.log(np.sqrt(variance[wet]) / mean[wet])])


def main() -> None:
    """Prints a line a day, the standard deviation between days, and what powers do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", metavar="STORE", help="folder that prepare made")
    parser.add_argument("--side", type=int, default=25, help="of a coarse cell, points")
    arguments = parser.parse_args()
    days: dict[str, list[np.ndarray]] = {}
    sides = (arguments.side, arguments.side)
    ways = {
        "data.augment_contrast": bent,
        "sample.contrast": lambda rain, power: sharpened(rain, power, sides),
    }
    moved: dict[tuple[str, float], list[np.ndarray]] = {}
    for area in open_store(arguments.store).areas:
        for hour in area.indices("train"):
            rain = np.asarray(area.fine(hour))
            day = str((area.hours[hour] - np.timedelta64(1, "s")).astype("datetime64[D]"))
            days.setdefault(f"{area.name} {day}", []).append(cells(rain, arguments.side))
            for way, power in itertools.product(ways, POWERS):
                there = cells(ways[way](rain, power), arguments.side)
                moved.setdefault((way, power), []).append(there)
    joined = {
        day: np.concatenate(hours, axis=1)
        for day, hours in days.items()
        if sum(hour.shape[1] for hour in hours) >= LEAST_CELLS
    }
    if len(joined) < 2:
        parser.error(f"{arguments.store} has {len(joined)} wet training days: expected 2 or more")
    slope = np.mean([np.polyfit(*each, 1)[0] for each in joined.values()])

    def at_one_mean(of_cells: np.ndarray) -> float:
        return float(np.mean(of_cells[1] - slope * of_cells[0]))

    heights = {day: at_one_mean(each) for day, each in joined.items()}
    middle = np.mean(list(heights.values()))
    print("| day | cells | contrast, of the days' mean |\n| --- | --- | --- |")
    for day, height in heights.items():
        print(f"| {day} | {len(joined[day][0])} | {np.exp(height - middle):.2f} |")
    spread = np.std(list(heights.values()), ddof=1)
    print(f"between days ln(contrast) has a standard deviation of {spread:.2f}")
    reached = {key: at_one_mean(np.concatenate(hours, axis=1)) for key, hours in moved.items()}
    shifts = {
        way: np.array([reached[way, power] - reached[way, 1.0] for power in POWERS]) for way in ways
    }
    print(f"\n| power | contrast times, by {' | by '.join(ways)} |\n| --- | --- | --- |")
    for power, *factors in zip(POWERS, *map(np.exp, shifts.values()), strict=True):
        print(f"| {power:.3g} | " + " | ".join(f"{factor:.2f}" for factor in factors) + " |")
    for way in ways:
        print(f"{way}: {reach(spread, shifts[way])}")


def reach(spread: float, shifts: np.ndarray) -> str:
    """How far powers must reach for contrasts to differ as days do.

    Args:
      spread: standard deviation of ln(contrast) between days.
      shifts: of ln(contrast), of each of POWERS, [n].
    """
    logarithms = np.linspace(-1, 1, 201)
    for most in np.arange(1.1, max(POWERS) + 0.05, 0.1):
        drawn = np.interp(logarithms * np.log(most), np.log(POWERS), shifts)
        if drawn.std() >= spread:
            return f"powers between 1/{most:.1f} and {most:.1f} spread it as much"
    return f"powers up to {max(POWERS):g} do not spread it as much"


if __name__ == "__main__":
    main()
