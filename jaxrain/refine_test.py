import json
import os
import signal
import subprocess
import sys

import jax
import netCDF4
import numpy as np
import pytest
import xarray as xr

from jaxrain import ensemble_file, refine, sample, verify
from jaxrain.config import load_config
from jaxrain.ensembles import parts
from jaxrain.refinement import Blocks
from jaxrain.sample_test import CONFIG, same


@pytest.fixture(scope="module")
def small(run, tmp_path_factory, untrained):
    """A run over blocks of 4 x 4 points of the rain that `run` makes of cells of 8 x 8."""
    folder = tmp_path_factory.mktemp("small")
    text = (
        CONFIG.format(root=run.parent)
        .replace("coarsen: 8", "coarsen: 4")
        .replace("*.nc", "rain.nc")
    )
    text = text.replace(f"store: {run.parent}/store", f"store: {folder}/store")
    (folder / "config.yaml").write_text(text.replace("sampler: ddpm", "sampler: dpmpp_2m"))
    rng = np.random.default_rng(2)

    def weights(init):
        return jax.tree.map(
            lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32), jax.eval_shape(init, 0)
        )

    return untrained(load_config(folder / "config.yaml"), folder / "run", weights)


@pytest.fixture(scope="module")
def finer(whole, small, tmp_path_factory):
    output = tmp_path_factory.mktemp("finer") / "finer.nc"
    assert refine.main([str(whole), str(small), "--output", str(output)]) == 0
    return output


def blocks_of(rain, side):
    *lead, height, width = rain.shape
    return rain.reshape(*lead, height // side, side, width // side, side).mean((-3, -1))


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
    save, left = parts.save_part, [4]

    def stop_after_four(*arguments):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        save(*arguments)

    monkeypatch.setattr(ensemble_file, "save_part", stop_after_four)
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


def test_mistakes_are_one_line(run, whole, small, tmp_path, capsys):
    narrow = tmp_path / "narrow.nc"
    box = ["--box", "29.961", "110.1", "29.929", "110.3", "--members", "1"]
    assert sample.main([str(run), "--output", str(narrow), *box]) == 0
    wide = tmp_path / "wide.nc"
    with xr.open_dataset(whole) as dataset:
        moved = {name: 2 * dataset[name].values for name in ("latitude", "longitude")}
        dataset.assign_coords(moved).to_netcdf(wide)
    output = ["--output", str(tmp_path / "out.nc")]
    for words, expected in (
        ([str(whole), str(small), "--output", str(whole), "--overwrite"], "is the ensemble itself"),
        ([str(narrow), str(small), *output], "has 4 x 21 points: expected more along both"),
        ([str(wide), str(small), *output], "km apart: expected the same"),
        ([str(whole), str(tmp_path), *output], "is no run"),
        ([str(run.parent / "rain.nc"), str(small), *output], "no variable 'precipitation'"),
        ([str(whole), str(small), *output, "--contrast", "100"], "contrast"),
    ):
        capsys.readouterr()
        assert refine.main(words) == 2
        error = capsys.readouterr().err
        assert expected in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out.nc").exists()


def test_blocks_lie_along_the_lines_of_the_area():
    rng = np.random.default_rng(0)
    area = rng.gamma(0.3, 3.0, (24, 30)).astype(np.float32)
    whole = Blocks.touched((0, 0), area.shape, 5).means(area)
    piece = Blocks.touched((7, 11), (13, 16), 5)
    assert (piece.before, piece.counts) == ((2, 1), (3, 4))
    found = piece.means(area[7:20, 11:27])
    np.testing.assert_allclose(found[1:3, 1:3], whole[2:4, 3:5], rtol=1e-6)
    # Of a block that the edge cuts, what is inside.
    np.testing.assert_allclose(found[0, 0], area[7:10, 11:15].mean(), rtol=1e-6)
    np.testing.assert_allclose(found[2, 3], area[15:20, 25:27].mean(), rtol=1e-6)


def test_blocks_of_which_nothing_is_known_have_the_nearest_ones_mean():
    rain = np.ones((10, 15), np.float32)
    rain[:, 5:10] = 3
    rain[1:5, 3:5] = np.nan
    rain[5:, :5] = np.nan
    found = Blocks.touched((0, 0), rain.shape, 5).means(rain)
    np.testing.assert_array_equal(found[0], [1, 3, 1])
    assert found[1, 0] in (1, 3)
    nothing = np.full((10, 10), np.nan, np.float32)
    np.testing.assert_array_equal(Blocks.touched((0, 0), (10, 10), 5).means(nothing), 0)
