"""Copies of runs whose test windows are others, on which nothing was ever chosen.

    python benchmarks/other_windows.py RUN [RUN ...]

Beside each RUN a RUN_elsewhere is made, for `sample ... --split test`. Its windows lie in the same
test hours as the run's own, are as large and complete, and overlap neither those, in any hour of
the same file, nor one another in their own hour: of all that begin at every 32nd point the ones
with the most rain, one after the other, down to the least trace. No forecast is looked at.
"""

import argparse
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxrain.config import load_config, save_config
from jaxrain.pairs.recipe import Window
from jaxrain.pairs.store import Store, open_store

STEP = 32  # points between the corners that are tried


def elsewhere(store: Store, windows: list[Window]) -> Iterator[Window]:
    """The windows, hour by hour, each hour's from the one with the most rain down."""
    size = windows[0].size
    for area in store.areas:
        for index in area.indices("test"):
            file = area.sources[index][0]
            taken = [(window.y, window.x) for window in windows if window.file == file]
            rain = np.asarray(area.fine(index))
            for y, x in by_rain(rain, size):
                if all(abs(y - row) >= size or abs(x - column) >= size for row, column in taken):
                    taken.append((y, x))
                    time = str(area.hours[index].astype("datetime64[m]"))
                    yield Window(file=file, time=time, y=y, x=x, size=size)


def by_rain(rain: NDArray[np.float32], size: int) -> list[tuple[int, int]]:
    """Corners of complete squares with any rain, of an hour [H, W], from the most to the least."""
    height, width = rain.shape
    found = []
    for y in range(0, height - size + 1, STEP):
        for x in range(0, width - size + 1, STEP):
            mean = float(rain[y : y + size, x : x + size].mean())  # NaN where a point is missing
            if mean > 0:
                found.append((mean, y, x))
    return [(y, x) for _, y, x in sorted(found, reverse=True)]


def main() -> None:
    """Copies the runs and prints the windows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="that training made")
    for run in parser.parse_args().runs:
        config = load_config(run / "config.yaml")
        if not config.data.windows:
            parser.error(f"{run} has no test windows: give a run of configs/radar.yaml")
        copy = run.with_name(f"{run.name}_elsewhere")
        if copy.exists() or run.name.endswith("_elsewhere"):
            parser.error(f"{copy}: there is one already; remove it first, and give runs that train")
        windows = list(elsewhere(open_store(Path(config.data.store)), config.data.windows))
        if not windows:
            parser.error(f"{run}: its test hours hold no other complete window with rain")
        shutil.copytree(run, copy)
        data = dataclasses.replace(config.data, windows=windows)
        save_config(dataclasses.replace(config, data=data), copy / "config.yaml")
        print(f"{copy}: {len(windows)} windows")
        for window in windows:
            print(f"  {window.file} {window.time} y={window.y} x={window.x}")


if __name__ == "__main__":
    main()
