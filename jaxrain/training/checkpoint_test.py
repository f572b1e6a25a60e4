import contextlib
import dataclasses
import os
import resource
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.training.checkpoint import (
    load_parameters,
    open_checkpoints,
    parameters_hash,
)
from jaxrain.training.mesh import create_mesh, put_batch, put_state
from jaxrain.training.saved import saved_steps, whole_step
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import create_state, make_train_step

CONFIG = TrainConfig()


def network(width=3):
    return {"layers": {0: {"kernel": jnp.ones((2, width))}, 1: {"bias": jnp.ones(width)}}}


def loss(params, batch, key):
    out = batch["x"] @ params["layers"][0]["kernel"] + params["layers"][1]["bias"]
    return jnp.mean((out - jax.random.normal(key, (1, 1))) ** 2), {}


def advance(state, mesh, steps):
    step = make_train_step(loss, CONFIG, mesh)
    batch = put_batch({"x": np.ones((4, 2), np.float32)}, mesh)
    for _ in range(steps):
        state, _ = step(state, batch, jax.random.key(0), np.float32(0.1))
    return state


def start(mesh):
    return put_state(create_state(CONFIG, network()), mesh)


def test_a_state_comes_back_to_the_bit_although_training_went_on(tmp_path):
    mesh = create_mesh(1)
    with open_checkpoints(tmp_path) as checkpoints:
        state = advance(start(mesh), mesh, 5)
        expected = jax.device_get(state)
        checkpoints.save(state, {"next": 5})
        advance(state, mesh, 5)  # gives the saved buffers away while they are being written
    with open_checkpoints(tmp_path) as checkpoints:
        assert saved_steps(tmp_path) == [5]
        read, loader_state = checkpoints.restore(start(mesh))
    assert loader_state == {"next": 5}
    assert jax.tree.structure(read) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, read, expected)


def test_the_last_few_stay(tmp_path):
    mesh = create_mesh(1)
    with open_checkpoints(tmp_path, keep=2) as checkpoints:
        state = start(mesh)
        for _ in range(4):
            state = advance(state, mesh, 1)
            checkpoints.save(state, {})
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"3", "4"}


def test_a_half_written_checkpoint_is_none_and_goes(tmp_path):
    mesh = create_mesh(1)
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(advance(start(mesh), mesh, 1), {})
    (tmp_path / "checkpoints" / "3.orbax-checkpoint-tmp").mkdir()
    with open_checkpoints(tmp_path) as checkpoints:
        assert saved_steps(tmp_path) == [1]
        checkpoints.save(advance(start(mesh), mesh, 2), {})
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"1", "2"}


def test_the_best_and_every_nth_stay_too(tmp_path):
    mesh = create_mesh(1)
    with open_checkpoints(tmp_path, keep=1, every=4, scores={1: 0.9, 2: 0.3}) as checkpoints:
        state = start(mesh)
        for _ in range(6):
            state = advance(state, mesh, 1)
            checkpoints.save(state, {})
            checkpoints.scores[3] = 0.5
    assert saved_steps(tmp_path) == [2, 4, 6]


def shorten(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize("item", ["params", "ema", "optimizer", "loader"])
@pytest.mark.parametrize("damage", [Path.unlink, shorten, flip])
def test_a_damaged_checkpoint_is_named_and_an_older_one_taken(two_saved, capsys, item, damage):
    folder = two_saved / "checkpoints" / "2" / item
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    damage(max(files, key=lambda path: path.stat().st_size))
    assert whole_step(two_saved) == 1
    told = capsys.readouterr().err
    assert f"checkpoint 2 is damaged: {item}/" in told
    assert "going back to checkpoint 1" in told
    with pytest.raises(InputError, match="checkpoint 2 is damaged"):
        whole_step(two_saved, 2)
    assert load_parameters(two_saved, network())[1] == 1
    # Training moves it away, so that it can save that step again.
    mesh = create_mesh(1)
    with open_checkpoints(two_saved) as checkpoints:
        state, _ = checkpoints.go_back(start(mesh))
        checkpoints.save(advance(state, mesh, 1), {})
    assert whole_step(two_saved) == 2
    assert [path.name for path in (two_saved / "damaged").iterdir()] == ["0-step-2"]


@pytest.fixture
def two_saved(saved_once, tmp_path):
    return shutil.copytree(saved_once, tmp_path / "run")


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory):
    folder, mesh = tmp_path_factory.mktemp("saved"), create_mesh(1)
    with open_checkpoints(folder) as checkpoints:
        for steps in (1, 2):
            checkpoints.save(advance(start(mesh), mesh, steps), {"next_batch": steps})
    return folder


def test_where_none_is_whole_nothing_is_begun_anew(two_saved):
    for seal in two_saved.glob("checkpoints/*/seal.json"):
        seal.unlink()
    with pytest.raises(InputError, match=r"seal.json is missing; .* no other is whole"):
        whole_step(two_saved)


def fill_up(run, mesh):
    noise = jax.random.normal(jax.random.key(0), (300, 1000))  # does not compress
    state = put_state(create_state(CONFIG, {"w": noise}), mesh)
    for step in (2, 3):
        with open_checkpoints(run) as checkpoints:
            checkpoints.save(dataclasses.replace(state, step=state.step + step), {})


@contextlib.contextmanager
def no_large_files(folder):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def small_disk(folder):
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


# Of writes that fail together orbax waits for one; another may find the event loop closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", [no_large_files, small_disk])
def test_a_full_disk_is_one_line_and_what_was_saved_before_stays(tmp_path, fault):
    mesh = create_mesh(1)
    with fault(tmp_path) as run:
        with open_checkpoints(run) as checkpoints:
            checkpoints.save(advance(start(mesh), mesh, 1), {})
        with pytest.raises(InputError, match=r"a checkpoint could not be written \(.*good: free"):
            fill_up(run, mesh)
        left = saved_steps(run)
        assert left[0] == 1
        assert 3 not in left
        assert whole_step(run) == left[-1]


def test_weights_alone_for_sampling(tmp_path):
    mesh = create_mesh(1)
    state = advance(start(mesh), mesh, 3)
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, {})
    template = jax.eval_shape(network)
    ema, step = load_parameters(tmp_path, template)
    params, _ = load_parameters(tmp_path, template, ema=False, step=3)
    assert step == 3
    jax.tree.map(np.testing.assert_array_equal, ema, state.ema)
    jax.tree.map(np.testing.assert_array_equal, params, state.params)
    assert parameters_hash(ema) != parameters_hash(params)


def test_another_network_is_refused_by_the_first_parameter_that_differs(tmp_path):
    mesh = create_mesh(1)
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(start(mesh), {})
    with open_checkpoints(tmp_path) as checkpoints:
        wider = put_state(create_state(CONFIG, network(width=5)), mesh)
        with pytest.raises(InputError, match=r"layers.0.kernel is \(2, 3\) there and \(2, 5\)"):
            checkpoints.restore(wider)
    deeper = network()
    deeper["layers"][2] = {"bias": jnp.ones(3)}
    with pytest.raises(InputError, match=r"layers.2.bias is absent there"):
        load_parameters(tmp_path, deeper)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="no checkpoints/ inside"):
        load_parameters(tmp_path, network())
    mesh = create_mesh(1)
    with open_checkpoints(tmp_path) as checkpoints:
        with pytest.raises(InputError, match="no checkpoint yet"):
            checkpoints.restore(start(mesh))
        checkpoints.save(start(mesh), {})
    with pytest.raises(InputError, match=r"no checkpoint of step 7; there are \[0\]"):
        load_parameters(tmp_path, network(), step=7)


def test_hash_is_of_the_content():
    one = network()
    assert parameters_hash(one) == parameters_hash(jax.tree.map(np.asarray, network()))
    other = network()
    other["layers"][1]["bias"] = other["layers"][1]["bias"].at[1].add(1e-6)
    assert parameters_hash(one) != parameters_hash(other)
    assert len(parameters_hash(one)) == 64
