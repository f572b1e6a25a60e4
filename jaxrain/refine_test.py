import json
import os
import signal
import subprocess
import sys

import netCDF4
import numpy as np
import pytest
import xarray as xr

from jaxrain import ensemble_file, refine, sample, verify
from jaxrain.config import load_config, values_of_text
from jaxrain.ensembles import parts
from jaxrain.refinement import _seed
from jaxrain.sample_test import same
from jaxrain.verification.forecast import open_forecast


@pytest.fixture(scope="module")
def finer(whole, small, tmp_path_factory):
    output = tmp_path_factory.mktemp("finer") / "finer.nc"
    assert refine.main([str(whole), str(small), "--output", str(output)]) == 0
    return output


def blocks_of(rain, side):
    *lead, height, width = rain.shape
    return rain.reshape(*lead, height // side, side, width // side, side).mean((-3, -1))


def stop_after(monkeypatch, count):
    """The command is interrupted once so many fields are written."""
    save, left = parts.save_part, [count]

    def stopping(*arguments):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        save(*arguments)

    monkeypatch.setattr(ensemble_file, "save_part", stopping)


def test_blocks_keep_their_means_and_what_is_in_them_is_new(whole, finer):
    with xr.open_dataset(whole) as before, xr.open_dataset(finer) as after:
        kept, drawn = before["precipitation"].values, after["precipitation"].values
        np.testing.assert_allclose(blocks_of(drawn, 4), blocks_of(kept, 4), rtol=1e-4, atol=1e-4)
        inside = drawn - np.kron(blocks_of(drawn, 4), np.ones((4, 4)))
        own = kept - np.kron(blocks_of(kept, 4), np.ones((4, 4)))
        # Blocks' means go before and after from one to the next: so much is alike.
        assert 0 < np.corrcoef(inside.ravel(), own.ravel())[0, 1] < 0.5
        assert drawn.min() >= 0
        np.testing.assert_array_equal(after["member"], before["member"])
        for name in ("coarse_precipitation", "latitude", "longitude", "time"):
            xr.testing.assert_identical(after[name].load(), before[name].load())
        np.testing.assert_allclose(after["precipitation_mean"], drawn.mean(0), rtol=1e-5, atol=1e-6)
        told = after.attrs
        assert told["jaxrain_store"] == before.attrs["jaxrain_store"]
        assert told["jaxrain_checkpoint"] == before.attrs["jaxrain_checkpoint"]
        assert told["jaxrain_refined_checkpoint"] != told["jaxrain_checkpoint"]
        assert told["title"].endswith("drawn anew inside blocks of 4 x 4 points")


def test_a_refined_ensemble_is_verified_as_any(finer, tmp_path):
    assert verify.main([str(finer), "--report", str(tmp_path)]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert list(scores["baselines"]) == ["bilinear", "nearest", "quantile-mapped"]
    assert scores["points"] == 2 * 40 * 56


def test_a_member_alone_is_as_among_all(run, small, finer, tmp_path):
    alone, output = tmp_path / "alone.nc", tmp_path / "finer.nc"
    words = ["--first-member", "2", "--members", "1", "--hours", "2020-07-01T07"]
    assert sample.main([str(run), "--output", str(alone), *words]) == 0
    assert refine.main([str(alone), str(small), "--output", str(output), "--batch", "1"]) == 0
    with xr.open_dataset(output) as made, xr.open_dataset(finer) as among:
        expected = among["precipitation"].sel(member=[2]).isel(time=[1])
        np.testing.assert_allclose(made["precipitation"], expected, rtol=1e-4, atol=1e-4)
        assert made["member"].item() == 2


def test_noise_is_neither_of_the_members_nor_of_another_seed(whole, small, finer, tmp_path):
    again = tmp_path / "seed.nc"
    assert refine.main([str(whole), str(small), "--output", str(again), "--seed", "1"]) == 0
    twin = tmp_path / "twin.nc"
    twin.write_bytes(whole.read_bytes())
    with netCDF4.Dataset(twin, "a") as file:
        file.setncattr("jaxrain_seed", "5")
    other = tmp_path / "other.nc"
    assert refine.main([str(twin), str(small), "--output", str(other)]) == 0
    with xr.open_dataset(finer) as made:
        for path in (again, other):
            with xr.open_dataset(path) as drawn:
                differ = drawn["precipitation"].values - made["precipitation"].values
                assert np.abs(differ).max() > 0.1


def test_interrupted_it_goes_on_where_it_was(whole, small, finer, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out.nc"
    words = [str(whole), str(small), "--output", str(output)]
    stop_after(monkeypatch, 4)
    assert refine.main(words) == 130
    monkeypatch.undo()
    assert not output.exists()
    assert refine.main([*words, "--steps", "3"]) == 2
    assert "steps was 4, now it is 3" in capsys.readouterr().err
    assert refine.main(words) == 0
    assert "4 of 6 fields were drawn before" in capsys.readouterr().out
    same(output, finer)


@pytest.mark.slow
def test_kill_9_and_start_again_changes_nothing(whole, small, tmp_path):
    straight, killed = tmp_path / "straight.nc", tmp_path / "killed.nc"
    command = [sys.executable, "-m", "jaxrain.refine", str(whole), str(small), "--output"]
    process = subprocess.Popen([*command, str(killed)])
    while len(list(parts.parts_folder(killed).glob("*/*.npy"))) < 3:
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run([*command, str(killed)], check=True)
    subprocess.run([*command, str(straight)], check=True)
    same(straight, killed)


def test_what_is_missing_stays_missing(whole, small, tmp_path):
    path, output = tmp_path / "holes.nc", tmp_path / "finer.nc"
    path.write_bytes(whole.read_bytes())
    with netCDF4.Dataset(path, "a") as file:
        rain = file["precipitation"]
        order = [rain.dimensions.index(name) for name in ("member", "time")]
        assert order == [0, 1]
        rain[:, :, 9:22, 5:30] = np.nan
        rain[1, 1] = np.nan
    assert refine.main([str(path), str(small), "--output", str(output)]) == 0
    with xr.open_dataset(output) as made, xr.open_dataset(path) as holes:
        rain = made["precipitation"].values
        np.testing.assert_array_equal(np.isnan(rain), holes["precipitation"].isnull())


def pieces(whole, folder, count):
    """A window of one tile, from point (9, 10) of the area on, its members repeated; its path."""
    with xr.open_dataset(whole) as dataset:
        window = {"latitude": slice(9, 25), "longitude": slice(10, 26)}
        members = dataset.isel(member=np.arange(count) % 3, **window).load()
    numbers = np.arange(count, dtype=np.int32)
    members = members.assign_coords(member=numbers).drop_vars("exceedance_probability")
    path = folder / "pieces.nc"
    members.assign_attrs(origin=np.asarray((9, 10), np.int32)).to_netcdf(path)
    return members, path


def test_a_piece_has_blocks_and_noise_of_its_area(whole, small, finer, tmp_path):
    members, path = pieces(whole, tmp_path, 10)
    output = tmp_path / "finer.nc"
    assert refine.main([str(path), str(small), "--output", str(output)]) == 0
    with xr.open_dataset(output) as made, xr.open_dataset(finer) as area:
        rain = made["precipitation"].values
        # Rows 9 to 24 and columns 10 to 25: whole blocks from 12 on.
        inner = rain[..., 3:15, 2:14]
        kept = members["precipitation"].values[..., 3:15, 2:14]
        np.testing.assert_allclose(blocks_of(inner, 4), blocks_of(kept, 4), rtol=1e-4, atol=1e-4)
        there = area["precipitation"].values[..., 12:24, 12:24]
        for hour in range(2):
            for member in range(3):
                twin, other = there[member, hour], inner[member + 3, hour]
                assert np.corrcoef(inner[member, hour].ravel(), twin.ravel())[0, 1] > 0.9
                # The same rain in another member, whose noise is another.
                assert np.abs(inner[member, hour] - other).max() > 0.01
        assert "exceedance_probability" not in made
        assert made.attrs["origin"].tolist() == [9, 10]


def test_many_fields_at_once_are_those_alone_and_go_on_to_the_bit(
    whole, small, tmp_path, monkeypatch
):
    members, path = pieces(whole, tmp_path, 10)
    straight, output = tmp_path / "straight.nc", tmp_path / "finer.nc"
    words = [str(path), str(small), "--batch", "8", "--output"]
    assert refine.main([*words, str(straight)]) == 0
    stop_after(monkeypatch, 17)
    assert refine.main([*words, str(output)]) == 130
    monkeypatch.undo()
    assert refine.main([*words, str(output)]) == 0
    same(straight, output)
    one, alone = tmp_path / "one.nc", tmp_path / "alone.nc"
    members.isel(member=[8], time=[1]).to_netcdf(one)
    assert refine.main([str(one), str(small), "--batch", "1", "--output", str(alone)]) == 0
    with xr.open_dataset(alone) as made, xr.open_dataset(straight) as among:
        expected = among["precipitation"].isel(member=[8], time=[1])
        # `one` has lost its origin, and so lies elsewhere: other blocks, other noise.
        assert np.abs(made["precipitation"].values - expected.values).max() > 0.01
    members.isel(member=[8], time=[1]).assign_attrs(origin=[9, 10]).to_netcdf(one)
    again = ["--batch", "1", "--overwrite", "--output", str(alone)]
    assert refine.main([str(one), str(small), *again]) == 0
    with xr.open_dataset(alone) as made:
        np.testing.assert_allclose(made["precipitation"], expected, rtol=1e-4, atol=1e-4)


def test_an_ensemble_that_changed_is_not_gone_on_with(whole, small, tmp_path, monkeypatch, capsys):
    _, path = pieces(whole, tmp_path, 3)
    words = [str(path), str(small), "--output", str(tmp_path / "finer.nc")]
    stop_after(monkeypatch, 2)
    assert refine.main(words) == 130
    monkeypatch.undo()
    with netCDF4.Dataset(path, "a") as file:
        file["precipitation"][0] = 1.0
    assert refine.main(words) == 2
    assert "ensemble was" in capsys.readouterr().err


def test_metres_mappings_and_what_a_regression_expects_stay(whole, small, tmp_path):
    """Two groups on a projection, axes in metres."""
    rng = np.random.default_rng(3)
    groups = {}
    for name, rows in (("a", 16), ("b", 20)):
        dims = ("time", "member", "y", "x")
        rain = rng.gamma(0.3, 3.0, (1, 2, rows, 16)).astype(np.float32)
        metres = {"units": "m"}
        groups[name] = xr.Dataset(
            {
                "precipitation": (dims, rain, {"units": "mm", "grid_mapping": "lambert"}),
                "coarse_precipitation": (("time", "y", "x"), rain.mean(1)),
                "regression_precipitation": (("time", "y", "x"), rain.max(1)),
                "lambert": ((), 0, {"grid_mapping_name": "lambert_conformal_conic"}),
            },
            {
                "time": np.array(["2020-07-01T06"], "datetime64[ns]"),
                "y": ("y", 1000.0 * np.arange(rows), metres),
                "x": ("x", 1000.0 * np.arange(16), metres),
            },
        )
        groups[name].to_netcdf(tmp_path / "in.nc", mode="a", group=name)
    output = tmp_path / "finer.nc"
    words = [str(tmp_path / "in.nc"), str(small), "--products", "mean", "--output", str(output)]
    assert refine.main(words) == 0
    for name, before in groups.items():
        with xr.open_dataset(output, group=name) as after:
            for axis in "yx":
                np.testing.assert_array_equal(after[axis], before[axis])
                assert after[axis].attrs["units"] == "m"
            for field in ("coarse_precipitation", "regression_precipitation"):
                np.testing.assert_array_equal(after[field], before[field])
            assert after["crs"].attrs["grid_mapping_name"] == "lambert_conformal_conic"
            assert {each.attrs["grid_mapping"] for each in after.values() if each.ndim > 1} == {
                "crs"
            }
            assert "area" not in after.attrs
            kept, drawn = (
                blocks_of(each["precipitation"].transpose("time", "member", "y", "x").values, 4)
                for each in (before, after)
            )
            np.testing.assert_allclose(drawn, kept, rtol=1e-4, atol=1e-4)


def test_what_is_refined_twice_has_other_noise_and_says_both(small, finer, tmp_path):
    again = tmp_path / "again.nc"
    words = ["--seed", "3", "--consistency", "soft", "--output", str(again)]
    assert refine.main([str(finer), str(small), *words]) == 0
    with open_forecast(finer) as once, open_forecast(again) as twice:
        assert twice.attributes["jaxrain_refined_seed"] == "0, 3"
        assert twice.attributes["title"].endswith("4 x 4 points, then blocks of 4 x 4 points")
        assert twice.attributes["source"] == once.attributes["source"]
        assert len({_seed(each, 0) for each in (once, twice)}) == 2
        parts = twice.attributes["jaxrain_refined_config"].split("---\n")
        consistencies = [values_of_text(each)["sample"]["consistency"] for each in parts]
        assert consistencies == ["hard", "soft"]
        assert [values_of_text(each)["sample"]["contrast"] for each in parts] == [1, 1]


def test_mistakes_are_one_line(run, whole, small, untrained, tmp_path, capsys):
    narrow = tmp_path / "narrow.nc"
    box = ["--box", "29.961", "110.1", "29.929", "110.3", "--members", "1"]
    assert sample.main([str(run), "--output", str(narrow), *box]) == 0
    wide = tmp_path / "wide.nc"
    with xr.open_dataset(whole) as dataset:
        moved = {name: 2 * dataset[name].values for name in ("latitude", "longitude")}
        dataset.assign_coords(moved).to_netcdf(wide)
    named, negative, metres = (tmp_path / f"{name}.nc" for name in ("named", "negative", "metres"))
    with xr.open_dataset(whole) as dataset:
        dataset.assign_coords(member=["a", "b", "c"]).to_netcdf(named)
        dataset.assign_coords(member=np.arange(-1, 2)).to_netcdf(negative)
        rain = dataset["precipitation"]
        dataset.assign(precipitation=rain.assign_attrs(units="m")).to_netcdf(metres)
    place = tmp_path / "place"
    place.mkdir()
    words = ["data.encodings=[latitude]", f"data.store={place}/store"]
    untrained(load_config(small / "config.yaml", words), place)
    output = ["--output", str(tmp_path / "out.nc")]
    for words, expected in (
        ([str(whole), str(small), "--output", str(whole), "--overwrite"], "is the ensemble itself"),
        ([str(narrow), str(small), *output], "has 4 x 21 points: expected more along both"),
        ([str(wide), str(small), *output], "km apart: expected the same"),
        ([str(whole), str(tmp_path), *output], "is no run"),
        ([str(run.parent / "rain.nc"), str(small), *output], "no variable 'precipitation'"),
        ([str(whole), str(small), *output, "--contrast", "100"], "contrast"),
        ([str(named), str(small), *output], "numbered by"),
        ([str(metres), str(small), *output], "precipitation is in m, not in mm"),
        ([str(negative), str(small), *output], "numbered from -1 to 1"),
        ([str(whole), str(small), *output, "--eta", "0.5"], "eta"),
        ([str(whole), str(place), *output], "was trained with latitude too"),
    ):
        capsys.readouterr()
        assert refine.main(words) == 2
        error = capsys.readouterr().err
        assert expected in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out.nc").exists()
