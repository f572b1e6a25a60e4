from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.build import prepare
from jaxrain.pairs.conftest import World, hours
from jaxrain.pairs.static_maps import on_grid, surround
from jaxrain.pairs.store import open_store, save_grids
from jaxrain.weather.static_fields import StaticField, read_static

pytestmark = pytest.mark.usefixtures("undrawn")

LATITUDE, LONGITUDE = np.linspace(23, 19, 33), np.linspace(109, 114, 46)
TERRAIN = 300.0 + 100.0 * (LATITUDE[:, None] - 20) + 20.0 * (LONGITUDE - 110)  # m
MASK = np.broadcast_to((LONGITUDE > 111).astype(float), TERRAIN.shape)


def write(path, **fields):
    dims = ("latitude", "longitude")
    content = {name: (dims, values, {"units": "m"}) for name, values in fields.items()}
    xr.Dataset(content, {"latitude": LATITUDE, "longitude": LONGITUDE}).to_netcdf(path)


@pytest.fixture
def small(tmp_path):
    """Few hours, with a file of terrain and a mask."""
    world = World(tmp_path)
    world.write_fine("a.nc", hours(3, 5))
    world.write_coarse("pl.nc", hours(3, 5))
    write(tmp_path / "fixed.nc", z=TERRAIN, lsm=MASK)
    return world


def declared(small, **changes):
    terrain = {"file": "fixed.nc", "variable": "z", "name": "terrain"} | changes
    land = {"file": "fixed.nc", "variable": "lsm", "name": "land"}
    return small.config(static=[terrain, land])


def made(config, say=lambda line: None):
    prepare(config, say=say)
    return open_store(config.store, config)


def test_a_linear_field_is_exact_on_the_fine_grid_and_the_manifest_tells_all(small):
    store = made(declared(small))
    (area,) = store.areas
    terrain, land = store.manifest["static"]
    expected = 300 + 100 * (area.fine_grid.y[:, None] - 20) + 20 * (area.fine_grid.x - 110)
    array = np.load(store.path / "static" / terrain["arrays"]["area0"])
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected, rtol=1e-6)
    assert terrain["units"] == "m"
    assert terrain["filled"] == 0
    assert len(terrain["sha256"]) == 64
    of = terrain["statistics"]
    assert of["mean"] == pytest.approx(expected.mean(), rel=1e-6)
    assert of["std"] == pytest.approx(expected.std(), rel=1e-5)
    assert (terrain["low"], terrain["high"]) == (of["min"], of["max"])
    scaled = area.statics[0].scaled((0, 0), area.fine_grid.shape)
    np.testing.assert_allclose(
        scaled, (expected - expected.min()) / np.ptp(expected), rtol=0, atol=1e-6
    )
    # A mask is a share already.
    assert (land["low"], land["high"]) == (0, 1)
    assert store.manifest["config"]["static"][0]["file"] == "fixed.nc"


@pytest.mark.parametrize(
    ("name", "scale", "expected"), [("z", "none", (0, 1)), ("lsm", "range", (1, 2))]
)
def test_the_scale_can_be_said(small, name, scale, expected):
    write(small.root / "fixed.nc", z=TERRAIN, lsm=MASK + 1)
    config = small.config(
        static=[{"file": "fixed.nc", "variable": name, "name": "x", "scale": scale}]
    )
    (about,) = made(config).manifest["static"]
    assert (about["low"], about["high"]) == expected


def test_statics_change_without_the_days_being_made_again(small):
    plain = made(small.config())
    assert "static" not in plain.manifest
    assert not (plain.path / "static").exists()
    day = next(plain.areas[0].folder.glob("coarse_2*.npy"))
    stamp = day.stat().st_mtime_ns
    config = declared(small)
    with pytest.raises(InputError, match=r"made with static=\[\], .*: run prepare again"):
        open_store(config.store, config)
    first = made(config).manifest["static"]
    said: list[str] = []
    made(config, said.append)
    assert said[0].endswith("is up to date")
    # The same file name with other content is another field; the old array goes.
    write(small.root / "fixed.nc", z=TERRAIN + 7, lsm=MASK)
    store = made(config)
    second = store.manifest["static"]
    assert second[0]["low"] == pytest.approx(first[0]["low"] + 7, rel=1e-6)
    assert len(list((store.path / "static").glob("*"))) == 2
    assert day.stat().st_mtime_ns == stamp
    assert "static" not in made(small.config()).manifest
    assert not list((store.path / "static").glob("*"))


def test_a_run_keeps_copies(small, tmp_path):
    store = made(declared(small))
    for _ in range(2):
        save_grids(tmp_path / "grids", store.areas)
    for about in store.manifest["static"]:
        name = about["arrays"]["area0"]
        copy = np.load(tmp_path / "grids" / "static" / name)
        np.testing.assert_array_equal(copy, np.load(store.path / "static" / name))
    assert not list((tmp_path / "grids" / "static").glob(".*"))


def test_missing_points_are_refused_or_filled_as_said(small):
    sea = np.where(MASK > 0, TERRAIN, np.nan)
    write(small.root / "fixed.nc", z=sea, lsm=MASK)
    with pytest.raises(InputError, match=r"z is missing at \d+ of 1920 points of area0, .*fill"):
        prepare(declared(small), say=lambda _: None)
    assert not list(small.root.glob("store/**/*.npy"))
    store = made(declared(small, fill=0))
    (area,) = store.areas
    terrain = store.manifest["static"][0]
    values = np.load(store.path / "static" / terrain["arrays"]["area0"])
    assert terrain["statistics"]["min"] == 0
    inland, at_sea = area.fine_grid.x > 111.2, area.fine_grid.x < 110.95
    expected = 300 + 100 * (area.fine_grid.y[:, None] - 20) + 20 * (area.fine_grid.x - 110)
    np.testing.assert_allclose(values[:, inland], expected[:, inland], rtol=1e-6)
    np.testing.assert_array_equal(values[:, at_sea], 0)
    assert terrain["filled"] >= at_sea.sum() * 40


def test_what_cannot_be_had_is_refused_before_anything_is_written(small):
    refused = [
        ({"file": "gone.nc"}, r"gone\.nc: no such file; data\.static names it for terrain"),
        ({"variable": "height"}, r"fixed\.nc: has no variable 'height'; it holds z, lsm"),
    ]
    for changes, words in refused:
        with pytest.raises(InputError, match=words):
            prepare(declared(small, **changes), say=lambda _: None)
    east = LONGITUDE > 111
    xr.Dataset(
        {"z": (("latitude", "longitude"), TERRAIN[:, east])},
        {"latitude": LATITUDE, "longitude": LONGITUDE[east]},
    ).to_netcdf(small.root / "fixed.nc")
    words = r"fixed\.nc covers .*, not the whole of area0 \(20.05.*110.00..112.35 E\)"
    with pytest.raises(InputError, match=words):
        prepare(small.config(static=[{"file": "fixed.nc", "name": "terrain"}]), say=lambda _: None)
    assert not list(small.root.glob("store/**/*.npy"))


def test_declarations_are_checked():
    world = World(Path())
    with pytest.raises(ValueError, match=r"names in static=\['a', 'a'\] names something twice"):
        world.config(static=[{"file": "f", "name": "a"}, {"file": "g", "name": "a"}])
    with pytest.raises(ValueError, match="pattern"):
        world.config(static=[{"file": "f", "name": "../a"}])
    with pytest.raises(ValueError, match="latitude"):
        world.config(encodings=["month"])
    with pytest.raises(ValueError, match="twice"):
        world.config(encodings=["latitude", "latitude"])
    given = ["day_of_year", "longitude"]
    assert world.config(encodings=given).encodings == ["longitude", "day_of_year"]


def _turned(shape=(7, 9)):
    """A projected grid whose rows are no parallels."""
    v, u = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    return Grid(
        y=-1.0 * np.arange(shape[0]),
        x=1.0 * np.arange(shape[1]),
        projected=True,
        latitude=22 - 0.1 * v + 0.02 * u,
        longitude=110 + 0.03 * v + 0.1 * u,
    )


def test_a_projected_area_takes_a_field_on_latitude_and_longitude():
    fine = _turned()
    field = StaticField(TERRAIN, Grid(LATITUDE, LONGITUDE - 360), "m", "z")
    values, missing = on_grid(field, fine, Path("f"), "area0")
    expected = 300 + 100 * (fine.latitude - 20) + 20 * (fine.longitude - 110)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert not missing.any()
    box = surround(fine)
    assert (box.north, box.west) == (fine.latitude.max(), 110)


def test_a_box_over_the_date_line_is_narrow():
    fine = _turned()
    longitude = (fine.longitude - 110 + 179.9 + 180) % 360 - 180
    over = Grid(fine.y, fine.x, True, fine.latitude, longitude)
    box = surround(over)
    assert box.east - box.west == pytest.approx(np.ptp(fine.longitude))


def test_grids_that_cannot_be_brought_together_are_refused():
    fine = _turned()
    unknown = Grid(fine.y, fine.x, projected=True)
    on_earth = StaticField(TERRAIN, Grid(LATITUDE, LONGITUDE), "m", "z")
    with pytest.raises(InputError, match="f: is on latitude and longitude, area0 on a projected"):
        on_grid(on_earth, unknown, Path("f"), "area0")
    on_map = StaticField(np.ones((7, 9)), fine, "m", "z")
    with pytest.raises(InputError, match="f: is on a projected grid, area0 on latitude"):
        on_grid(on_map, Grid(LATITUDE, LONGITUDE), Path("f"), "area0")
    np.testing.assert_array_equal(on_grid(on_map, unknown, Path("f"), "area0")[0], 1)
    elsewhere = Grid(fine.y, fine.x, True, fine.latitude + 5, fine.longitude)
    with pytest.raises(InputError, match=r"another projection than area0: .* 22\.000 N there"):
        on_grid(on_map, elsewhere, Path("f"), "area0")


def test_a_models_terrain_on_a_radars_grid_is_what_xarray_makes_of_it(shared_data):
    path = shared_data / "grib" / "gfs_other" / "gfs.grb"
    with xr.open_dataset(shared_data / "rain" / "radolan_rw_20190701_0950.nc") as radar:
        latitude, longitude = radar["lat"].values[::9, ::9], radar["lon"].values[::9, ::9]
    axes = (np.arange(n, dtype=float) for n in latitude.shape)
    fine = Grid(*axes, projected=True, latitude=latitude, longitude=longitude)
    field = read_static(path, "orog", surround(fine))
    axes = {"latitude": field.grid.y, "longitude": field.grid.x}
    array = xr.DataArray(field.values, axes, ("latitude", "longitude"))
    points = {"latitude": (("y", "x"), latitude), "longitude": (("y", "x"), longitude)}
    values, _ = on_grid(field, fine, path, "area0")
    np.testing.assert_allclose(values, array.interp(points), atol=1e-2)
    assert 300 < values.max() < 2000  # m; the Alps at 2.5 degrees
