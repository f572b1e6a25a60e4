"""A run with static fields and encodings, all the way: files, store, training, sampling."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from jaxrain import convert, prepare, sample, train
from jaxrain.config import load_config, save_config
from jaxrain.downscaler import _check_trained_with, load
from jaxrain.ensembles.drawing import Item, canvas_of
from jaxrain.errors import InputError
from jaxrain.pairs.cases import cases
from jaxrain.pairs.store import open_store, read_manifest
from jaxrain.training.checkpoint import load_parameters
from jaxrain.training.network import define_network
from jaxrain.weather.cf import write_netcdf

HOURS = np.arange("2020-07-01T00", "2020-07-01T08", dtype="datetime64[h]")
CONFIG = """
data:
  root: {root}
  store: {root}/store
  fine: ["rain.nc"]
  coarse: []
  coarsen: 8
  variables: [tp]
  levels: []
  static:
    - {{file: fixed.nc, variable: z, name: terrain, fill: 0}}
    - {{file: fixed.nc, variable: lsm, name: land}}
  encodings: [hour_of_day, day_of_year, latitude, longitude]
  splits:
    train: ["2020-07-01T00/2020-07-01T03"]
    validation: ["2020-07-01T04"]
    test: ["2020-07-01T06/2020-07-01T07"]
  rain_scaling: log1p
  patch: 16
model: {{inner_channel: 4, channel_mults: [1], res_blocks: 1, norm_groups: 2, attn_res: []}}
diffusion: {{steps: 50}}
train: {{run: {root}/run, steps: 2, batch_size: 2, validation_members: 2, validation_steps: 2}}
sample: {{members: 2, steps: 2, batch: 4, tile: 16, overlap: 0}}
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    cache = tmp_path_factory.getbasetemp() / "programs"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(cache))


def terrain_file(path, shift=0.0):
    """On another grid than the rain's, with missing points at sea."""
    latitude, longitude = np.linspace(30.1, 29.5, 25), np.linspace(109.9, 110.7, 33)
    z = 500 + 900 * np.sin(9 * latitude[:, None]) * np.cos(8 * longitude) + shift
    lsm = (z > 300).astype(float)
    dims = ("latitude", "longitude")
    content = {"z": (dims, np.where(lsm, z, np.nan), {"units": "m"}), "lsm": (dims, lsm)}
    xr.Dataset(content, {"latitude": latitude, "longitude": longitude}).to_netcdf(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    rain = np.random.default_rng(0).gamma(0.3, 3.0, (len(HOURS), 40, 56)).astype(np.float32)
    coordinates = {
        "time": HOURS.astype("datetime64[ns]"),
        "latitude": 30 - 0.01 * np.arange(40),
        "longitude": 110 + 0.01 * np.arange(56),
    }
    dims = ("time", "latitude", "longitude")
    write_netcdf(xr.Dataset({"rain": (dims, rain)}, coordinates), root / "rain.nc")
    terrain_file(root / "fixed.nc")
    (root / "c.yaml").write_text(CONFIG.format(root=root))
    assert prepare.main(["--config", str(root / "c.yaml")]) == 0
    assert train.main(["--config", str(root / "c.yaml")]) == 0
    assert sample.main([str(root / "run"), "--output", str(root / "test.nc")]) == 0
    return root


def test_the_network_counts_what_is_beside_the_weather(root):
    downscaler = load(root / "run")
    # Rain; terrain, land; sine and cosine of four; the noisy target.
    assert downscaler.weights["downs"][0]["kernel"].shape[2] == 1 + 2 + 8 + 1
    assert [static.name for static in downscaler.areas[0].statics] == ["terrain", "land"]
    assert (root / "run" / "report" / "validation_00000002.png").exists()


def test_input_files_need_no_store_for_the_static_fields(root, tmp_path):
    data = load_config(root / "c.yaml").data
    (case,) = cases(open_store(data.store, data), data, "test")
    axes = {"latitude": case.coarse_grid.y, "longitude": case.coarse_grid.x}
    coordinates = {"time": case.hours.astype("datetime64[ns]"), **axes}
    dims = ("time", "latitude", "longitude")
    write_netcdf(xr.Dataset({"tp": (dims, case.coarse[:, 0])}, coordinates), tmp_path / "in.nc")
    shutil.copytree(root / "run", tmp_path / "run")
    output = tmp_path / "out.nc"
    words = ["--input", str(tmp_path / "in.nc"), "--store", str(tmp_path / "gone")]
    assert sample.main([str(tmp_path / "run"), "--output", str(output), *words]) == 0
    with xr.open_dataset(output) as made, xr.open_dataset(root / "test.nc") as expected:
        np.testing.assert_allclose(made["precipitation"], expected["precipitation"], atol=1e-4)


def test_a_window_has_its_own_piece_of_the_areas_maps(root):
    window = {"file": "rain.nc", "time": "2020-07-01T07", "y": 9, "x": 30, "size": 16}
    maps = []
    for words in ([], [f"data.windows=[{window}]"]):
        config = load_config(root / "c.yaml", words)
        store = open_store(config.data.store, config.data)
        (case,) = cases(store, config.data, "test", truth=False)
        maps.append(canvas_of(case, config.data, config.sample).maps)
    whole, piece = maps
    assert whole.shape == (48, 64, 6)  # of tiles of 16
    # Beyond the field a static field's edge goes on, and so does the position itself.
    static, sine = whole[..., :2], whole[..., 2]
    np.testing.assert_array_equal(static[39:], np.broadcast_to(static[39], (9, 64, 2)))
    assert np.ptp(np.diff(sine[:, 0])) < 1e-5
    assert np.abs(np.diff(sine[:, 0])).min() > 1e-5
    np.testing.assert_array_equal(piece, whole[9:25, 30:46])


def test_the_static_fields_make_a_difference(root):
    downscaler = load(root / "run")
    data, config = downscaler.config.data, downscaler.config.sample
    (case,) = cases(open_store(data.store, data), data, "test", truth=False)

    def drawn(case):
        ((_, rain),) = downscaler.prepare(case, config)([Item(hour=0, member=0)])
        return rain

    base = drawn(case)
    flat = tuple(replace(static, high=1e9) for static in case.statics)
    assert np.abs(drawn(replace(case, statics=flat)) - base).max() > 1e-3


def test_another_description_or_content_is_refused(root, tmp_path, capsys):
    run = root / "run"
    with pytest.raises(InputError, match=r"trained with data\.encodings=\['latitude', .*leave"):
        load(run, ["data.encodings=[latitude, longitude, day_of_year]"])
    config = load_config(root / "c.yaml", ["data.static=[]"])
    init, _ = define_network(config.model, config.data, 1)
    with pytest.raises(InputError, match=r"of another network: downs\.0\.kernel is .*10.* here"):
        load_parameters(run, init(0))
    words = ["--config", str(root / "c.yaml"), "train.steps=3"]
    assert train.main([*words, "data.encodings=[latitude]"]) == 2
    assert 'encodings=["latitude"]: run prepare again' in capsys.readouterr().err
    # The same words, another terrain: the store is renewed, the run is not gone on with.
    terrain_file(tmp_path / "fixed.nc", shift=9)
    shutil.copyfile(root / "rain.nc", tmp_path / "rain.nc")
    moved = [*words, f"data.root={tmp_path}", f"data.store={tmp_path / 'store'}"]
    assert prepare.main([*moved[:2], *moved[3:]]) == 0
    assert train.main(moved) == 2
    assert "was begun with a store of other static than" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "trained", "edited"),
    [
        ("target", "difference", "direct"),
        ("rain_scaling", "log1p", "sqrt"),
        ("rain_scale_mm", "0.5", "0.1"),
    ],
)
def test_a_scaling_that_was_edited_afterwards_is_refused(root, tmp_path, key, trained, edited):
    run = tmp_path / "run"
    shutil.copytree(root / "run", run)
    settings = (run / "config.yaml").read_text()
    assert settings.count(f"  {key}: {trained}\n") == 1
    (run / "config.yaml").write_text(settings.replace(f"{key}: {trained}\n", f"{key}: {edited}\n"))
    told = rf"trained with data\.{key}={trained}, the settings say {edited}: leave"
    with pytest.raises(InputError, match=told):
        load(run)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("data.standardize=true", "data.standardize=false, the settings say true"),
        ("data.interpolations=[nearest]", r"data.interpolations=\['bilinear'\], the settings say"),
        ("diffusion.prediction=v", "diffusion.prediction=eps, the settings say v"),
        ("diffusion.objective=regression", "diffusion.objective=denoising, the settings say regr"),
        ("model.embedding=log_snr", "model.embedding=level, the settings say log_snr"),
        ("model.upsample=bicubic", "model.upsample=nearest, the settings say bicubic"),
        ("model.norm_groups=1", "model.norm_groups=2, the settings say 1"),
    ],
)
def test_weights_are_what_they_were_trained_for(root, tmp_path, word, told):
    with pytest.raises(InputError, match=f"{root / 'run'} was trained with {told}"):
        load(root / "run", [word])
    run = tmp_path / "run"
    shutil.copytree(root / "run", run)
    save_config(load_config(run / "config.yaml", [word]), run / "config.yaml")
    with pytest.raises(InputError, match=f"{run} was trained with {told}"):
        load(run)


def test_weights_from_before_that_was_kept_are_believed(root, untrained, tmp_path):
    config = load_config(root / "run" / "config.yaml")
    old = untrained(config, tmp_path / "old")
    assert load(old, ["diffusion.prediction=v"]).config.diffusion.prediction == "v"


@pytest.mark.parametrize(
    ("variables", "levels", "told"),
    [
        (["u", "tp"], [850, 500], r"data\.variables=\['tp', 'u'\]"),
        (["tp", "u"], [500, 850], r"data\.levels=\[850, 500\]"),
    ],
)
def test_predictors_in_another_order_are_refused(root, variables, levels, told):
    run = root / "run"
    manifest = read_manifest(run)
    manifest["config"] |= {"variables": ["tp", "u"], "levels": [850, 500]}
    manifest["config"]["coarsen"] = None
    data = load_config(run / "config.yaml").data
    data = replace(data, variables=["tp", "u"], levels=[850, 500], coarse=["*.nc"], coarsen=None)
    _check_trained_with(run, manifest, data)
    older = manifest | {"config": {k: v for k, v in manifest["config"].items() if k != "target"}}
    _check_trained_with(run, older, data)  # from before there was such a setting
    with pytest.raises(InputError, match=f"trained with {told}, the settings say"):
        _check_trained_with(run, manifest, replace(data, variables=variables, levels=levels))


def test_a_converted_network_is_counted_alike(root, tmp_path, capsys):
    file = tmp_path / "net.safetensors"
    assert convert.main([str(root / "run"), str(file)]) == 0
    assert convert.main([str(file), str(tmp_path / "run")]) == 0
    assert "11 predictors" not in capsys.readouterr().out
    np.testing.assert_array_equal(
        load(tmp_path / "run").weights["downs"][0]["kernel"],
        load(root / "run").weights["downs"][0]["kernel"],
    )
    less = tmp_path / "less.yaml"
    less.write_text((root / "c.yaml").read_text().replace("hour_of_day, ", ""))
    words = [str(file), str(tmp_path / "other"), "--config", str(less)]
    assert convert.main(words) == 2
    assert "takes 11 predictors" in (error := capsys.readouterr().err)
    assert "with data.static and data.encodings make 9" in error
