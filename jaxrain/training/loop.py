"""The training loop: it reads top to bottom, and waits for the devices only where it must."""

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from jaxrain.errors import InputError
from jaxrain.training.checkpoint import Checkpoints
from jaxrain.training.mesh import put_batch, put_state
from jaxrain.training.metrics import Screen, duration, open_metrics, open_screen
from jaxrain.training.optimizer import learning_rate
from jaxrain.training.progress import Exploded, Progress, read_progress
from jaxrain.training.saved import saved_steps
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import Params, TrainState, TrainStep
from jaxrain.training.stopping import Stop, Stopped

# (step, averaged weights) -> numbers to log
Validate = Callable[[int, Params], dict[str, float]]
# (step) -> this host's share of the batches from that step on
BatchesFrom = Callable[[int], Iterator[dict[str, np.ndarray]]]
Update = Callable[..., tuple[TrainState, dict[str, jax.Array]]]  # the compiled step
SCORE = "validation_crps_mm"  # by which the best checkpoint is chosen


def train_loop(
    config: TrainConfig,
    *,
    state: TrainState,
    train_step: TrainStep,
    batches: Iterator[dict[str, np.ndarray]],
    mesh: Mesh,
    checkpoints: Checkpoints,
    run: Path,
    batches_from: BatchesFrom | None = None,
    validate: Validate | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> TrainState:
    """Trains from `state` to `config.steps` updates.

    Every `log_every` steps, and before it writes or samples anything, the loop fetches the numbers
    of the steps since the last time and checks that they are finite; so a checkpoint is never
    made of a state that went wrong, and the devices need not wait at other steps. Where the loss
    explodes it goes back to the newest checkpoint, once: what a machine's fault did is undone, and
    what the settings do comes back and ends the run.

    Args:
      config: steps and how often things happen.
      state: to go on from; donated.
      train_step: of `make_train_step`.
      batches: of this host, beginning with the batch of the state's step.
      mesh: the devices.
      checkpoints: where to save.
      run: folder of the run; metrics go there.
      batches_from: opens the batches at a step anew, to go back; None for never.
      validate: samples with the averaged weights and scores; None for never.
      progress: what the state's checkpoint kept; None at the beginning.
      stop: asked after each step; None for never.

    Returns:
      The final state, saved.

    Raises:
      InputError: a loss or gradient became NaN or infinite, or exploded twice; names the step. Or
        a checkpoint could not be written.
      Stopped: `stop` was asked; the state of the last step done is saved.
    """
    template = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state
    )
    stop = stop or Stop()
    progress = progress or Progress(logged=int(state.step))
    with open_screen(config.steps, int(state.step)) as screen:
        update = None
        if int(state.step) < config.steps:  # else a validation alone is left to do
            began = time.perf_counter()
            first = next(batches)
            update = train_step.lower(
                state, put_batch(first, mesh), _key(config, mesh), np.float32(0)
            ).compile()
            took = duration(time.perf_counter() - began)
            screen.say(f"compiled in {took}; training from step {int(state.step)}")
            batches = itertools.chain([first], batches)
        go_on = partial(
            _go_on,
            config=config,
            update=update,
            mesh=mesh,
            checkpoints=checkpoints,
            run=run,
            validate=validate,
            stop=stop,
            screen=screen,
        )
        try:
            return go_on(state, progress, batches)
        except Exploded as error:
            said = str(error)
        checkpoints.finish()  # the newest may be on its way to the disk
        if batches_from is None or not saved_steps(run):
            raise InputError(f"{said}, and there is no checkpoint to go back to: {_REMEDY}")
        state, kept = checkpoints.go_back(template)
        screen.say(f"{said}; going back to checkpoint {int(state.step)}, this once")
        try:
            return go_on(state, read_progress(kept), batches_from(int(state.step)))
        except Exploded as error:
            raise InputError(
                f"{error}, again after going back once, so it is no fault of the machine: {_REMEDY}"
            ) from None


def _go_on(
    state: TrainState,
    progress: Progress,
    batches: Iterator[dict[str, np.ndarray]],
    *,
    config: TrainConfig,
    update: Update | None,
    mesh: Mesh,
    checkpoints: Checkpoints,
    run: Path,
    validate: Validate | None,
    stop: Stop,
    screen: Screen,
) -> TrainState:
    start = step = int(state.step)
    key, clock = _key(config, mesh), time.perf_counter
    with open_metrics(run, step) as log:
        if log.last == step:  # its line was written after its checkpoint
            progress.tell(step)
        since, waited = clock(), 0.0
        fresh: list[dict[str, jax.Array]] = []  # numbers that lie on the devices still
        while True:
            asked, last = stop.asked, step == config.steps
            sample = validate is not None and (
                last or (config.validate_every > 0 and step % config.validate_every == 0)
            )
            save = last or sample or step % config.checkpoint_every == 0
            tell = step > progress.logged and (save or step % config.log_every == 0)
            if tell or asked:
                done = len(fresh)
                for bad in progress.take(config, jax.device_get(fresh), step - done + 1):
                    screen.say(f"step {bad}: skipped, its loss or gradient is not finite")
                fresh = []
                progress.check_loss(config, step)
                if step > start and (save or asked):
                    checkpoints.save(state, progress.to_json(config, step))
            if asked:
                raise Stopped
            if tell:
                numbers, seconds = progress.means(), max(clock() - since, 1e-9)
                numbers["learning_rate"] = learning_rate(config, step - 1)
                numbers["examples_per_second"] = done * config.batch_size / seconds
                # How long the loop stood waiting for data; less than this share of the devices'
                # time was lost, for they may still have had work.
                numbers["wait_share"] = waited / seconds
                numbers["bad_batches"] = progress.bad
                if sample and validate is not None:
                    with stop.interruptible():
                        scores = validate(step, state.ema)
                    screen.say(f"step {step} validation: {_told(scores)}")
                    numbers |= scores
                    if SCORE in scores:
                        checkpoints.scores[step] = scores[SCORE]
                if "loss" in numbers:  # else all updates since the last line were skipped
                    screen.show(step, numbers["loss"], done / seconds)
                    log.write(step, numbers)
                progress.tell(step)
                since, waited = clock(), 0.0
            if last or update is None:
                return state
            before = clock()
            try:
                with stop.interruptible():
                    batch = put_batch(next(batches), mesh)  # while the devices are at work
            except Stopped:
                continue
            waited += clock() - before
            state, metrics = update(state, batch, key, np.float32(learning_rate(config, step)))
            fresh.append(metrics)
            step += 1
            screen.advance(step)


def _key(config: TrainConfig, mesh: Mesh) -> jax.Array:
    return put_state(jax.random.key(config.seed), mesh)


def _told(scores: dict[str, float]) -> str:
    return ", ".join(f"{name.removeprefix('validation_')} {x:.4g}" for name, x in scores.items())


_REMEDY = "give a lower train.learning_rate, or a higher train.explosion"
