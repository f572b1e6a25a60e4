"""Checkpoints of a run, written by Orbax: beside and renamed, in the background, sealed.

A checkpoint RUN/checkpoints/STEP holds four items, all of one step: `params`, `ema`, `optimizer`
(with the step) and `loader` (JSON). The key of a step is a function of the seed and the step, so
there is no random state to keep. Its seal, written before the folder gets its name, holds the hash
of every file; a checkpoint that its seal doesn't fit is never read.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.tree_util import keystr, tree_flatten_with_path
from orbax.checkpoint import type_handlers

from jaxrain.errors import InputError
from jaxrain.training.gradients import Params
from jaxrain.training.hosts import agree
from jaxrain.training.saved import FOLDER, use_newest, whole_step
from jaxrain.training.seal import write_seal
from jaxrain.training.state import TrainState

# Orbax writes the time of the renaming into it when the seal is there already.
_UNSEALED = frozenset({"_CHECKPOINT_METADATA"})


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run; use as a context, which waits for the last one to be whole.

    Attributes:
      run: folder of the run.
      manager: Orbax's.
      scores: validation's CRPS by step; the checkpoint of the lowest stays.
    """

    run: Path
    manager: ocp.CheckpointManager
    scores: dict[int, float]

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.finish()
        except InputError:
            if kind is None:  # else the first error is the one to tell
                raise
        finally:
            self.manager.close()

    def save(self, state: TrainState, loader_state: dict[str, Any]) -> None:
        """Starts writing `state`; returns once its arrays may be given away.

        A step that is there already is left as it is.

        Raises:
          InputError: this one, or the one before in the background, could not be written.
        """
        optimizer = {"step": state.step, "state": state.opt_state}
        if int(state.step) in self.manager.all_steps():
            return
        try:
            self.manager.save(
                int(state.step),
                args=ocp.args.Composite(
                    params=ocp.args.StandardSave(state.params),
                    ema=ocp.args.StandardSave(state.ema),
                    optimizer=ocp.args.StandardSave(optimizer),
                    loader=ocp.args.JsonSave(loader_state),
                ),
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise self._not_written(error) from error

    def finish(self) -> None:
        """Waits until what was saved is on the disk.

        Raises:
          InputError: it could not be written.
        """
        try:
            self.manager.wait_until_finished()
        except (OSError, ValueError, RuntimeError) as error:
            raise self._not_written(error) from error

    def _not_written(self, error: Exception) -> InputError:
        reason = " ".join(str(error).split())[:300]
        return InputError(
            f"{self.run}: a checkpoint could not be written ({reason}); those before it are good: "
            "free some space and run the same command again"
        )

    def go_back(self, template: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Reads the newest state that is whole, and moves damaged newer ones aside.

        Args, Returns, Raises: as `restore`.
        """
        self.finish()
        step = agree(lambda: use_newest(self.run))
        self.manager.reload()
        return self.restore(template, step)

    def restore(
        self, template: TrainState, step: int | None = None
    ) -> tuple[TrainState, dict[str, Any]]:
        """Reads a whole state.

        Args:
          template: a state of the same structure, of arrays that lie where the restored ones shall.
          step: which; None takes the newest that is whole.

        Returns:
          (state, loader_state).

        Raises:
          InputError: there is none, it is damaged, or of another network or optimizer.
        """
        step = whole_step(self.run, step)
        _check_same_network(self.manager, step, template.params, self.run)
        like = jax.tree.map(_abstract, template)
        optimizer = {"step": like.step, "state": like.opt_state}
        read = self.manager.restore(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardRestore(like.params),
                ema=ocp.args.StandardRestore(like.ema),
                optimizer=ocp.args.StandardRestore(optimizer),
                loader=ocp.args.JsonRestore(),
            ),
        )
        state = TrainState(
            step=read.optimizer["step"],
            params=read.params,
            ema=read.ema,
            opt_state=read.optimizer["state"],
        )
        return state, read.loader


@dataclasses.dataclass(frozen=True)
class _Keep:
    """Orbax's preservation policy: the last `newest`, the best by `scores`, every `every`th."""

    newest: int | None
    every: int | None
    scores: dict[int, float]

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = set(steps if self.newest is None else sorted(steps)[-self.newest :])
        kept |= {step for step in steps if self.every and step % self.every == 0}
        scored = [step for step in steps if step in self.scores]
        if scored:
            kept.add(min(scored, key=lambda step: self.scores[step]))
        return [step in kept for step in steps]


def open_checkpoints(
    run: str | Path,
    keep: int | None = None,
    *,
    every: int | None = None,
    scores: dict[int, float] | None = None,
) -> Checkpoints:
    """Opens (and makes, where absent) the checkpoint folder of a run for writing.

    Args:
      run: folder of the run.
      keep: the newest so many stay; None keeps all.
      every: those of steps that are multiples of this stay too.
      scores: by step, lower is better: the best of those that are there stays too.
    """
    run = Path(run).absolute()
    scores = {} if scores is None else scores
    options = ocp.CheckpointManagerOptions(
        preservation_policy=_Keep(keep, every, scores),
        create=True,
        cleanup_tmp_directories=True,  # what a killed process left half-written
        # Orbax calls it when all files are closed and the folder has not got its name yet.
        async_options=ocp.AsyncOptions(post_finalization_callback=lambda: _seal(run / FOLDER)),
    )
    (run / FOLDER).mkdir(parents=True, exist_ok=True)
    return Checkpoints(run, _manager(run, options), scores)


def _seal(checkpoints: Path) -> None:
    for unfinished in checkpoints.glob(f"*{ocp.utils.TMP_DIR_SUFFIX}*"):
        write_seal(unfinished, ignore=_UNSEALED)


def write_checkpoint(run: str | Path, state: TrainState, loader_state: dict[str, Any]) -> None:
    """Writes one checkpoint of numpy arrays with as little memory as can be.

    `Checkpoints.save` copies all arrays and writes all items at the same time, so that training can
    go on; here nothing is copied and one item is written after the other.

    Args:
      run: folder of the run, which has no checkpoint of this step.
      state: of numpy arrays.
      loader_state: as JSON.
    """
    quiet_orbax()
    step = int(state.step)
    folder = Path(run).absolute() / FOLDER
    partial = folder / f".{step}.partial"
    partial.mkdir(parents=True)
    arrays = {
        "params": state.params,
        "ema": state.ema,
        "optimizer": {"step": state.step, "state": state.opt_state},
    }
    in_place = type_handlers.NumpyHandler(deepcopy_host_arrays=False)
    registry = type_handlers.create_type_handler_registry((np.ndarray, in_place))
    for name, tree in arrays.items():
        # Weights hardly shrink, and would lie in memory once more while they are compressed.
        handler = ocp.PyTreeCheckpointHandler(
            type_handler_registry=registry, use_compression=name == "optimizer"
        )
        with ocp.Checkpointer(handler) as writer:
            writer.save(partial / name, args=ocp.args.PyTreeSave(tree))
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as writer:
        writer.save(partial / "loader", args=ocp.args.JsonSave(loader_state))
    write_seal(partial)
    partial.rename(folder / str(step))


def load_parameters(
    run: str | Path, template: Params, *, ema: bool = True, step: int | None = None
) -> tuple[Params, int]:
    """Reads weights alone, for sampling.

    Args:
      run: folder of the run.
      template: nested dict of arrays or `jax.ShapeDtypeStruct`s with the network's shapes.
      ema: the running average, else the last weights.
      step: which checkpoint; None takes the newest that is whole.

    Returns:
      (weights as the template's nested dict, step).

    Raises:
      InputError: the folder is no run, has no such whole checkpoint, or one of another network.
    """
    run = Path(run).absolute()
    if not (run / FOLDER).is_dir():
        raise InputError(f"{run} has no {FOLDER}/ inside; give a folder that training has made")
    options = ocp.CheckpointManagerOptions(read_only=True, create=False, save_interval_steps=0)
    with _manager(run, options) as manager:
        step = whole_step(run, step)
        _check_same_network(manager, step, template, run)
        item = "ema" if ema else "params"
        like = ocp.args.StandardRestore(jax.tree.map(_abstract, template))
        read = manager.restore(step, args=ocp.args.Composite(**{item: like}))
    return read[item], step


def parameters_hash(params: Params) -> str:
    """sha256 over names, types, shapes and bytes of all weights: which network made a sample."""
    digest = hashlib.sha256()
    for path, leaf in tree_flatten_with_path(params)[0]:
        array = np.asarray(leaf)
        digest.update(f"{keystr(path)} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def quiet_orbax() -> None:
    """Orbax tells its whole life at level INFO and WARNING through absl."""
    logging.getLogger("absl").setLevel(logging.ERROR)


def _manager(run: Path, options: ocp.CheckpointManagerOptions) -> ocp.CheckpointManager:
    quiet_orbax()
    handlers: dict[str, Any] = {
        name: ocp.StandardCheckpointHandler() for name in ("params", "ema", "optimizer")
    }
    handlers["loader"] = ocp.JsonCheckpointHandler()
    return ocp.CheckpointManager(run / FOLDER, options=options, item_handlers=handlers)


def _check_same_network(
    manager: ocp.CheckpointManager, step: int, template: Params, run: Path
) -> None:
    """Compares names and shapes before anything is read.

    Raises:
      InputError: names the first parameter that differs.
    """
    stored = _shapes(manager.item_metadata(step)["params"].tree)
    expected = _shapes(template)
    for name in sorted(stored.keys() | expected.keys()):
        if stored.get(name) != expected.get(name):
            raise InputError(
                f"checkpoint {step} of {run} is of another network: {name} is "
                f"{stored.get(name, 'absent')} there and {expected.get(name, 'absent')} here; "
                "use its own config, or another train.run"
            )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = tree_flatten_with_path(tree)[0]
    # Orbax keeps the place in a list as text: '0' and 0 are one name.
    names = (keystr(path, simple=True, separator=".") for path, _ in leaves)
    return {name: tuple(leaf.shape) for name, (_, leaf) in zip(names, leaves, strict=True)}


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None)
    if sharding is None:
        sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
