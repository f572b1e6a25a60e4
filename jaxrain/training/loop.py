"""The training loop: it reads top to bottom, and waits for the devices only where it must."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxrain.errors import InputError
from jaxrain.training.checkpoint import Checkpoints
from jaxrain.training.gradients import Params
from jaxrain.training.hosts import agree, is_first, make_vote, meet
from jaxrain.training.meaning import KEY
from jaxrain.training.mesh import put_batch, run_key
from jaxrain.training.metrics import (
    MetricsLog,
    Screen,
    duration,
    last_step,
    open_metrics,
    open_screen,
)
from jaxrain.training.optimizer import learning_rate
from jaxrain.training.progress import Exploded, Progress, read_progress
from jaxrain.training.saved import saved_steps
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import TrainState, TrainStep
from jaxrain.training.stopping import Stop, Stopped
from jaxrain.training.trimming import give_back_freed

# (step, averaged weights) -> numbers to log
Validate = Callable[[int, Params], dict[str, float]]
Batches = Iterator[dict[str, np.ndarray]]  # this host's share of each
Update = Callable[..., tuple[TrainState, dict[str, jax.Array]]]  # the compiled step
SCORE = "validation_crps_mm"  # by which the best checkpoint is chosen


@dataclass(frozen=True)
class Training:
    """What a training works with; the same from its first step to its last.

    Attributes:
      config: steps and how often things happen.
      mesh: the devices.
      train_step: of `make_train_step`.
      batches_from: opens the batches at a step.
      checkpoints: where to save.
      run: folder of the run; metrics go there.
      validate: samples with the averaged weights and scores; None for never.
      stop: asked after each step.
      frozen: weights that `train_step` takes and does not change, on the devices.
      meaning: of the weights, `jaxrain.training.meaning`; each checkpoint keeps it.
    """

    config: TrainConfig
    mesh: Mesh
    train_step: TrainStep
    batches_from: Callable[[int], Batches]
    checkpoints: Checkpoints
    run: Path
    validate: Validate | None = None
    stop: Stop = field(default_factory=Stop)
    frozen: Sequence[Params] = ()
    meaning: Mapping[str, Any] = field(default_factory=dict)


def train_loop(
    training: Training,
    state: TrainState,
    progress: Progress | None = None,
    batches: Batches | None = None,
) -> TrainState:
    """Trains from `state` to `config.steps` updates.

    Every `log_every` steps, and before it writes or samples anything, the loop fetches the numbers
    of the steps since the last time and checks that they are finite; so a checkpoint is never
    made of a state that went wrong, and the devices need not wait at other steps. Where the loss
    explodes it goes back to the newest checkpoint, once: what a machine's fault did is undone, and
    what the settings do comes back and ends the run.

    Args:
      training: what it works with.
      state: to go on from; donated.
      progress: what the state's checkpoint kept; None at the beginning.
      batches: beginning with the batch of the state's step; None opens them.

    Returns:
      The final state, saved.

    Raises:
      InputError: a loss or gradient became NaN or infinite, or exploded twice; names the step. Or
        a checkpoint could not be written.
      Stopped: `stop` was asked; the state of the last step done is saved.
    """
    start = int(state.step)
    template = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state
    )
    progress, batches = progress or Progress(logged=start), batches or training.batches_from(start)
    with open_screen(training.config.steps, start, shown=is_first()) as screen:
        update = None
        if start < training.config.steps:  # else a validation alone is left to do
            first = next(batches)
            update = _compile(training, state, first, screen)
            batches = itertools.chain([first], batches)
        try:
            return _go_on(training, update, screen, state, progress, batches)
        except Exploded as error:
            said = str(error)
        training.checkpoints.finish()  # the newest may be on its way to the disk
        if not agree(lambda: saved_steps(training.run)):
            raise InputError(f"{said}, and there is no checkpoint to go back to: {_REMEDY}")
        state, kept = training.checkpoints.go_back(template)
        screen.say(f"{said}; going back to checkpoint {int(state.step)}, this once")
        progress, batches = read_progress(kept), training.batches_from(int(state.step))
        try:
            return _go_on(training, update, screen, state, progress, batches)
        except Exploded as error:
            raise InputError(
                f"{error}, again after going back once, so it is no fault of the machine: {_REMEDY}"
            ) from None


def _compile(
    training: Training, state: TrainState, batch: dict[str, np.ndarray], screen: Screen
) -> Update:
    began = time.perf_counter()
    batch_there = put_batch(batch, training.mesh)
    key = run_key(training.config.seed, training.mesh)
    arguments = (state, batch_there, key, np.float32(0), *training.frozen)
    update = training.train_step.lower(*arguments).compile()
    give_back_freed()
    meet("compiled")  # a host that kept the program need not wait inside its first step
    took = duration(time.perf_counter() - began)
    screen.say(f"compiled in {took}; training from step {int(state.step)}")
    return update


def _go_on(
    training: Training,
    update: Update | None,
    screen: Screen,
    state: TrainState,
    progress: Progress,
    batches: Batches,
) -> TrainState:
    config, run, stop = training.config, training.run, training.stop
    start = step = int(state.step)
    key, vote = run_key(config.seed, training.mesh), make_vote(stop, training.mesh)
    if agree(lambda: last_step(run, upto=start)) == start:  # written after its checkpoint
        progress.tell(start)
    with open_metrics(run, start, kept=is_first()) as log:
        pace = _Pace(began=time.perf_counter())
        fresh: list[dict[str, jax.Array]] = []  # numbers that lie on the devices still
        while True:
            asked, due = vote(), _due(training, progress, step)
            if due.line or asked:
                numbers = jax.device_get(fresh)
                for bad in progress.take(config, numbers, step - len(fresh) + 1):
                    screen.say(f"step {bad}: skipped, its loss or gradient is not finite")
                fresh = []
                progress.check_loss(config, step)
                if step > start and (due.save or asked):
                    kept = progress.to_json(config, step) | {KEY: dict(training.meaning)}
                    training.checkpoints.save(state, kept)
            if asked:
                raise Stopped
            if due.line:
                scores = _validated(training, state, screen) if due.validation else {}
                _tell(config, step, progress, pace, scores, log, screen)
                pace = _Pace(began=time.perf_counter())
            if due.end or update is None:
                return state
            before = time.perf_counter()
            try:
                with stop.interruptible():
                    batch = put_batch(next(batches), training.mesh)  # while the devices are at work
            except Stopped:
                continue
            pace.waited += time.perf_counter() - before
            rate = np.float32(learning_rate(config, step))
            state, metrics = update(state, batch, key, rate, *training.frozen)
            fresh.append(metrics)
            step, pace.steps = step + 1, pace.steps + 1
            screen.advance(step)


class _Due(NamedTuple):
    """What is to be done at a step, before the next."""

    end: bool
    validation: bool
    save: bool
    line: bool


def _due(training: Training, progress: Progress, step: int) -> _Due:
    config = training.config
    end = step == config.steps
    validation = training.validate is not None and (
        end or (config.validate_every > 0 and step % config.validate_every == 0)
    )
    save = end or validation or step % config.checkpoint_every == 0
    line = step > progress.logged and (save or step % config.log_every == 0)
    return _Due(end, validation, save, line)


@dataclass
class _Pace:
    """Of the steps since the last line of the log; `waited` for batches, in seconds."""

    began: float
    steps: int = 0
    waited: float = 0.0

    def numbers(self, batch_size: int) -> dict[str, float]:
        seconds = max(time.perf_counter() - self.began, 1e-9)
        return {
            "examples_per_second": self.steps * batch_size / seconds,
            # How long the loop stood waiting for data; less than this share of the devices'
            # time was lost, for they may still have had work.
            "wait_share": self.waited / seconds,
        }


def _validated(training: Training, state: TrainState, screen: Screen) -> dict[str, float]:
    assert training.validate is not None
    step = int(state.step)
    with training.stop.interruptible():
        scores = training.validate(step, state.ema)
    # Of the first host, for the last digits of others may be different.
    scores = agree(lambda: scores)
    told = (f"{name.removeprefix('validation_')} {x:.4g}" for name, x in scores.items())
    screen.say(f"step {step} validation: {', '.join(told)}")
    if SCORE in scores:
        training.checkpoints.scores[step] = scores[SCORE]
    return scores


def _tell(
    config: TrainConfig,
    step: int,
    progress: Progress,
    pace: _Pace,
    scores: dict[str, float],
    log: MetricsLog,
    screen: Screen,
) -> None:
    """Writes a line of the log."""
    means, speed = progress.means(), pace.numbers(config.batch_size)
    if "loss" in means:  # else all updates since the last line were skipped
        screen.show(step, means["loss"], speed["examples_per_second"] / config.batch_size)
        rate = {"learning_rate": learning_rate(config, step - 1)}
        log.write(step, means | rate | speed | {"bad_batches": progress.bad} | scores)
    progress.tell(step)


_REMEDY = "give a lower train.learning_rate, or a higher train.explosion"
