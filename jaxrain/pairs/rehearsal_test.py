import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.pairs.build import prepare
from jaxrain.pairs.conftest import contents, hours
from jaxrain.pairs.recipe import Selection, Splits, Window
from jaxrain.pairs.rehearsal import rehearse
from jaxrain.pairs.workers import PrepareConfig

ALL = Selection(files="*")


def _said(config, **options) -> str:
    lines = []
    rehearse(config, say=lines.append, **options)
    return "\n".join(lines)


def test_it_says_what_the_real_run_finds_and_writes_nothing(world):
    world.fill()
    before = contents(world.root)
    said = _said(world.config())
    assert contents(world.root) == before
    assert "2 fine and 1 coarse files" in said
    assert "19 of fine rain from 2020-01-01T03:00:00 to 2020-01-01T22:00:00, 1 between" in said
    assert "9 train, 3 validation, 5 test" in said
    assert "2 hours: in no split" in said
    assert "2020-01-01T10:00:00 pl.nc: no fine rain at this hour" in said
    assert "11 x 12 -> 40 x 48 points" in said
    assert "fine_rain mm" in said
    assert "fine rain, tp: sums of one hour" in said
    assert re.search(r"would take     about \d+\.\d minutes", said)


def test_a_grid_mapping_is_no_field(world):
    times = hours(0, 2)
    rain = np.random.default_rng(0).gamma(0.3, 4.0, (len(times), 12, 12)).astype(np.float32)
    fields = {
        "precip": (("time", "y", "x"), rain, {"units": "mm", "grid_mapping": "crs"}),
        "crs": ((), 0, {"grid_mapping_name": "polar_stereographic"}),
    }
    axes = {"time": times, "y": np.arange(12.0)[::-1], "x": np.arange(12.0)}
    folder = world.root / "fine"
    folder.mkdir(parents=True, exist_ok=True)
    dataset = xr.Dataset(fields, axes)
    for axis in ("y", "x"):
        dataset[axis].attrs["units"] = "km"
    dataset.to_netcdf(folder / "radar.nc")
    said = _said(world.config(coarsen=4, variables=["tp"], levels=[], splits=Splits(train=[ALL])))
    assert "12 x 12 points" in said


def test_the_bytes_it_tells_are_those_that_are_written(world):
    world.fill()
    said = _said(world.config())
    prepare(world.config(), say=lambda line: None)
    store = Path(world.config().store)
    arrays = sum(path.stat().st_size for path in store.glob("area0/*_20*.npy"))
    netcdf = sum(path.stat().st_size for path in store.rglob("*.nc"))
    told = re.search(
        r"would write    ([\d.]+) KiB of NetCDF for 3 .*, ([\d.]+) KiB of arrays", said
    )
    assert float(told[1]) == pytest.approx(netcdf / 1024, rel=0.3)
    assert float(told[2]) == pytest.approx(arrays / 1024, rel=0.01)
    again = _said(world.config())
    assert "0 B of NetCDF for 0 files (3 are there)" in again


def test_ranges_are_those_of_the_fields(world):
    world.fill()
    said = _said(world.config())
    with xr.open_dataset(world.root / "coarse" / "pl.nc") as coarse:
        paired = np.concatenate([hours(3, 9), hours(11, 15), hours(18, 22)])
        u = coarse["u"].sel(level=850, time=paired).values
    expected = [f"{value:.5g}" for value in (u.min(), u.mean(dtype=np.float64), u.max())]
    (line,) = [line for line in said.splitlines() if line.startswith("  u850")]
    assert line.split()[3:6] == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"root": "/nowhere/at/all"},
        {"fine": ["none/*"]},
        {"variables": ["w", "tp"]},
        {"levels": [850, 700]},
        {"splits": Splits(train=[Selection(period="2021")])},
        {"splits": Splits(train=[Selection()], test=[Selection()])},
        {"fine_variable": "snow"},
        {"windows": [Window(file="b.nc", time="2020-01-01T19", y=21, x=5, size=20)]},
    ],
)
def test_what_the_real_run_refuses_is_refused_in_the_same_words(world, changes):
    world.fill()
    said = []
    for run in (rehearse, prepare):
        with pytest.raises(InputError) as caught:
            run(world.config(**changes), say=lambda line: None)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_training_hours_without_rain_are_refused_too(world):
    world.fill()
    for name in ("a.nc", "b.nc"):
        path = world.root / "fine" / name
        with xr.open_dataset(path) as dataset:
            dry = dataset.load() * 0.0
        dry["rain"].attrs["units"] = "mm"
        dry.to_netcdf(path)
    with pytest.raises(InputError, match="never varies"):
        rehearse(world.config(), say=lambda line: None)


def test_coarsened_rain_needs_no_predictors(world):
    world.write_fine("a.nc", hours(3, 9))
    said = _said(world.config(coarsen=9, variables=["tp"], levels=[], coarse=[]))
    assert "4 x 5 -> 36 x 45 points" in said


def test_workers_say_the_same(world):
    world.fill()

    def told(workers):
        said = _said(world.config(), work=PrepareConfig(workers=workers))
        return said[: said.index("would take")]

    assert told(0) == told(2)
