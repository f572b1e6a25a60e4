import subprocess

import numpy as np
import pytest
import xarray as xr

CONFIG = """
data:
  root: {root}
  store: {root}/store
  fine: ["*.nc"]
  coarse: []
  coarsen: 8
  variables: [tp]
  levels: []
  splits:
    train: ["2020-07-01T00/2020-07-01T07"]
    validation: ["2020-07-01T08/2020-07-01T09"]
    test: ["2020-07-01T10/2020-07-01T11"]
  rain_scaling: log1p
  patch: 16
model: {{inner_channel: 4, channel_mults: [1], res_blocks: 1, norm_groups: 2, attn_res: []}}
diffusion: {{steps: 50}}
train:
  steps: 12
  batch_size: 4
  log_every: 4
  checkpoint_every: 4
  validation_members: 2
  validation_steps: 3
"""


@pytest.fixture(scope="session")
def config_file(tmp_path_factory):
    """A config with its store: twelve hours of made-up rain, a network that trains in seconds."""
    from jaxrain.config import load_config
    from jaxrain.pairs.build import prepare

    root = tmp_path_factory.mktemp("train")
    rng = np.random.default_rng(0)
    rain = rng.gamma(0.3, 3.0, (12, 40, 48)).astype(np.float32)
    start = np.datetime64("2020-07-01T00", "ns")
    coordinates = {
        "time": start + np.arange(12) * np.timedelta64(1, "h"),
        "latitude": 30 - 0.01 * np.arange(40),
        "longitude": 110 + 0.01 * np.arange(48),
    }
    dims = ("time", "latitude", "longitude")
    xr.Dataset({"rain": (dims, rain, {"units": "mm"})}, coordinates).to_netcdf(root / "rain.nc")
    (root / "c.yaml").write_text(CONFIG.format(root=root))
    prepare(load_config(root / "c.yaml").data, say=lambda line: None)
    return root / "c.yaml"


@pytest.fixture(scope="session")
def untrained():
    """untrained(config, folder, weights) makes the store and a run as trained ones are kept.

    weights(init), of a seed to the network's weights, gives them; by default as training begins.
    """
    import jax

    from jaxrain.config import save_config
    from jaxrain.pairs.build import prepare
    from jaxrain.pairs.store import open_store, save_grids, save_json
    from jaxrain.training.checkpoint import open_checkpoints
    from jaxrain.training.network import define_network
    from jaxrain.training.state import create_state

    def make(config, folder, weights=lambda init: init(0)):
        store = open_store(prepare(config.data, say=lambda line: None))
        save_config(config, folder / "config.yaml")
        save_json(folder / "manifest.json", store.manifest)
        save_grids(folder / "grids", store.areas)
        init, _ = define_network(config.model, config.data, len(store.channels))
        state = create_state(config.train, jax.device_put(weights(init)))
        with open_checkpoints(folder) as checkpoints:
            checkpoints.save(state, {"next_batch": 0})
        return folder

    return make


@pytest.fixture(scope="session")
def run(tmp_path_factory, untrained):
    """A run that was never trained: every step of `sample` works on it, and quickly."""
    import jax

    from jaxrain.config import load_config
    from jaxrain.sample_test import CONFIG as SAMPLED
    from jaxrain.sample_test import fine_rain
    from jaxrain.weather.cf import write_netcdf

    root = tmp_path_factory.mktemp("sample")
    write_netcdf(fine_rain(), root / "rain.nc")
    (root / "config.yaml").write_text(SAMPLED.format(root=root))
    rng = np.random.default_rng(1)

    def weights(init):
        return jax.tree.map(
            lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32), jax.eval_shape(init, 0)
        )

    return untrained(load_config(root / "config.yaml"), root / "run", weights)


@pytest.fixture(scope="session")
def small(run, tmp_path_factory, untrained):
    """A run over blocks of 4 x 4 points of the rain that `run` makes of cells of 8 x 8."""
    import jax

    from jaxrain.config import load_config
    from jaxrain.sample_test import CONFIG as SAMPLED

    folder = tmp_path_factory.mktemp("small")
    text = SAMPLED.format(root=run.parent).replace("*.nc", "rain.nc")
    text = text.replace("coarsen: 8", "coarsen: 4").replace("sampler: ddpm", "sampler: dpmpp_2m")
    text = text.replace(f"store: {run.parent}/store", f"store: {folder}/store")
    (folder / "config.yaml").write_text(text)
    rng = np.random.default_rng(2)

    def weights(init):
        return jax.tree.map(
            lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32), jax.eval_shape(init, 0)
        )

    return untrained(load_config(folder / "config.yaml"), folder / "run", weights)


@pytest.fixture(scope="session")
def whole(run):
    """The ensemble of the test split, drawn without an interruption."""
    from jaxrain import sample

    output = run.parent / "whole.nc"
    assert sample.main([str(run), "--output", str(output)]) == 0
    return output


@pytest.fixture
def undrawn(monkeypatch):
    """Reports get empty pictures: drawing takes longer than all else in a small store."""
    monkeypatch.setattr("jaxrain.pairs.audit.report._draw", lambda asked: b"")


@pytest.fixture
def own_cache(tmp_path_factory, monkeypatch):
    """Compiled programs lie in one folder for all processes of a test, not in the user's."""
    cache = tmp_path_factory.getbasetemp() / "programs"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(cache))


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(size) mounts a file system of so many bytes, as tmpfs takes them ('40k')."""
    folder = tmp_path / "disk"

    def mount(size):
        folder.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("may not mount a file system")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "-l", str(folder)], check=True)
