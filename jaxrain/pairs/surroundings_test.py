import itertools
from dataclasses import replace

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.encodings import encode_time
from jaxrain.pairs.loader import training_batches
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.store import open_store
from jaxrain.pairs.surroundings import StaticMap, condition_channels, place_maps

GRID = Grid(y=30 - 0.01 * np.arange(40), x=110 + 0.01 * np.arange(48))


@pytest.fixture
def terrain(tmp_path):
    values = np.random.default_rng(0).normal(500, 200, GRID.shape).astype(np.float32)
    np.save(tmp_path / "terrain.npy", values)
    return StaticMap("terrain", tmp_path / "terrain.npy", 100.0, 900.0)


def test_a_windows_maps_are_cut_from_the_areas_static_fields_first(terrain):
    names = ["latitude", "longitude", "hour_of_day"]
    whole = place_maps([terrain], names, GRID, (0, 0), "area0")
    assert whole.shape == (40, 48, 5)
    assert whole.dtype == np.float32
    values = np.load(terrain.path)
    np.testing.assert_allclose(whole[..., 0], (values - 100) / 800, rtol=1e-6)
    for y, x, height, width in [(0, 0, 16, 16), (24, 32, 16, 16), (3, 7, 5, 11)]:
        window = GRID.window(y, x, height, width)
        cut = place_maps([terrain], names, window, (y, x), "area0")
        np.testing.assert_array_equal(cut, whole[y : y + height, x : x + width])


def test_a_field_that_never_varies_is_zero(tmp_path):
    np.save(tmp_path / "flat.npy", np.full(GRID.shape, 5, np.float32))
    flat = StaticMap("flat", tmp_path / "flat.npy", 5.0, 5.0)
    np.testing.assert_array_equal(flat.scaled((0, 0), (3, 3)), 0)


def test_an_array_that_is_gone_is_named(terrain):
    terrain.path.unlink()
    with pytest.raises(InputError, match=r"terrain\.npy is gone, the static field"):
        place_maps([terrain], [], GRID, (0, 0), "area0")


def test_nothing_declared_is_nothing(terrain):
    assert place_maps([], ["hour_of_day"], GRID, (0, 0), "area0") is None
    assert condition_channels(DataConfig(), 21) == 21
    config = DataConfig(
        interpolations=["bilinear", "nearest"],
        static=[{"file": "f", "name": "a"}],
        encodings=["latitude", "hour_of_day"],
    )
    assert condition_channels(config, 21) == 42 + 1 + 4


def test_each_training_patch_has_its_places_maps_and_its_hours_time(filled, terrain):
    names = ["latitude", "longitude", "hour_of_day", "day_of_year"]
    config = filled.config(encodings=names)
    store = open_store(config.store)
    (area,) = store.areas
    plain = training_batches(store, filled.config(), batch_size=6, seed=3)
    area = replace(area, statics=(terrain,))
    store = replace(store, areas=[area])
    whole = place_maps([terrain], names, area.fine_grid, (0, 0), area.name)
    found = {tuple(whole[y, x, 1:]): (y, x) for y, x in itertools.product(range(40), range(48))}
    batches = training_batches(store, config, batch_size=6, seed=3)
    for batch, without in zip(itertools.islice(batches, 2), plain, strict=False):
        assert batch["maps"].shape == (6, 16, 16, 5)
        assert batch["clock"].shape == (6, 4)
        assert {value.dtype for value in batch.values()} == {np.dtype(np.float32)}
        for row in range(6):
            y, x = found[tuple(batch["maps"][row, 0, 0, 1:])]
            window = slice(y, y + 16), slice(x, x + 16)
            np.testing.assert_array_equal(batch["maps"][row], whole[window])
            (hour,) = [
                hour
                for hour in area.indices("train")
                if np.array_equal(area.fine(hour)[window], batch["fine"][row], equal_nan=True)
            ]
            expected = encode_time(names, area.hours[[hour]])[0]
            np.testing.assert_array_equal(batch["clock"][row], expected)
        # The weather is that of a run that knows nothing beside it.
        assert set(batch) - set(without) == {"maps", "clock"}
        for key, value in without.items():
            np.testing.assert_array_equal(batch[key], value)
