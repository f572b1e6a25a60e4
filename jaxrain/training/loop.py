"""The training loop: it reads top to bottom, and waits for the devices only where it must."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxrain.training.checkpoint import Checkpoints
from jaxrain.training.mesh import put_batch, put_state
from jaxrain.training.metrics import duration, mean_metrics, open_metrics, open_screen
from jaxrain.training.optimizer import learning_rate
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import Params, TrainState, TrainStep

# (step, averaged weights) -> numbers to log
Validate = Callable[[int, Params], dict[str, float]]


def train_loop(
    config: TrainConfig,
    *,
    state: TrainState,
    train_step: TrainStep,
    batches: Iterator[dict[str, np.ndarray]],
    mesh: Mesh,
    checkpoints: Checkpoints,
    run: Path,
    validate: Validate | None = None,
) -> TrainState:
    """Trains from `state` to `config.steps` updates.

    Every `log_every` steps, and before it writes or samples anything, the loop fetches the numbers
    of the steps since the last time and checks that they are finite; so a checkpoint is never
    made of a state that went wrong, and the devices need not wait at other steps.

    Args:
      config: steps and how often things happen.
      state: to go on from; donated.
      train_step: of `make_train_step`.
      batches: of this host, beginning with the batch of the state's step.
      mesh: the devices.
      checkpoints: where to save.
      run: folder of the run; metrics go there.
      validate: samples with the averaged weights and scores; None for never.

    Returns:
      The final state, saved.

    Raises:
      InputError: loss or gradient became NaN or infinite; names the step.
    """
    step, clock = int(state.step), time.perf_counter
    key = put_state(jax.random.key(config.seed), mesh)
    with open_metrics(run, step) as log, open_screen(config.steps, step) as screen:
        began = clock()
        batch = put_batch(next(batches), mesh)
        update = train_step.lower(state, batch, key, np.float32(0)).compile()
        screen.say(f"compiled in {duration(clock() - began)}; training from step {step}")

        since, waited, pending = clock(), 0.0, []
        while step < config.steps:
            rate = learning_rate(config, step)
            state, metrics = update(state, batch, key, np.float32(rate))
            pending.append(metrics)
            step += 1
            screen.advance(step)
            last = step == config.steps
            save = last or step % config.checkpoint_every == 0
            sample = validate is not None and (
                last or (config.validate_every > 0 and step % config.validate_every == 0)
            )
            if save or sample or step % config.log_every == 0:
                numbers = mean_metrics(jax.device_get(pending), step - len(pending) + 1)
                seconds = clock() - since
                numbers["learning_rate"] = rate
                numbers["examples_per_second"] = len(pending) * config.batch_size / seconds
                # How long the loop stood waiting for data; less than this share of the devices'
                # time was lost, for they may still have had work.
                numbers["wait_share"] = waited / seconds
                screen.show(step, numbers["loss"], len(pending) / seconds)
                if save:
                    checkpoints.save(state, loader_state(config, step))
                if sample and validate is not None:
                    scores = validate(step, state.ema)
                    screen.say(f"step {step} validation: {_told(scores)}")
                    numbers |= scores
                log.write(step, numbers)
                since, waited, pending = clock(), 0.0, []
            if not last:
                before = clock()
                batch = put_batch(next(batches), mesh)  # while the devices are at work
                waited += clock() - before
    return state


def loader_state(config: TrainConfig, step: int) -> dict[str, Any]:
    """What says which batch comes next: batches are a pure function of these three."""
    return {"next_batch": step, "batch_size": config.batch_size, "seed": config.seed}


def _told(scores: dict[str, float]) -> str:
    return ", ".join(f"{name.removeprefix('validation_')} {x:.4g}" for name, x in scores.items())
