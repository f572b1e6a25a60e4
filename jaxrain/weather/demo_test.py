import hashlib

import eccodes
import numpy as np
import pytest

from jaxrain.weather.cmpa import newest
from jaxrain.weather.demo import demo_days, write_demo
from jaxrain.weather.era5 import inventory, read_coarse
from jaxrain.weather.fine_files import read_fine_file
from jaxrain.weather.synthetic import make_domain, simulate

_SMALL = {"size": 32, "train_days": 5, "validation_days": 1, "test_days": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, seed=3, **_SMALL)
    return folder


def _hashes(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_files_are_a_function_of_the_seed(tmp_path):
    short = _SMALL | {"train_days": 1}
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        write_demo(tmp_path / name, seed=seed, **short)
    one, same, other = (_hashes(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert one.keys() == other.keys()
    assert set(one.values()).isdisjoint(other.values())


def test_written_again_where_the_marker_is_missing_only(folder):
    before = _hashes(folder)
    (first, second) = sorted((folder / "cmpa").iterdir())[:2]
    content = first.read_bytes()
    first.write_bytes(b"mine")
    write_demo(folder, seed=3, **_SMALL)
    assert first.read_bytes() == b"mine"
    (folder / "demo.json").unlink()
    second.unlink()  # as after a kill
    write_demo(folder, seed=3, **_SMALL)
    assert first.read_bytes() == content
    assert _hashes(folder) == before


def test_fields_come_back_as_they_were_made(folder):
    day = read_coarse(
        folder / "era5" / "era5_pl_20220601.grib",
        variables=["u", "v", "t", "r", "z"],
        levels=[850, 700, 500, 300],
    )
    assert day.sizes["time"] == 24
    made = list(simulate(make_domain(32), np.arange(24), seed=3, stream=0))
    for name, packing in {"u": 1e-3, "v": 1e-3, "t": 1e-3, "r": 5e-3, "z": 0.2}.items():
        expected = np.stack([hour.fields[name] for hour in made])
        np.testing.assert_allclose(day[name], expected, atol=packing)
    rain = read_coarse(folder / "era5" / "era5_tp_20220601.grib", variables=["tp"], levels=[])
    np.testing.assert_array_equal(rain.time, day.time)
    np.testing.assert_allclose(rain.tp, [hour.coarse_rain_mm for hour in made], atol=2e-3)
    taken, _ = newest((folder / "cmpa").iterdir())
    for path, hour in list(zip(taken, made, strict=False))[::7]:
        fine = read_fine_file(path).rain[0].values
        known = ~np.isnan(fine)
        np.testing.assert_allclose(fine[known], hour.fine_rain_mm[known], atol=1e-5)
        assert 0 < (~known).sum() < 20


def test_messages_are_as_the_data_stores_hand_them_out(folder):
    path = folder / "era5" / "era5_tp_20220602.grib"
    steps = []
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            keys = (
                "edition",
                "shortName",
                "units",
                "dataType",
                "stepType",
                "stepRange",
                "dataTime",
            )
            edition, name, units, kind, step_type, step, base = (
                eccodes.codes_get(handle, key) for key in keys
            )
            assert (edition, name, units, kind, step_type) == (1, "tp", "m", "fc", "accum")
            steps.append((base, step))
            eccodes.codes_release(handle)
    assert steps[0] == (1800, "5-6")
    assert steps[7] == (600, "0-1")
    assert steps[23] == (1800, "4-5")
    content = min((folder / "cmpa").iterdir()).read_bytes()
    handle = eccodes.codes_new_from_message(content)
    assert eccodes.codes_get(handle, "shortName") == "unknown"
    assert eccodes.codes_get(handle, "centre", int) == 38
    assert eccodes.codes_get(handle, "edition") == 2
    eccodes.codes_release(handle)


def test_one_hour_is_missing_and_one_issued_again(folder):
    taken, passed = newest((folder / "cmpa").iterdir())
    days = demo_days(5, 1, 1)
    hours = sum(
        int((end - start) / np.timedelta64(1, "h")) + 1
        for start, end in (days.train, days.validation, days.test)
    )
    assert len(taken) == hours - 1
    ((loser, winner),) = passed
    first, second = read_fine_file(loser), read_fine_file(winner)
    np.testing.assert_array_equal(first.time, second.time)
    assert float(first.rain.mean()) < 0.6 * float(second.rain.mean())


def test_splits_have_a_day_between_them():
    days = demo_days()
    gap = np.timedelta64(25, "h")
    assert days.train[1] - days.train[0] == np.timedelta64(12 * 24 - 1, "h")
    assert days.validation[0] - days.train[1] == gap
    assert days.test[0] - days.validation[1] == gap


def test_every_day_has_both_files(folder):
    names = sorted(path.name for path in (folder / "era5").iterdir())
    days = [f"2022060{day}" for day in (1, 2, 3, 4, 5, 7, 9)]
    assert names == sorted(f"era5_{kind}_{day}.grib" for kind in ("pl", "tp") for day in days)
    assert (
        inventory(folder / "era5" / names[0]).shape == inventory(folder / "era5" / names[-1]).shape
    )
