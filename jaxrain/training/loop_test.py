import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.training.checkpoint import load_parameters, open_checkpoints
from jaxrain.training.loop import train_loop
from jaxrain.training.mesh import create_mesh, put_state
from jaxrain.training.saved import saved_steps
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import create_state, make_train_step

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


def train(run, validate=None, **faults):
    state = put_state(create_state(CONFIG, {"w": jnp.zeros((1, 3))}), MESH)
    start = max(saved_steps(run), default=0)
    with open_checkpoints(run, CONFIG.keep_checkpoints) as checkpoints:
        if start:
            state, _ = checkpoints.restore(state)
        return train_loop(
            CONFIG,
            state=state,
            train_step=STEP,
            batches=batches(start, **faults),
            mesh=MESH,
            checkpoints=checkpoints,
            run=run,
            validate=validate,
        )


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
    assert [(x["step"], x["loss"]) for x in lines(tmp_path / "cut")] == [
        (x["step"], x["loss"]) for x in lines(tmp_path / "whole")
    ]


@pytest.mark.parametrize(("poison", "good"), [(11, [8]), (0, []), (15, [8])])
def test_a_loss_that_is_nan_stops_at_its_step_and_keeps_what_was_good(tmp_path, poison, good):
    with pytest.raises(InputError, match=rf"^step {poison + 1} \(batch {poison}\): .*nan"):
        train(tmp_path, poison=poison)
    assert saved_steps(tmp_path) == good
    if good:
        weights, _ = load_parameters(tmp_path, {"w": jnp.zeros((1, 3))}, ema=False)
        assert np.isfinite(weights["w"]).all()
