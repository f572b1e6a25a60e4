import json
import subprocess
import sys
import warnings

import netCDF4
import numpy as np
import pytest
import xarray as xr

import jaxrain
from jaxrain import sample
from jaxrain.config import load_config
from jaxrain.downscaler import Downscaler, load
from jaxrain.ensembles import drawing, parts
from jaxrain.ensembles.member_contrast import powers, sharpened
from jaxrain.errors import InputError
from jaxrain.pairs.cases import cases
from jaxrain.pairs.store import open_store
from jaxrain.weather.cf import write_netcdf

HOURS = np.arange("2020-07-01T00", "2020-07-01T08", dtype="datetime64[h]")
CONFIG = """
data:
  root: {root}
  store: {root}/store
  fine: ["*.nc"]
  coarse: []
  coarsen: 8
  variables: [tp]
  levels: []
  splits: {{train: ["2020-07-01T00/2020-07-01T05"], test: ["2020-07-01T06/2020-07-01T07"]}}
  rain_scaling: log1p
  patch: 16
model: {{inner_channel: 8, channel_mults: [1, 2], res_blocks: 1, norm_groups: 4, attn_res: []}}
diffusion: {{steps: 100, prediction: x0}}
train: {{run: {root}/run}}
sample: {{members: 3, steps: 4, batch: 4, sampler: ddpm}}
"""


def fine_rain(shape=(40, 56)):
    rng = np.random.default_rng(0)
    rain = rng.gamma(0.3, 3.0, (len(HOURS), *shape)).astype(np.float32)
    axes = {
        "latitude": 30 - 0.01 * np.arange(shape[0]),
        "longitude": 110 + 0.01 * np.arange(shape[1]),
    }
    dims = ("time", "latitude", "longitude")
    coordinates = {"time": HOURS.astype("datetime64[ns]"), **axes}
    return xr.Dataset({"rain": (dims, rain)}, coordinates)


def coarse_input(run):
    """The test split's coarse rain as a user would have it."""
    case = cases(open_store(run.parent / "store"), load_config(run / "config.yaml").data, "test")[0]
    dims = ("time", "latitude", "longitude")
    axes = {"latitude": case.coarse_grid.y, "longitude": case.coarse_grid.x}
    coordinates = {"time": case.hours.astype("datetime64[ns]"), **axes}
    return xr.Dataset({"tp": (dims, case.coarse[:, 0])}, coordinates)


def same(a, b):
    with xr.open_dataset(a) as first, xr.open_dataset(b) as second:
        xr.testing.assert_identical(first.load(), second.load())


def test_the_file_is_what_it_says(run, whole):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = xr.open_dataset(whole).load()
    rain = dataset["precipitation"]
    assert dict(rain.sizes) == {"member": 3, "time": 2, "latitude": 40, "longitude": 56}
    assert rain.attrs["standard_name"] == "lwe_thickness_of_precipitation_amount"
    assert rain.attrs["units"] == "mm"
    assert rain.attrs["cell_methods"] == "time: sum"
    assert float(rain.min()) >= 0
    assert float(rain.std("member").mean()) > 0
    assert dataset["member"].attrs["standard_name"] == "realization"
    np.testing.assert_array_equal(dataset["time"], HOURS[6:].astype("datetime64[ns]"))
    width = dataset["time_bnds"][:, 1] - dataset["time_bnds"][:, 0]
    assert (width == np.timedelta64(1, "h")).all()
    assert dataset.attrs["jaxrain_checkpoint"] == load(run).checkpoint
    assert dataset.attrs["jaxrain_split"] == "test"
    assert dataset.attrs["area"] == "area0"
    assert "sampler: ddpm" in dataset.attrs["jaxrain_config"]
    tiles = [dataset.attrs[f"jaxrain_{name}"] for name in ("tile", "overlap")]
    assert (*tiles, *dataset.attrs["origin"]) == (16, 4, 0, 0)
    assert dataset.attrs["jaxrain_members"] == "0 to 2"
    np.testing.assert_allclose(dataset["precipitation_mean"], rain.mean("member"), rtol=1e-5)
    np.testing.assert_array_equal(dataset["precipitation_maximum"], rain.max("member"))
    middle = dataset["precipitation_quantile"].sel(quantile=0.5)
    np.testing.assert_allclose(middle, rain.median("member"), rtol=1e-5)
    chances = (rain >= dataset["threshold"].astype(np.float32)).mean("member")
    np.testing.assert_allclose(
        dataset["exceedance_probability"], chances.transpose("threshold", ...)
    )
    with netCDF4.Dataset(whole) as file:
        assert file["precipitation"].filters()["zlib"]


def test_coarse_precipitation_is_the_bilinear_interpolation(run, whole):
    with xr.open_dataset(whole) as dataset:
        fine = dataset["coarse_precipitation"]
        expected = coarse_input(run)["tp"].interp(
            latitude=fine["latitude"][4:-4], longitude=fine["longitude"][4:-4]
        )
        inner = fine.isel(latitude=slice(4, -4), longitude=slice(4, -4))
        np.testing.assert_allclose(inner, expected, rtol=1e-4, atol=1e-5)


CHECK = """
import sys
from compliance_checker.runner import CheckSuite
CheckSuite.load_all_available_checkers()
suite = CheckSuite()
((groups, errors),) = suite.run_all(suite.load_dataset(sys.argv[1]), ["cf:1.10"]).values()
assert not errors and len(groups) > 20, errors
faults = [g.msgs for g in groups if g.value is False or g.value[0] < g.value[1]]
sys.exit(str(faults) if faults else 0)
"""


def test_a_cf_checker_finds_no_fault(whole):
    # Its C libraries and ours do not share a process: together they crash when it ends.
    command = [sys.executable, "-W", "ignore", "-c", CHECK, str(whole)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("member", [0, 2])
def test_a_member_and_hour_can_be_made_again_alone(run, whole, tmp_path, member):
    output = tmp_path / "one.nc"
    words = ["--hours", "2020-07-01T07", "--members", "1", "--batch", "1", "--products", "mean,q25"]
    words += ["--first-member", str(member)]
    assert sample.main([str(run), "--output", str(output), *words]) == 0
    with xr.open_dataset(output) as one, xr.open_dataset(whole) as every:
        told = set(one.data_vars) - {"precipitation", "coarse_precipitation"}
        assert told == {"precipitation_mean", "precipitation_quantile"}
        expected = every["precipitation"].isel(member=[member], time=[1])
        np.testing.assert_allclose(one["precipitation"], expected, atol=1e-3)
        np.testing.assert_array_equal(one["member"], expected["member"])
        assert one.attrs["jaxrain_members"] == f"{member} to {member}"


def test_noise_can_be_asked_to_last(run, whole, tmp_path, capsys):
    output = tmp_path / "lasting.nc"
    words = [str(run), "--output", str(output), "--noise-correlation", "0.8"]
    assert sample.main([*words, "--noise-hours", "4"]) == 2
    assert "noise_correlation=0.8 takes more than noise_hours=4" in capsys.readouterr().err
    assert sample.main([*words, "--noise-hours", "9"]) == 0
    with xr.open_dataset(output) as found, xr.open_dataset(whole) as plain:
        assert found.attrs["jaxrain_noise_correlation"] == 0.8
        assert found.attrs["jaxrain_noise_hours"] == 9
        assert np.abs(found["precipitation"] - plain["precipitation"]).max() > 1e-3


@pytest.mark.filterwarnings("ignore:tp.*outside what training saw")
def test_a_file_says_by_what_epsilon_was_scaled(run, whole, tmp_path):
    output = tmp_path / "scaled.nc"
    words = ["--epsilon-scale", "1.05", "--sampler", "heun"]
    assert sample.main([str(run), "--output", str(output), *words]) == 0
    with xr.open_dataset(output) as found, xr.open_dataset(whole) as plain:
        assert found.attrs["jaxrain_epsilon_scale"] == 1.05
        assert "jaxrain_epsilon_scale" not in plain.attrs
        dataset = coarse_input(run)
        unscaled = jaxrain.load(run).sample(dataset, members=3, sampler="heun")["precipitation"]
        assert np.abs(found["precipitation"] - unscaled).max() > 1e-3


def test_nothing_is_multiplied_beyond_what_training_showed(run):
    most = json.loads((run / "manifest.json").read_text())["statistics"]["fine_rain"]["max"]
    assert jaxrain.load(run).most_mm == pytest.approx(most)
    assert load(run, ["data.augment_amounts=2"]).most_mm == pytest.approx(2 * most)


def test_members_are_held_without_going_beyond_it(run, monkeypatch):
    asked = []
    monkeypatch.setattr(drawing, "consistent", lambda _, *how: asked.append(how))
    downscaler = load(run, ["sample.consistency=hard", "data.augment_amounts=3"])
    (case,) = cases(open_store(run.parent / "store"), downscaler.config.data, "test")
    downscaler.prepare(case, downscaler.config.sample)
    assert asked == [("hard", downscaler.most_mm)]


def test_members_differ_in_contrast_where_that_is_asked_for(run, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(Downscaler, "most_mm", 1.5)
    output = tmp_path / "contrast.nc"
    assert sample.main([str(run), "--output", str(output), "--contrast", "3"]) == 0
    with xr.open_dataset(output) as found, xr.open_dataset(whole) as plain:
        assert found.attrs["jaxrain_contrast"] == 3
        assert "jaxrain_contrast" not in plain.attrs
        rain, got = (each["precipitation"].values for each in (plain, found))
        members, hours = np.indices(rain.shape[:2]).reshape(2, -1)
        exponents = powers(plain["time"].values[hours], members, 3.0, seed=0)
        fields = rain[members, hours]
        most = (1.5, np.inf)
        expected, free = (
            sharpened(fields, np.isfinite(fields), exponents, (8, 8), mm) for mm in most
        )
        np.testing.assert_allclose(got[members, hours], expected, rtol=1e-3, atol=1e-3)
        assert np.abs(expected - free).max() > 0.1
        assert np.abs(got - rain).max() > 0.1


@pytest.mark.filterwarnings("ignore:tp.*outside what training saw")
def test_python_draws_what_the_command_draws(run, whole):
    result = jaxrain.load(run).sample(coarse_input(run), members=3, seed=0)
    with xr.open_dataset(whole) as written:
        assert set(result.data_vars) == set(written.data_vars)
        for name in written.data_vars:
            assert result[name].dims == written[name].dims
            assert result[name].attrs == written[name].attrs
            np.testing.assert_allclose(result[name], written[name], atol=1e-5)
        assert result.attrs["jaxrain_checkpoint"] == written.attrs["jaxrain_checkpoint"]
    last = jaxrain.load(run).sample(coarse_input(run), members=1, first_member=2)
    assert last["member"].item() == 2
    np.testing.assert_allclose(last["precipitation"][0], result["precipitation"][2], atol=1e-3)
    other = jaxrain.load(run).sample(coarse_input(run), members=1, seed=1, steps=3, sampler="ddim")
    assert np.abs(other["precipitation"][0] - result["precipitation"][0]).max() > 1e-3


def fails(capsys, *words):
    assert sample.main(list(map(str, words))) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_errors_name_the_value_and_the_remedy(run, whole, tmp_path, capsys):
    new = tmp_path / "new.nc"
    before = whole.read_bytes()
    assert "--overwrite" in fails(capsys, run, "--output", whole)
    assert whole.read_bytes() == before
    assert "is no run" in fails(capsys, tmp_path, "--output", new)
    error = fails(capsys, run, "--output", new, "--sampler", "euler")
    assert "euler" in error
    assert "ddpm, ddim, dpmpp_2m" in error
    error = fails(capsys, run, "--output", new, "--sampler", "ddim", "--sigma-max", "4")
    assert "--sigma-max: ddim begins at its schedule's most noise" in error
    error = fails(capsys, run, "--output", new, "--sampler", "dpmpp_2m", "--eta", "0.5")
    assert "--eta: dpmpp_2m takes no share of fresh noise; take ddim or heun" in error
    words = ("--sampler", "heun", "--sigma-max", "4", "--first-guess", "2024")
    assert "first_guess=2024: no run" in fails(capsys, run, "--output", new, *words)
    assert "there are train" in fails(capsys, run, "--output", new, "--split", "tset")
    assert "no hours of the split" in fails(capsys, run, "--output", new, "--split", "validation")
    assert "1 to 100" in fails(capsys, run, "--output", new, "--steps", "101")
    assert "members" in fails(capsys, run, "--output", new, "--members", "many")
    assert "'median'; there are mean" in fails(capsys, run, "--output", new, "--products", "median")
    assert "none of the 2 hours" in fails(capsys, run, "--output", new, "--hours", "2021-01-01")
    write_netcdf(coarse_input(run)["tp"].rename("cape").to_dataset(), tmp_path / "t.nc")
    assert "lack" in fails(capsys, run, "--output", new, "--input", tmp_path / "t.nc")
    assert not new.exists()
    assert not parts.parts_folder(new).exists()


def test_a_run_without_checkpoint_says_so(run, tmp_path, capsys):
    for name in ("config.yaml", "manifest.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert "checkpoints" in fails(capsys, tmp_path, "--output", tmp_path / "out.nc")


def test_python_refuses_predictors_that_do_not_fit(run):
    downscaler, dataset = load(run), coarse_input(run)
    with pytest.raises(InputError, match=r"^sampler: unknown sampler 'euler'; there are ddpm"):
        downscaler.sample(dataset, sampler="euler")
    with pytest.raises(InputError, match="lacks tp"):
        downscaler.sample(dataset.rename(tp="rain"))
    wide = {"latitude": 30 + 8 * (dataset["latitude"] - 30)}
    with pytest.raises(InputError, match=r"spacing of 0.64 degrees.* 0.08"):
        downscaler.sample(dataset.assign_coords(wide))
    with pytest.raises(InputError, match="lies outside"):
        downscaler.sample(dataset.assign_coords(latitude=dataset["latitude"] - 5))
    with pytest.raises(InputError, match="members"):
        downscaler.sample(dataset, members=0)
    with pytest.raises(InputError, match=r"is a DataArray, expected an xarray.Dataset of tp"):
        downscaler.sample(dataset["tp"])
    with pytest.warns(UserWarning, match="outside what training saw"):
        downscaler.sample(dataset * 100, members=1)


@pytest.mark.filterwarnings("ignore:tp.*outside what training saw")
def test_python_takes_numbers_that_a_form_or_a_file_gives_as_text(run):
    downscaler, dataset = load(run), coarse_input(run)
    told = downscaler.sample(dataset, members="2", first_member="1", seed="3")
    expected = downscaler.sample(dataset, members=2, first_member=1, seed=3)
    xr.testing.assert_identical(told, expected)
    with pytest.raises(InputError, match=r"^members='two': input should be a valid integer"):
        downscaler.sample(dataset, members="two")
