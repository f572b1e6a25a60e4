import dataclasses
import itertools
import json
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.training.checkpoint import load_parameters, open_checkpoints
from jaxrain.training.loop import Training, train_loop
from jaxrain.training.mesh import create_mesh, put_state
from jaxrain.training.progress import read_progress
from jaxrain.training.saved import saved_steps
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import create_state, make_train_step
from jaxrain.training.stopping import Stop, Stopped

CONFIG = TrainConfig(
    steps=20, batch_size=4, learning_rate=0.05, log_every=5, checkpoint_every=8, validate_every=10
)
MESH = create_mesh(1)


def loss(params, batch, key):
    noise = 0.1 * jax.random.normal(key, batch["x"].shape)
    return jnp.mean((batch["x"] * params["w"] - 2 * batch["x"] + noise) ** 2), {}


STEP = make_train_step(loss, CONFIG, MESH)


class Killed(Exception):
    pass


def batches(start, poison=None, killed_at=None):
    for step in range(start, 10**6):
        if step == killed_at:
            raise Killed
        x = np.random.default_rng(step).standard_normal((4, 3)).astype(np.float32)
        yield {"x": x if step != poison else x * np.nan}


def train(run, validate=None, config=CONFIG, stop=None, reader=None, **faults):
    state = put_state(create_state(config, {"w": jnp.zeros((1, 3))}), MESH)
    start = max(saved_steps(run), default=0)
    reader = reader or batches
    with open_checkpoints(run, config.keep_checkpoints) as checkpoints:
        progress = None
        if start:
            state, kept = checkpoints.restore(state)
            progress = read_progress(kept)
        training = Training(
            config=config,
            mesh=MESH,
            train_step=STEP,
            batches_from=reader,
            checkpoints=checkpoints,
            run=run,
            validate=validate,
            stop=stop or Stop(),
        )
        return train_loop(training, state, progress, reader(start, **faults))


def told(run):
    times = {"time", "examples_per_second", "wait_share"}
    return [{k: v for k, v in line.items() if k not in times} for line in lines(run)]


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_metrics_checkpoints_and_validations_come_when_due(tmp_path):
    validated = {}

    def validate(step, weights):
        validated[step] = jax.device_get(weights)
        return {"validation_crps_mm": 0.5}

    state = train(tmp_path, validate)
    assert [line["step"] for line in lines(tmp_path)] == [5, 8, 10, 15, 16, 20]
    assert saved_steps(tmp_path) == [10, 16, 20]  # what is validated is saved too
    assert list(validated) == [10, 20]
    np.testing.assert_array_equal(validated[20]["w"], state.ema["w"])
    for line in lines(tmp_path):
        assert {"loss", "time", "grad_norm", "learning_rate", "examples_per_second"} <= set(line)
        assert 0 <= line["wait_share"] <= 1
        assert ("validation_crps_mm" in line) == (line["step"] in (10, 20))
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_run_that_was_cut_off_ends_with_the_same_bits(tmp_path):
    whole = jax.device_get(train(tmp_path / "whole"))
    for killed_at in (3, 9, 19):
        with pytest.raises(Killed):
            train(tmp_path / "cut", killed_at=killed_at)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(train(tmp_path / "cut")), whole)
    # As if nothing had been: no line twice, none missing.
    assert told(tmp_path / "cut") == told(tmp_path / "whole")


def test_asked_to_stop_it_saves_its_step_and_goes_on_with_the_same_bits_and_lines(tmp_path):
    def validate(step, weights):
        return {"validation_crps_mm": float(weights["w"][0, 0])}

    whole = jax.device_get(train(tmp_path / "whole", validate))
    # In the middle of an interval, where it would save, where it would validate, at the last.
    for asked_at in (3, 8, 10, 13, 19):
        stop = Stop()

        def reader(start, stop=stop, asked_at=asked_at):
            for step, batch in enumerate(batches(start), start):
                if step == asked_at:
                    stop.asked = signal.SIGTERM
                yield batch

        with pytest.raises(Stopped):
            train(tmp_path / "cut", validate, stop=stop, reader=reader)
        assert saved_steps(tmp_path / "cut")[-1] == asked_at + 1
    again = train(tmp_path / "cut", validate)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(again), whole)
    assert told(tmp_path / "cut") == told(tmp_path / "whole")


def test_a_stop_during_validation_leaves_that_validation_to_the_next_start(tmp_path):
    stop = Stop()

    def ask(step, weights):
        stop.asked = signal.SIGUSR1
        raise Stopped  # as the signal's handler does

    with pytest.raises(Stopped):
        train(tmp_path, ask, stop=stop)
    assert saved_steps(tmp_path) == [8, 10]
    assert [line["step"] for line in lines(tmp_path)] == [5, 8]
    train(tmp_path, lambda step, weights: {"validation_crps_mm": 0.5 + step})
    assert [line["step"] for line in lines(tmp_path)] == [5, 8, 10, 15, 16, 20]
    assert lines(tmp_path)[2]["validation_crps_mm"] == 10.5


def test_bad_batches_are_skipped_and_counted(tmp_path):
    config = dataclasses.replace(CONFIG, bad_batches="skip", max_bad_batches=1)
    state = train(tmp_path / "a", config=config, poison=11)
    assert np.isfinite(state.params["w"]).all()
    assert [line["bad_batches"] for line in lines(tmp_path / "a")] == [0, 0, 0, 1, 1, 1]
    # The step counts, and nothing else: the same as never having seen that batch.
    assert int(state.step) == 20

    def twice(start):
        for step, batch in enumerate(batches(start), start):
            yield {"x": batch["x"] * (np.inf if step in (9, 17) else 1)}

    # The count goes on over a restart.
    with pytest.raises(InputError, match=r"^step 18 .*max_bad_batches=1 are used up"):
        train(tmp_path / "b", config=config, reader=twice)
    assert saved_steps(tmp_path / "b") == [8, 16]
    with pytest.raises(InputError, match=r"^step 18 .*max_bad_batches=1 are used up"):
        train(tmp_path / "b", config=config, reader=twice)


def faulty(times):
    """Batches of which the 14th is far too large for as many readings as given."""
    left = [times]

    def reader(start):
        for step, batch in enumerate(batches(start), start):
            if step == 14 and left[0]:
                left[0] -= 1
                batch = {"x": 100 * batch["x"]}
            yield batch

    return reader


WATCHFUL = dataclasses.replace(CONFIG, log_every=1)


def test_after_an_explosion_it_goes_back_once_and_a_passing_fault_leaves_no_trace(tmp_path, capsys):
    whole = jax.device_get(train(tmp_path / "whole", config=WATCHFUL))
    state = train(tmp_path / "fault", config=WATCHFUL, reader=faulty(1))
    assert "going back to checkpoint 8, this once" in capsys.readouterr().out
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), whole)
    assert told(tmp_path / "fault") == told(tmp_path / "whole")


def test_a_stop_saves_nothing_that_exploded(tmp_path):
    config, stop = dataclasses.replace(CONFIG, log_every=2), Stop()

    def reader(start):
        for step, batch in enumerate(faulty(1)(start), start):
            if step == 14:
                stop.asked = signal.SIGTERM
            yield batch

    whole = jax.device_get(train(tmp_path / "whole", config=config))
    with pytest.raises(Stopped):
        train(tmp_path / "cut", config=config, stop=stop, reader=reader)
    assert saved_steps(tmp_path / "cut") == [8]
    again = train(tmp_path / "cut", config=config)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(again), whole)


def test_an_explosion_that_comes_back_ends_the_run(tmp_path):
    with pytest.raises(InputError, match=r"^step 15: .*again after going back once"):
        train(tmp_path, config=WATCHFUL, reader=faulty(2))
    assert saved_steps(tmp_path) == [8]


def test_a_clock_that_goes_backwards_changes_nothing(tmp_path, monkeypatch):
    whole = jax.device_get(train(tmp_path / "whole"))
    now, real = itertools.count(2_000_000_000, -3600), time.time_ns
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    monkeypatch.setattr(time, "time_ns", lambda: next(now) * 10**9)
    with pytest.raises(Killed):
        train(tmp_path / "cut", killed_at=17)
    state = train(tmp_path / "cut")
    assert time.time() < 2_000_000_000 < real()
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), whole)
    assert told(tmp_path / "cut") == told(tmp_path / "whole")
    assert saved_steps(tmp_path / "cut") == saved_steps(tmp_path / "whole") == [8, 16, 20]


@pytest.mark.parametrize(("poison", "good"), [(11, [8]), (0, []), (15, [8])])
def test_a_loss_that_is_nan_stops_at_its_step_and_keeps_what_was_good(tmp_path, poison, good):
    with pytest.raises(InputError, match=rf"^step {poison + 1} \(batch {poison}\): .*nan"):
        train(tmp_path, poison=poison)
    assert saved_steps(tmp_path) == good
    if good:
        weights, _ = load_parameters(tmp_path, {"w": jnp.zeros((1, 3))}, ema=False)
        assert np.isfinite(weights["w"]).all()
