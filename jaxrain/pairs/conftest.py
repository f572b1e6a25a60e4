from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from jaxrain.pairs.recipe import DataConfig, Selection, Splits

LEVELS = [850, 500]
UNITS = {"u": "m s-1", "v": "m s-1", "t": "K", "r": "%", "z": "m2 s-2", "tp": "mm"}
OFFSETS = {"u": -2.0, "v": 1.0, "t": 270.0, "r": 40.0, "z": 15000.0, "tp": 0.0}


def hours(first: int, last: int) -> np.ndarray:
    """Hours of 1 January 2020, both ends in."""
    start = np.datetime64("2020-01-01T00", "ns")
    return start + np.arange(first, last + 1) * np.timedelta64(1, "h")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclass
class World:
    """Made-up files: fine rain of 40 x 48 points and predictors of 11 x 12 around them."""

    root: Path
    seed: int = 0

    def __post_init__(self):
        self.fine_y, self.fine_x = 22.0 - 0.05 * np.arange(40), 110.0 + 0.05 * np.arange(48)
        self.coarse_y, self.coarse_x = 22.25 - 0.25 * np.arange(11), 109.75 + 0.25 * np.arange(12)

    def write_fine(self, name: str, times: np.ndarray, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng((self.seed, seed, len(times)))
        rain = rng.gamma(0.3, 3.0, (len(times), 40, 48)).astype(np.float32)
        rain[times >= hours(18, 18)[0]] *= 3.0  # the test hours' rain is like none before
        rain[:, 0, :3] = np.nan
        dims = ("time", "latitude", "longitude")
        dataset = xr.Dataset(
            {"rain": (dims, rain, {"units": "mm"})},
            {"time": times, "latitude": self.fine_y, "longitude": self.fine_x},
        )
        path = self.root / "fine" / name
        path.parent.mkdir(exist_ok=True)
        dataset.to_netcdf(path)
        return rain

    def write_coarse(
        self, name: str, times: np.ndarray, variables=tuple(UNITS), levels=tuple(LEVELS), x=None
    ) -> dict[str, np.ndarray]:
        rng = np.random.default_rng((self.seed, 7, len(times)))
        x = self.coarse_x if x is None else x
        content, values = {}, {}
        for variable in variables:
            on_levels = variable != "tp"
            shape = (len(times), *([len(levels)] if on_levels else []), 11, len(x))
            values[variable] = (OFFSETS[variable] + rng.gamma(1.0, 1.0, shape)).astype(np.float32)
            dims = ("time", *(["level"] if on_levels else []), "latitude", "longitude")
            content[variable] = (dims, values[variable], {"units": UNITS[variable]})
        dataset = xr.Dataset(
            content,
            {
                "time": times,
                "level": ("level", list(levels), {"units": "hPa"}),
                "latitude": self.coarse_y,
                "longitude": x,
            },
        )
        path = self.root / "coarse" / name
        path.parent.mkdir(exist_ok=True)
        dataset.to_netcdf(path)
        return values

    def config(self, **changes) -> DataConfig:
        splits = Splits(
            train=[Selection(period="2020-01-01T00/2020-01-01T12")],
            validation=[Selection(period="2020-01-01T13/2020-01-01T15")],
            test=[Selection(period="2020-01-01T18/2020-01-01T23")],
        )
        keys = {
            "root": str(self.root),
            "fine": ["fine/*"],
            "coarse": ["coarse/*"],
            "levels": LEVELS,
            "splits": splits,
            "store": str(self.root / "store"),
            "patch": 16,
        }
        return DataConfig(**(keys | changes))

    def fill(self) -> None:
        """Fine hours 3 to 22 without 10, coarse hours 0 to 23."""
        self.write_fine("a.nc", hours(3, 9))
        self.write_fine("b.nc", hours(11, 22), seed=1)
        self.write_coarse("pl.nc", hours(0, 23))


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A world with a finished store; read only."""
    from jaxrain.pairs.build import prepare

    world = World(tmp_path_factory.mktemp("world"))
    world.fill()
    prepare(world.config(), say=lambda line: None)
    return world
