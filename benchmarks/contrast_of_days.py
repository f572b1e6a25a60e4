"""How much rain varies inside coarse cells, from one training day to the next.

    python benchmarks/contrast_of_days.py STORE [--side 25]

Two contrasts of a cell: of its clusters, the standard deviation of the means of 5 x 5 blocks over
the cell's mean, and of its points, that of points inside their blocks, over the same. Both fall
with the mean, so all is compared at the same one, by the slope of ln(contrast) in ln(mean) that
days have on average, over cells of 0.3 mm or more; days of fewer than 3 such cells are left out.
What is left between days is told once more at the same contrast of the 3 x 3 cells around too,
which whoever sees the coarse rain can know.
Beside it stands what powers do: of whole hours, as `data.augment_contrast` does to patches, and
around points, as `sample.contrast` does to members; and how far powers, even by their logarithm,
must reach for contrasts to differ as these days do.
"""

import argparse
import itertools

import numpy as np
from scipy.ndimage import uniform_filter

from jaxrain.ensembles.member_contrast import sharpened
from jaxrain.grids.regrid import block_mean
from jaxrain.pairs.contrast import bent
from jaxrain.pairs.store import open_store

LEAST_MM = 0.3
LEAST_CELLS = 3
BLOCKS = 5  # along each edge of a cell
_ABOVE = (1.4, 2.0, 3.0, 5.0, 9.0, 12.0, 20.0)  # the last is the most that is allowed
POWERS = (*(1 / power for power in _ABOVE[::-1]), 1.0, *_ABOVE)
CONTRASTS = ("clusters", "points")


def cells(rain: np.ndarray, side: int) -> np.ndarray:
    """Of an hour's whole cells [mm] that are wet, and not alone, ln(mean), ln of both contrasts and
    of that of the cells around, [4, n]."""
    height, width = (length // side * side for length in rain.shape)
    rain = rain[:height, :width].astype(np.float64)
    blocks = block_mean(rain, side // BLOCKS, min_valid=1)
    mean = block_mean(blocks, BLOCKS, min_valid=1)
    of_blocks = block_mean(np.square(blocks), BLOCKS, min_valid=1)
    clusters = of_blocks - np.square(mean)
    points = block_mean(np.square(rain), side, min_valid=1) - of_blocks
    beyond = contrast_around(mean)
    wet = (mean >= LEAST_MM) & (clusters > 0) & (points > 0) & (beyond > 0)
    contrasts = (np.log(np.sqrt(each[wet]) / mean[wet]) for each in (clusters, points))
    return np.stack([np.log(mean[wet]), *contrasts, np.log(beyond[wet])])


def contrast_around(mean: np.ndarray) -> np.ndarray:
    """Standard deviation over mean of the 3 x 3 cells around each that are known, [h, w]."""

    def over(cells: np.ndarray) -> np.ndarray:
        return uniform_filter(np.where(np.isfinite(mean), cells, 0.0), 3, mode="constant")

    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = (over(each) / over(np.ones_like(mean)) for each in (mean, mean**2))
        return np.sqrt(np.maximum(second - first**2, 0)) / first


def around(rain: np.ndarray, power: float, side: int) -> np.ndarray:
    """An hour's rain as `sample.contrast` takes it to a power."""
    known = np.isfinite(rain)
    fields = np.nan_to_num(rain)[None], known[None]
    found = sharpened(*fields, np.array([power], np.float32), (side, side))[0]
    return np.where(known, found, np.nan)


def main() -> None:
    """Prints a line a day, the standard deviation between days, and what powers do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", metavar="STORE", help="folder that prepare made")
    parser.add_argument("--side", type=int, default=25, help="of a coarse cell, points")
    arguments = parser.parse_args()
    side = arguments.side
    if side % BLOCKS:
        parser.error(f"--side {side}: expected a multiple of {BLOCKS}")
    days: dict[str, list[np.ndarray]] = {}
    ways = {
        "data.augment_contrast": bent,
        "sample.contrast": lambda rain, power: around(rain, power, side),
    }
    moved: dict[tuple[str, float], list[np.ndarray]] = {}
    for area in open_store(arguments.store).areas:
        for hour in area.indices("train"):
            rain = np.asarray(area.fine(hour))
            day = str((area.hours[hour] - np.timedelta64(1, "s")).astype("datetime64[D]"))
            days.setdefault(f"{area.name} {day}", []).append(cells(rain, side))
            for way, power in itertools.product(ways, POWERS):
                moved.setdefault((way, power), []).append(cells(ways[way](rain, power), side))
    joined = {
        day: np.concatenate(hours, axis=1)
        for day, hours in days.items()
        if sum(hour.shape[1] for hour in hours) >= LEAST_CELLS
    }
    if len(joined) < 2:
        parser.error(f"{arguments.store} has {len(joined)} wet training days: expected 2 or more")
    slopes = np.mean([in_days([0], each) for each in joined.values()], axis=0)
    slopes_of_both = np.mean([in_days([0, 3], each) for each in joined.values()], axis=0)

    def at_one_mean(of_cells: np.ndarray) -> np.ndarray:
        return np.mean(of_cells[1:3] - slopes @ of_cells[[0]], axis=1)

    def at_one_of_both(of_cells: np.ndarray) -> np.ndarray:
        return np.mean(of_cells[1:3] - slopes_of_both @ of_cells[[0, 3]], axis=1)

    heights = {day: at_one_mean(each) for day, each in joined.items()}
    middle = np.mean(list(heights.values()), axis=0)
    print("Contrast, of the days' mean:\n")
    print(f"| day | cells | {' | '.join(CONTRASTS)} |\n| --- | --- | --- | --- |")
    for day, height in heights.items():
        told = " | ".join(f"{factor:.2f}" for factor in np.exp(height - middle))
        print(f"| {day} | {len(joined[day][0])} | {told} |")
    spread = np.std(list(heights.values()), axis=0, ddof=1)
    of_both = np.std([at_one_of_both(each) for each in joined.values()], axis=0, ddof=1)
    for name, each, less in zip(CONTRASTS, spread, of_both, strict=True):
        print(
            f"between days ln(contrast) of {name} has a standard deviation of {each:.2f}, at the "
            f"same contrast of the cells around {less:.2f}"
        )
    reached = {key: at_one_mean(np.concatenate(hours, axis=1)) for key, hours in moved.items()}
    shifts = {
        way: np.array([reached[way, power] - reached[way, 1.0] for power in POWERS]) for way in ways
    }
    columns = [f"{way}, {name}" for way in ways for name in CONTRASTS]
    print(f"\nContrast, times:\n\n| power | {' | '.join(columns)} |\n|{' --- |' * 5}")
    for power, *factors in zip(POWERS, *map(np.exp, shifts.values()), strict=True):
        told = " | ".join(f"{factor:.2f}" for factor in np.concatenate(factors))
        print(f"| {power:.3g} | {told} |")
    for way, (k, name) in itertools.product(ways, enumerate(CONTRASTS)):
        print(f"{way}, {name}: {reach(spread[k], shifts[way][:, k])}")


def in_days(by: list[int], of_cells: np.ndarray) -> np.ndarray:
    """Slopes of both contrasts in these rows of a day's `cells`, [2, len(by)]."""
    known = np.stack([*of_cells[by], np.ones(of_cells.shape[1])], axis=1)
    found: np.ndarray = np.linalg.lstsq(known, of_cells[1:3].T, rcond=None)[0]
    return found[: len(by)].T


def reach(spread: float, shifts: np.ndarray) -> str:
    """How far powers must reach for contrasts to differ as days do.

    Args:
      spread: standard deviation of ln(contrast) between days.
      shifts: of ln(contrast), of each of POWERS, [n].
    """
    logarithms = np.linspace(-1, 1, 201)
    for most in np.arange(1.1, POWERS[-1] + 0.05, 0.1):
        drawn = np.interp(logarithms * np.log(most), np.log(POWERS), shifts)
        if drawn.std() >= spread:
            return f"powers between 1/{most:.1f} and {most:.1f} spread it as much"
    return f"powers up to {POWERS[-1]:g} do not spread it as much"


if __name__ == "__main__":
    main()
