"""How fast training batches are read, and how little is read for one."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from jaxrain.pairs.build import prepare
from jaxrain.pairs.loader import training_batches
from jaxrain.pairs.recipe import DataConfig, Selection, Splits
from jaxrain.pairs.store import open_store
from jaxrain.weather.demo import demo_days, write_demo

_AHEAD = 16  # batches; more than the loader holds ready


@dataclass(frozen=True)
class Loading:
    """What was measured on two days of the demo's weather.

    Attributes:
      seconds: of a batch, one per repetition, read with nothing else to do.
      first_seconds: from asking for batches to having one.
      patch_bytes: read for a patch.
      hour_bytes: of one hour's predictors and rain as full arrays on the fine grid.
    """

    seconds: list[float]
    first_seconds: float
    patch_bytes: int
    hour_bytes: int


def measure_loader(batch: int, patch: int, repeats: int) -> Loading:
    """Prepares two days of weather in a temporary folder and reads batches of it."""
    days = demo_days(train=2)
    (first, last), (begin, end), (start, stop) = days.train, days.validation, days.test
    with tempfile.TemporaryDirectory() as folder:
        write_demo(folder, train_days=2)
        config = DataConfig(
            root=folder,
            fine=["cmpa/*.GRB2"],
            coarse=["era5/*.grib"],
            splits=Splits(
                train=[Selection(period=f"{first}/{last}")],
                validation=[Selection(period=f"{begin}/{end}")],
                test=[Selection(period=f"{start}/{stop}")],
            ),
            store=str(Path(folder) / "store"),
            patch=patch,
        )
        prepare(config, say=lambda line: None)
        store = open_store(config.store, config)
        began = time.perf_counter()
        batches = training_batches(store, config, batch_size=batch, seed=0)
        example = next(batches)
        first_seconds = time.perf_counter() - began
        seconds = []
        for _ in range(_AHEAD):  # what was read before the clock began
            next(batches)
        for _ in range(repeats):
            began = time.perf_counter()
            for _ in range(2 * _AHEAD):
                next(batches)
            seconds.append((time.perf_counter() - began) / (2 * _AHEAD))
        height, width = store.areas[0].fine_grid.shape
        return Loading(
            seconds=seconds,
            first_seconds=first_seconds,
            patch_bytes=(example["fine"].nbytes + example["coarse"].nbytes) // batch,
            hour_bytes=4 * (len(store.channels) + 1) * height * width,
        )
