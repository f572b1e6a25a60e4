import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxrain import train
from jaxrain.config import load_config
from jaxrain.training.saved import saved_steps
from jaxrain.training.stopping import Stopped

pytestmark = pytest.mark.usefixtures("own_cache")


def run(config_file, *words):
    return train.main(["--config", str(config_file), *words])


@pytest.fixture(scope="module")
def trained(config_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert run(config_file, f"train.run={folder}") == 0
    return folder


def test_a_run_folder_holds_all_that_sampling_needs(trained, config_file):
    assert {"config.yaml", "manifest.json", "grids", "checkpoints", "metrics.jsonl", "report"} <= {
        path.name for path in trained.iterdir()
    }
    words = [f"train.run={trained}"]
    assert load_config(trained / "config.yaml") == load_config(config_file, words)
    assert saved_steps(trained) == [4, 8, 12]
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 12
    assert 0 < last["validation_crps_mm"] < 1e3
    assert [path.suffix for path in (trained / "report").iterdir()] == [".png"]


def test_a_run_that_is_done_is_left_alone_and_a_longer_one_goes_on(trained, config_file, capsys):
    assert run(config_file, f"train.run={trained}") == 0
    assert "is trained" in capsys.readouterr().out
    # Older versions took weights that such a run does not heed.
    assert run(config_file, f"train.run={trained}", "diffusion.crps_amounts=1") == 0
    assert "is trained" in capsys.readouterr().out
    assert run(config_file, f"train.run={trained}", "train.steps=14") == 0
    assert "going on with" in capsys.readouterr().out
    assert saved_steps(trained)[-1] == 14


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("model.inner_channel=8", "model.inner_channel: 8 here, 4 there"),
        ("diffusion.prediction=v", "diffusion.prediction: v here, eps there"),
        ("data.patch=24", "data.patch: 24 here, 16 there"),
        ("train.stpes=3", "did you mean 'train.steps'"),
        ("train.steps=many", "train.steps='many'"),
        ("train.devices=99", "train.devices=99"),
        ("train.mesh.fsdp=3", "train.mesh: data=-1 x fsdp=3 x space=1 does not make up"),
        ("train.accumulate=3", "in 3 parts (train.accumulate); make it 3 or 6"),
        ("data.store=/nowhere", "no finished store"),
    ],
)
def test_what_a_user_can_mend_is_one_line(trained, config_file, capsys, word, says):
    before = sorted(path.stat().st_mtime_ns for path in trained.rglob("*"))
    assert run(config_file, f"train.run={trained}", "train.steps=20", word) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert sorted(path.stat().st_mtime_ns for path in trained.rglob("*")) == before


def test_a_setting_that_was_edited_afterwards_is_refused(trained, tmp_path, capsys):
    copy, config = tmp_path / "copy", tmp_path / "copy" / "config.yaml"
    shutil.copytree(trained, copy)
    config.write_text(config.read_text().replace("prediction: eps\n", "prediction: x0\n"))
    assert run(config, f"train.run={copy}", "train.steps=20") == 2
    error = capsys.readouterr().err
    assert "was trained with diffusion.prediction=eps, the settings say x0: leave" in error
    assert error.count("\n") == 1


def test_the_config_of_a_copied_run_changes_no_other(trained, tmp_path, capsys):
    copy, config = tmp_path / "copy", tmp_path / "copy" / "config.yaml"
    shutil.copytree(trained, copy)
    before = sorted(path.stat().st_mtime_ns for path in trained.rglob("*"))
    assert run(config, "train.steps=20") == 2
    assert capsys.readouterr().err == (
        f"python -m jaxrain.train: error: {config} lies in the run {copy}, but says "
        f"train.run={trained}: give train.run={copy} to go on with {copy}, or --config "
        f"{trained}/config.yaml for that one\n"
    )
    moved = config.read_text().replace(f"run: {trained}", f"run: {tmp_path / 'gone'}")
    config.write_text(moved)
    assert run(config) == 2
    error = capsys.readouterr().err
    assert f"train.run={tmp_path / 'gone'}, which does not exist: give train.run={copy}" in error
    assert not (tmp_path / "gone").exists()
    assert run(config, f"train.run={copy}") == 0
    assert f"{copy} is trained" in capsys.readouterr().out
    assert sorted(path.stat().st_mtime_ns for path in trained.rglob("*")) == before
    assert run(trained / "config.yaml") == 0


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("data.patch=64", "data.patch=64"),
        ("diffusion.crps_amounts=1", "objective=denoising scores no members"),
    ],
)
def test_nothing_is_left_where_nothing_was_begun(config_file, tmp_path, capsys, word, says):
    assert run(config_file, f"train.run={tmp_path / 'run'}", word) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_stop_says_whether_a_step_was_kept(trained, config_file, tmp_path, capsys, monkeypatch):
    def asked_at_once(config, stop):
        stop.asked = signal.SIGTERM
        raise Stopped

    monkeypatch.setattr("jaxrain.train.train", asked_at_once)
    for folder, says in (
        (tmp_path / "new", "has no step yet; the same command begins it"),
        (trained, "is saved; the same command goes on"),
    ):
        assert run(config_file, f"train.run={folder}") == 75
        assert capsys.readouterr().err == f"stopped by SIGTERM: {folder} {says}\n"


def test_help_needs_neither_jax_nor_the_config():
    code = (
        "import sys; from jaxrain import train\n"
        "try: train.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'jax', 'jaxrain.config', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True)


def command(config_file, run, *words):
    words = [f"train.run={run}", "train.validation_cases=0", *words]
    return [sys.executable, "-m", "jaxrain.train", "--config", str(config_file), *words]


def losses(run):
    text = (run / "metrics.jsonl").read_text()
    return [(line["step"], line["loss"]) for line in map(json.loads, text.splitlines())]


def final_hashes(run, steps):
    from jaxrain.training.checkpoint import load_parameters, parameters_hash
    from jaxrain.training.network import define_network

    config = load_config(run / "config.yaml")
    template = define_network(config.model, config.data, 1)[0](0)
    loaded = [load_parameters(run, template, ema=ema) for ema in (True, False)]
    assert [step for _, step in loaded] == [steps, steps]
    return [parameters_hash(params) for params, _ in loaded]


def follow(process, step):
    """Reads what a process prints until it has done so many steps, or ends."""
    for line in process.stdout:
        if line.startswith("step ") and int(line[5:].partition("/")[0]) >= step:
            return


@pytest.mark.slow
def test_asked_by_the_cluster_it_saves_and_ends_with_75(config_file, tmp_path):
    words = ["train.steps=100000", "train.checkpoint_every=100000"]
    process = subprocess.Popen(
        command(config_file, tmp_path / "run", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    follow(process, 4)
    maps = Path(f"/proc/{process.pid}/maps")
    if maps.is_file():  # what takes seconds to load and is not needed is not loaded
        assert not re.search("libtorch|libeccodes|scipy/stats", maps.read_text())
    # Meanwhile the folder is this process's.
    second = subprocess.run(
        command(config_file, tmp_path / "run", *words), capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 2
    assert f"is being trained by process {process.pid} on " in second.stderr
    assert second.stderr.count("\n") == 1
    began = time.monotonic()
    process.send_signal(signal.SIGUSR1)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 30
    assert process.returncode == 75
    assert "stopped by SIGUSR1" in said
    (step,) = saved_steps(tmp_path / "run")
    # No step was done after the one that is saved.
    assert losses(tmp_path / "run")[-1][0] in range(step - 4, step + 1)


def test_a_damaged_checkpoint_is_told_of_and_the_run_ends_as_ever(
    trained, config_file, tmp_path, capsys
):
    run_folder = tmp_path / "run"
    shutil.copytree(trained, run_folder)
    newest = saved_steps(run_folder)[-1]
    whole = losses(run_folder)
    victim = next((run_folder / "checkpoints" / str(newest) / "params").rglob("d/*"))
    victim.write_bytes(victim.read_bytes()[:-7])
    assert run(config_file, f"train.run={run_folder}", f"train.steps={newest}") == 0
    told = capsys.readouterr()
    assert f"checkpoint {newest} is damaged: params/" in told.err
    assert "going on with" in told.out
    assert losses(run_folder) == whole
    assert (run_folder / "damaged" / f"0-step-{newest}").is_dir()


def test_a_folder_that_cannot_be_written_is_one_line(trained, config_file, tmp_path, capsys):
    folder = tmp_path / "locked"
    shutil.copytree(trained, folder)
    with read_only(folder):
        assert run(config_file, f"train.run={folder}", "train.steps=99") == 2
    error = capsys.readouterr().err
    assert "read-only" in error or "permission denied" in error
    assert error.count("\n") == 1


@contextlib.contextmanager
def read_only(folder):
    """Takes away the right to write; from root too, by a mount."""
    if os.geteuid():
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)
        return
    bind = subprocess.run(["mount", "--bind", folder, folder], capture_output=True)
    if bind.returncode:
        pytest.skip("root without the right to mount: nothing is read-only to it")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


ONE_THEN_TWO_DEVICES = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
import numpy as np
from flax import nnx
from jaxrain.config import load_config
from jaxrain.diffusion.unet import UNet
from jaxrain.pairs.loader import training_batches
from jaxrain.pairs.store import open_store
from jaxrain.training.checkpoint import open_checkpoints
from jaxrain.training.mesh import create_mesh, put_batch, put_state
from jaxrain.training.network import make_loss
from jaxrain.training.state import create_state, make_train_step

config = load_config(sys.argv[1])
store = open_store(config.data.store, config.data)
graph, weights = nnx.split(UNet(
    config.model,
    in_channels=len(store.channels) * len(config.data.interpolations) + 1,
    image_size=config.data.patch,
    param_dtype=np.float64,
    rngs=nnx.Rngs(0),
))
weights = jax.device_get(nnx.to_pure_dict(weights))  # a step gives its state's buffers away
apply = lambda params, x, s, key: nnx.merge(graph, params)(x, s)
loss = make_loss(apply, config.diffusion, store.scaling(config.data))
double = lambda tree: jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)

def start(mesh):
    return put_state(create_state(config.train, jax.tree.map(jax.numpy.asarray, weights)), mesh)

def go_on(state, mesh, steps):
    first = int(state.step)
    batches = training_batches(
        store, config.data, batch_size=config.train.batch_size, seed=0, start_step=first
    )
    update, key = make_train_step(loss, config.train, mesh), put_state(jax.random.key(0), mesh)
    losses, seen = [], []
    for _ in range(first, steps):
        batch = put_batch(double(next(batches)), mesh)
        seen.append(np.asarray(batch["fine"]))
        state, metrics = update(state, batch, key, np.float64(1e-3))
        losses.append(float(metrics["loss"]))
    return state, losses, seen

one, two = create_mesh(1), create_mesh(2)
whole, losses, seen = go_on(start(one), one, 30)
half, _, _ = go_on(start(one), one, 12)
with open_checkpoints(sys.argv[2]) as checkpoints:
    checkpoints.save(half, {})
with open_checkpoints(sys.argv[2]) as checkpoints:
    half, _ = checkpoints.restore(start(two))
assert len(jax.tree.leaves(half.params)[0].sharding.device_set) == 2
rest, further, seen_further = go_on(half, two, 30)
for a, b in zip(seen[12:], seen_further, strict=True):
    np.testing.assert_array_equal(a, b)
print(np.abs(np.array(further) / np.array(losses[12:]) - 1).max())
"""


@pytest.mark.slow
def test_after_a_change_of_devices_examples_are_the_same_and_losses_agree(config_file, tmp_path):
    code = [sys.executable, "-c", ONE_THEN_TWO_DEVICES, str(config_file), str(tmp_path)]
    said = subprocess.run(code, check=True, timeout=300, capture_output=True, text=True).stdout
    difference = float(said)
    print(f"largest relative difference of a loss: {difference:.1e}")
    assert difference < 1e-9


@pytest.mark.slow
def test_killed_twenty_times_it_ends_with_the_same_bits(config_file, tmp_path):
    steps, kills = 840, 20
    words = [f"train.steps={steps}", "train.checkpoint_every=40", "train.log_every=10"]
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    subprocess.run(command(config_file, whole, *words), check=True, timeout=600)
    seed = time.time_ns() % 2**32
    print(f"seed {seed}")
    rng, statuses = np.random.default_rng(seed), []
    for kill in range(kills):
        process = subprocess.Popen(
            command(config_file, cut, *words), stdout=subprocess.PIPE, text=True
        )
        if kill % 5 == 4:  # while it starts, reads its checkpoint or compiles
            time.sleep(rng.uniform(0, 6))
        else:
            follow(process, int(rng.integers(kill * steps // 21, (kill + 1) * steps // 21)))
            time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL if rng.random() < 0.5 else signal.SIGTERM)
        process.communicate(timeout=30)
        statuses.append(process.returncode)
    subprocess.run(command(config_file, cut, *words), check=True, timeout=600)
    assert len(statuses) == kills
    # Killed, stopped and saved, or ended by SIGTERM before it listened: none was done, none failed.
    assert set(statuses) <= {-signal.SIGKILL, 75, -signal.SIGTERM}
    assert final_hashes(cut, steps) == final_hashes(whole, steps)
    assert losses(cut) == losses(whole)


def test_movable_settings_are_settings():
    assert set(train.MOVABLE) <= {
        field.name for field in dataclasses.fields(load_config(None).data)
    }
