import functools
import itertools
import json
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.axes import grid_digests, load_grid
from jaxrain.pairs.build import prepare
from jaxrain.pairs.conftest import contents, hours
from jaxrain.pairs.digests import digest, name_digest, remedy, seal_of
from jaxrain.pairs.loader import training_batches
from jaxrain.pairs.store import (
    KINDS,
    forget_arrays,
    open_store,
    save_grid,
)
from jaxrain.pairs.surroundings import StaticMap


def missing(path: Path) -> None:
    path.unlink()


def shortened(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flipped(path: Path, place: int = -1) -> None:
    """One bit of a byte, which no header or size tells of."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    beside = path.with_suffix(".new")  # a loader may still read ahead in the old one
    beside.write_bytes(content)
    beside.replace(path)


def read_all(config):
    """Bytes of every hour, as a new process would read them."""
    forget_arrays()
    return [
        kind(index).tobytes()
        for area in open_store(config.store, config).areas
        for index in range(len(area.hours))
        for kind in (area.fine, area.coarse, area.cover)
    ]


def remade(config):
    prepare(config, say=lambda line: None)
    return {
        name: kept for name, kept in contents(Path(config.store)).items() if "netcdf" not in name
    }


@pytest.mark.parametrize("damage", [missing, shortened, flipped])
@pytest.mark.parametrize("name", [*(f"{kind}_20200101" for kind in KINDS), "fine_y", "coarse_x"])
def test_a_damaged_file_is_named_and_made_again(world, damage, name):
    world.fill()
    config = world.config()
    whole = remade(config)
    read_all(config)
    path = Path(config.store) / "area0" / f"{name}.npy"
    damage(path)
    with pytest.raises(InputError, match=f"{name}.npy") as caught:
        read_all(config)
    assert "remove it and run prepare again" in str(caught.value)
    path.unlink(missing_ok=True)
    assert remade(config) == whole
    read_all(config)


def test_prepare_never_takes_damage_for_what_it_wrote(world):
    """Whatever makes it read the store again: what is damaged has to be removed first."""
    world.fill()
    config = world.config()
    whole = remade(config)
    store = Path(config.store)
    flipped(store / "area0" / "fine_20200101.npy")
    anew = functools.partial(prepare, say=lambda line: None)
    for again in (
        lambda: anew(world.config(rain_scaling="sqrt")),
        lambda: anew(config, stage="arrays"),
        lambda: [(store / "area0" / "fine_y.npy").unlink(), anew(config)],
        lambda: [(store / "manifest.json").unlink(), anew(config)],
    ):
        with pytest.raises(InputError, match=r"fine_20200101.npy: hour 16 of it holds other"):
            again()
    (store / "area0" / "fine_20200101.npy").unlink()
    assert remade(config) == whole


def test_a_store_made_anew_under_a_reader_is_not_called_damaged(world):
    world.fill()
    config = world.config()
    remade(config)
    (area,) = open_store(config.store, config).areas
    world.write_fine("b.nc", hours(11, 22), seed=2)
    remade(config)
    forget_arrays()  # as a process that has read nothing yet
    with pytest.raises(InputError, match="store: the store was made anew, of other files"):
        area.fine(area.indices("test")[-1])


@pytest.mark.parametrize("name", ["latitude.npy", "mapping.json"])
def test_what_a_projected_area_lacks_is_named(tmp_path, name):
    axis, places = np.arange(4.0), np.zeros((4, 4))
    grid = Grid(axis, axis, True, places, places + 1, {"grid_mapping_name": "stereographic"})
    save_grid(tmp_path, "fine", grid)
    about = {"projected": True, "digests": grid_digests("fine", grid)}
    assert load_grid(tmp_path, "fine", about).same_as(grid)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"{name}: No such file"):
        load_grid(tmp_path, "fine", about)


def test_a_static_field_of_another_type_is_refused(tmp_path):
    field = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    path = tmp_path / f"terrain_area0_{name_digest(field)}.npy"
    np.save(path, field)
    static = StaticMap(name="terrain", path=path, low=0, high=1)
    assert static.scaled((0, 0), (4, 4)).max() == 1
    header = bytearray(path.read_bytes())
    header[header.index(b"<f4")] ^= 2  # '<' to '>': other numbers of the same bytes
    moved = tmp_path / "other" / path.name
    moved.parent.mkdir()
    moved.write_bytes(header)
    with pytest.raises(InputError, match="holds other numbers than prepare wrote"):
        StaticMap(name="terrain", path=moved, low=0, high=1).scaled((0, 0), (4, 4))


def test_a_run_is_mended_by_a_copy_alone(tmp_path):
    assert "remove it" in remedy(tmp_path / "manifest.json")
    (tmp_path / "config.yaml").touch()
    for name in ("manifest.json", "grids/area0/fine_y.npy", "grids/static/terrain_0.npy"):
        assert "remove" not in remedy(tmp_path / name)


def test_a_batch_never_holds_a_damaged_hour(world):
    world.fill()
    config = world.config()
    remade(config)
    path = Path(config.store) / "area0" / "fine_20200101.npy"

    def batches(count):
        forget_arrays()
        read = training_batches(open_store(config.store, config), config, batch_size=4, seed=0)
        return list(itertools.islice(read, count))

    flipped(path)  # in the last hour, which is of the test split
    batches(20)
    flipped(path)
    flipped(path, place=-17 * 40 * 48 * 4)  # in the first of 17, which is of training's
    with pytest.raises(InputError, match="hour 0 of it holds other numbers than prepare wrote"):
        batches(20)


@contextmanager
def changed_manifest(config):
    """What a store's manifest says, written back as it was left."""
    path = Path(config.store) / "manifest.json"
    manifest = json.loads(path.read_text())
    yield manifest
    path.write_text(json.dumps(manifest))


def test_a_manifest_that_was_changed_is_refused(world):
    world.fill()
    config = world.config()
    remade(config)
    with changed_manifest(config) as manifest:
        assert manifest["seal"] == seal_of(manifest)
        manifest["statistics"]["target"]["std"] *= 2
    with pytest.raises(InputError, match="it says something else than was written"):
        open_store(config.store, config)


def test_a_store_from_before_hashes_were_kept_is_read(world):
    world.fill()
    config = world.config()
    remade(config)
    whole = read_all(config)
    with changed_manifest(config) as manifest:
        del manifest["seal"]
        for entry in manifest["areas"] + manifest["hours"]:
            del entry["digests"]
    assert read_all(config) == whole


def test_a_digest_tells_type_and_shape_too():
    array = np.zeros((2, 3), np.float32)
    others = [array.reshape(3, 2), array.view(np.int32), array.astype(">f4"), array + 1]
    assert len({digest(each) for each in (array, *others)}) == 5
    assert digest(np.asfortranarray(array)) == digest(array)
