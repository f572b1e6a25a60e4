import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.pairs import build, days
from jaxrain.pairs.build import prepare
from jaxrain.pairs.conftest import contents, hours
from jaxrain.pairs.reading import make_canonical
from jaxrain.pairs.recipe import Selection, Splits
from jaxrain.pairs.sources import find_sources
from jaxrain.pairs.store import open_store

pytestmark = pytest.mark.usefixtures("undrawn")

ALWAYS, NEVER = Selection(period="2020"), Selection(period="2021")
NOON = Selection(period="2020-01-01T12")


def _quiet(line):
    pass


def _not_again(day, config):
    raise AssertionError(f"{day.name} is written again")


def test_the_store_holds_what_the_files_hold(filled):
    store = open_store(filled.config().store, filled.config())
    (area,) = store.areas
    assert store.channels == [f"{v}{p}" for v in "uvtrz" for p in (850, 500)] + ["tp"]
    assert area.fine_grid.shape == (40, 48)
    assert area.coarse_grid.shape == (11, 12)
    times = np.concatenate([hours(3, 9), hours(11, 15), hours(18, 22)])
    np.testing.assert_array_equal(area.hours, times.astype("datetime64[s]"))
    assert area.splits == ["train"] * 9 + ["validation"] * 3 + ["test"] * 5
    with (
        xr.open_dataset(filled.root / "fine" / "b.nc") as fine,
        xr.open_dataset(filled.root / "coarse" / "pl.nc") as coarse,
    ):
        at = times[10]
        np.testing.assert_array_equal(area.fine(10), fine["rain"].sel(time=at))
        np.testing.assert_array_equal(area.coarse(10)[3], coarse["v"].sel(time=at, level=500))
        np.testing.assert_array_equal(area.coarse(10)[10], coarse["tp"].sel(time=at))
    assert area.sources[10] == ["b.nc", "pl.nc"]


def test_hours_that_do_not_pair_are_listed_with_the_reason(filled):
    audit = json.loads((Path(filled.config().store) / "prepare_report.json").read_text())
    assert audit["hours"] == {"train": 9, "validation": 3, "test": 5}
    left_out = {}
    for hour in audit["left_out"]:
        left_out.setdefault(hour["reason"], []).append(int(hour["time"][11:13]))
    assert left_out == {"in no split": [16, 17], "no fine rain at this hour": [0, 1, 2, 10, 23]}
    assert audit["units_found"]["fine_rain"] == {"mm": 2}
    assert audit["units_found"]["z"] == {"m2 s-2": 1}
    assert audit["time_sources"] == {"file": 19}
    assert audit["missing_share"]["train"] == pytest.approx(3 / (40 * 48))


def test_an_hour_without_one_predictor_is_left_out_and_says_which(world):
    world.write_fine("a.nc", hours(3, 6))
    world.write_coarse("pl.nc", hours(3, 7), variables="uvtrz")
    world.write_coarse("tp.nc", hours(4, 6), variables=["tp"])
    prepare(world.config(), say=_quiet)
    (store,) = open_store(world.config().store).areas
    assert len(store.hours) == 3
    audit = json.loads((Path(world.config().store) / "prepare_report.json").read_text())
    assert audit["left_out"] == [
        {"time": "2020-01-01T03:00:00", "file": "a.nc", "reason": "no tp at this hour"},
        {"time": "2020-01-01T07:00:00", "file": "pl.nc", "reason": "no fine rain at this hour"},
    ]


def test_of_a_reissued_hour_the_newest_is_taken(world):
    world.write_coarse("pl.nc", hours(0, 23))
    name = "Z_SURF_C_BABJ_202001{}0000_P_CMPA_RT_BCGZ_0P01_HOR-PRE-20200101{:02d}.nc"
    world.write_fine(name.format("0105", 5), hours(5, 5), seed=1)
    newest = world.write_fine(name.format("0307", 5), hours(5, 5), seed=2)
    said = []
    prepare(world.config(), say=said.append)
    (area,) = open_store(world.config().store).areas
    np.testing.assert_array_equal(area.fine(0), newest[0])
    assert "repeated" in said[-1]
    assert name.format("0307", 5) in said[-1]


def test_a_second_run_changes_nothing_and_reads_nothing(filled, monkeypatch):
    path = Path(filled.config().store)
    before = contents(path)
    monkeypatch.setattr(build, "make_all_canonical", None)
    said = []
    prepare(filled.config(), say=said.append)
    assert "up to date" in said[0]
    assert contents(path) == before


def test_a_killed_run_goes_on_and_ends_with_the_same_store(world, monkeypatch):
    world.write_fine("a.nc", hours(3, 9))
    world.write_fine("b.nc", hours(24, 30), seed=1)
    world.write_coarse("pl.nc", hours(0, 30))
    config = world.config(splits=Splits(train=[Selection(period="2020-01")]))
    prepare(config, say=_quiet)
    whole = contents(world.root / "store")
    shutil.rmtree(world.root / "store")
    wrote = build.write_day

    def killed(day, config):
        if day.name == "20200102":
            raise KeyboardInterrupt
        wrote(day, config)

    monkeypatch.setattr(build, "write_day", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare(config, say=_quiet)
    assert not (world.root / "store" / "manifest.json").exists()
    monkeypatch.setattr(build, "write_day", wrote)
    said = []
    prepare(config, say=said.append)
    assert "1 of 1 days written" in said
    assert contents(world.root / "store") == whole


def test_finished_days_are_not_written_again(world, monkeypatch):
    world.fill()
    prepare(world.config(), say=_quiet)
    (world.root / "store" / "manifest.json").unlink()
    monkeypatch.setattr(build, "write_day", _not_again)
    prepare(world.config(), say=_quiet)
    assert (world.root / "store" / "manifest.json").exists()


def test_a_new_file_renews_the_arrays(world):
    world.fill()
    prepare(world.config(), say=_quiet)
    world.write_fine("c.nc", hours(10, 10), seed=5)
    prepare(world.config(), say=_quiet)
    (area,) = open_store(world.config().store).areas
    assert hours(10, 10)[0] in area.hours


def test_another_scaling_renews_the_statistics_alone(world, monkeypatch):
    world.fill()
    prepare(world.config(), say=_quiet)
    linear = open_store(world.config().store).manifest["statistics"]
    with pytest.raises(InputError, match=r"rain_scaling.*run prepare again"):
        open_store(world.config().store, world.config(rain_scaling="log1p"))
    monkeypatch.setattr(build, "write_day", _not_again)
    prepare(world.config(rain_scaling="log1p"), say=_quiet)
    bent = open_store(world.config().store, world.config(rain_scaling="log1p"))
    assert bent.manifest["statistics"]["target"]["std"] != linear["target"]["std"]
    assert bent.manifest["statistics"]["fine_rain"] == linear["fine_rain"]


def test_a_store_of_other_variables_is_refused_and_left_alone(world):
    world.fill()
    prepare(world.config(), say=_quiet)
    before = contents(world.root / "store")
    other = world.config(variables=["u", "tp"])
    for use in (prepare, lambda config: open_store(config.store, config)):
        with pytest.raises(InputError, match=r"made with variables=.*config says variables="):
            use(other)
    assert contents(world.root / "store") == before


def test_coarsened_rain_is_the_block_mean_and_the_grid_is_cropped(world):
    world.write_fine("a.nc", hours(3, 9))
    config = world.config(coarsen=9, variables=["tp"], levels=[], coarse=[])
    prepare(config, say=_quiet)
    (area,) = open_store(config.store).areas
    assert area.fine_grid.shape == (36, 45)
    assert area.coarse(0).shape == (1, 4, 5)
    np.testing.assert_allclose(area.coarse(2)[0, 1, 2], area.fine(2)[9:18, 18:27].mean(), rtol=1e-6)
    np.testing.assert_allclose(area.coarse_grid.y[0], world.fine_y[4])


def test_predictors_counted_in_another_turn_of_the_globe_still_pair(world):
    world.write_fine("a.nc", hours(3, 9))
    world.write_coarse("pl.nc", hours(0, 9), x=world.coarse_x - 360.0)
    prepare(world.config(), say=_quiet)
    (area,) = open_store(world.config().store).areas
    np.testing.assert_allclose(area.coarse_grid.x, world.coarse_x)


def test_two_grids_make_two_areas(world, tmp_path):
    world.write_fine("a.nc", hours(3, 9))
    world.write_coarse("pl.nc", hours(0, 9))
    with xr.open_dataset(world.root / "fine" / "a.nc") as dataset:
        dataset.isel(longitude=slice(0, 20)).to_netcdf(world.root / "fine" / "small.nc")
    prepare(world.config(), say=_quiet)
    store = open_store(world.config().store)
    assert [area.fine_grid.shape for area in store.areas] == [(40, 48), (40, 20)]
    assert [len(area.hours) for area in store.areas] == [7, 7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": "/nowhere/at/all"}, "data.root=/nowhere/at/all is no folder"),
        ({"fine": ["none/*"]}, r'no file matches data.fine=\["none/\*"\]'),
        ({"exclude": ["*.nc"]}, "all excluded"),
        ({"variables": ["w", "tp"]}, "'w' is no predictor"),
        ({"levels": [850, 700]}, "700"),
        ({"splits": Splits(train=[NEVER])}, "no hour pairs.*2020-01-01T03:00:00"),
        ({"splits": Splits(test=[ALWAYS])}, "no hour is for training"),
        ({"splits": Splits(train=[ALWAYS], test=[NOON])}, "two splits, train and test"),
        ({"fine_variable": "snow"}, "snow"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_leaves_no_store(world, changes, message):
    world.fill()
    with pytest.raises(InputError, match=message):
        prepare(world.config(**changes), say=_quiet)
    assert not (world.root / "store" / "manifest.json").exists()
    assert not list(world.root.rglob("*.partial"))


def test_a_variable_that_no_file_holds_is_named_with_those_that_they_hold(world):
    world.write_fine("a.nc", hours(3, 9))
    world.write_coarse("pl.nc", hours(0, 9), variables=["u", "tp"])
    with pytest.raises(InputError, match="no coarse file holds v; they hold tp, u"):
        prepare(world.config(variables=["u", "v", "tp"]), say=_quiet)


def test_hours_that_never_pair_are_told_with_both_periods(world):
    world.write_fine("a.nc", hours(3, 9))
    world.write_coarse("pl.nc", hours(40, 50))
    with pytest.raises(InputError, match=r"T03.*T09.*predictors' from 2020-01-02T16"):
        prepare(world.config(), say=_quiet)


def test_predictors_that_do_not_cover_the_rain_are_told_with_both_extents(world):
    world.write_fine("a.nc", hours(3, 9))
    world.write_coarse("pl.nc", hours(0, 9), x=world.coarse_x + 1.0)
    with pytest.raises(InputError, match=r"110\.00\.\.112\.35 E.*110\.75\.\.113\.50 E"):
        prepare(world.config(), say=_quiet)


def test_predictors_on_two_grids_are_refused(world):
    world.write_fine("a.nc", hours(3, 9))
    world.write_coarse("a.nc", hours(0, 5))
    world.write_coarse("b.nc", hours(6, 9), x=world.coarse_x + 0.1)
    with pytest.raises(InputError, match=r"b.nc is on another grid"):
        prepare(world.config(), say=_quiet)


def test_a_file_that_is_no_grib_and_a_truncated_one_are_named(world, shared_data):
    world.write_fine("a.nc", hours(3, 9))
    (world.root / "coarse").mkdir()
    (world.root / "coarse" / "notes.grib").write_text("no GRIB at all")
    with pytest.raises(InputError, match=r"notes\.grib"):
        prepare(world.config(), say=_quiet)
    truncated = shared_data / "grib" / "hostile" / "TRUNCATED_pl_regular_ll.grib"
    shutil.copy(truncated, world.root / "coarse" / "notes.grib")
    with pytest.raises(InputError, match=r"notes\.grib"):
        prepare(world.config(variables=["t", "z"], target="direct", levels=[850]), say=_quiet)
    assert not (world.root / "store" / "manifest.json").exists()


def test_a_full_disk_leaves_nothing_half_written(world, monkeypatch):
    world.fill()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(days, "_coarse", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(world.config(), say=_quiet)
    assert not list(world.root.rglob("*.partial"))
    assert not list((world.root / "store").glob("area*/fine_2*.npy"))
    monkeypatch.undo()
    prepare(world.config(), say=_quiet)
    assert open_store(world.config().store, world.config()).areas


def test_real_predictors_become_canonical_netcdf(world, shared_data):
    folder = world.root / "coarse"
    folder.mkdir()
    source = shared_data / "grib" / "era5_like" / "pl_regular_ll.grib"
    shutil.copy(source, folder / "pl.grib")
    config = world.config(variables=["t", "z"], levels=[850, 500], target="direct")
    (found,) = find_sources(config, ["coarse"])
    assert make_canonical(found, config)
    assert not make_canonical(found, config)
    index = {"indexpath": ""}
    with (
        xr.open_dataset(found.canonical) as ours,
        xr.open_dataset(source, engine="cfgrib", backend_kwargs=index) as theirs,
    ):
        assert ours["t"].attrs["units"] == "K"
        assert ours["z"].attrs["units"] == "m2 s-2"
        theirs = theirs.rename(isobaricInhPa="level").stack(hour=("time", "step"))
        longitude = ours["longitude"].values % 360
        theirs = theirs.sel(latitude=ours["latitude"].values, longitude=longitude)
        np.testing.assert_array_equal(ours["time"], theirs["valid_time"])
        for name in ("t", "z"):
            for level in (850, 500):
                expected = theirs[name].sel(level=level).transpose("hour", ...)
                np.testing.assert_allclose(ours[name].sel(level=level), expected, rtol=1e-6)


def test_the_stages_alone_make_what_both_make(world, tmp_path):
    world.fill()
    prepare(world.config(), say=_quiet)
    staged = world.config(store=str(tmp_path / "staged"))
    with pytest.raises(InputError, match=r"files\.json is not there.*--stage netcdf"):
        prepare(staged, say=_quiet, stage="arrays")
    prepare(staged, say=_quiet, stage="netcdf")
    assert not (tmp_path / "staged" / "manifest.json").exists()
    assert len(list((tmp_path / "staged" / "netcdf").rglob("*.nc"))) == 3
    for folder in ("fine", "coarse"):
        shutil.move(world.root / folder, tmp_path / f"away_{folder}")
    other = world.config(store=staged.store, levels=[850])
    with pytest.raises(InputError, match=r"another reading than the config"):
        prepare(other, say=_quiet, stage="arrays")
    prepare(staged, say=_quiet, stage="arrays")
    assert contents(tmp_path / "staged") == contents(world.root / "store")


def test_a_canonical_file_that_is_gone_is_named(world):
    world.fill()
    prepare(world.config(), say=_quiet, stage="netcdf")
    (gone,) = (world.root / "store" / "netcdf").rglob("a.nc.*")
    gone.unlink()
    with pytest.raises(InputError, match=r"a\.nc\..*is gone or was made otherwise"):
        prepare(world.config(), say=_quiet, stage="arrays")


def test_a_second_run_at_the_same_time_is_refused(world):
    world.fill()
    with build._alone(world.root / "store"), pytest.raises(InputError, match="another run"):
        prepare(world.config(), say=_quiet)
    prepare(world.config(), say=_quiet)


def test_what_a_killed_run_left_half_written_is_cleared_away(world):
    world.fill()
    left = world.root / "store" / "netcdf" / "fine" / ".a.nc.12345678.nc.0a1b2c3d.partial"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    prepare(world.config(), say=_quiet)
    assert not left.exists()
