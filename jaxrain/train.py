"""`python -m jaxrain.train`: trains a run, or goes on with it from its newest whole checkpoint.

Exit status: 0 trained; 2 a mistake that a user can mend; 75 stopped by SIGTERM or SIGUSR1 and
saved, start it again; 130 by Ctrl-C.
"""

import argparse
import contextlib
import functools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from jaxrain.allocator import keep_freed_memory
from jaxrain.command import add_config_arguments, run_command
from jaxrain.errors import InputError

if TYPE_CHECKING:
    from jaxrain.config import Config
    from jaxrain.pairs.revival import Batch
    from jaxrain.pairs.store import Store
    from jaxrain.training.stopping import Stop

DEFAULT_CONFIG = "configs/demo.yaml"

# Settings of `data` that may change between two starts of a run: where things lie, what is tested.
MOVABLE = ("root", "store", "windows")
# Settings of `diffusion` that weigh members' scores, without use where none are scored.
OF_MEMBERS = ("crps_increments", "crps_amounts")


def main(argv: Sequence[str] | None = None) -> int:
    """Parses arguments and trains; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxrain.train",
        description="Trains a run. Goes on by itself where the run folder has a checkpoint.",
    )
    add_config_arguments(parser, default=DEFAULT_CONFIG)
    return run_command(_run, parser, argv)


def _run(arguments: argparse.Namespace) -> int:
    from jaxrain.config import find_config, load_config
    from jaxrain.training.hosts import join_hosts
    from jaxrain.training.stopping import Stopped, listen

    config = load_config(arguments.config, arguments.overrides)
    if not any(word.partition("=")[0].strip() == "train.run" for word in arguments.overrides):
        _check_place(find_config(arguments.config), Path(config.train.run))
    if not (Path(config.train.run) / "config.yaml").is_file():  # one that is there stays trainable
        _check_heeded(config)
    with listen() as stop:
        try:
            join_hosts()
            train(config, stop)
        except Stopped:
            told = f"stopped by {stop.name}: {_left_behind(Path(config.train.run))}"
            with contextlib.suppress(OSError):  # who asked may have closed our output before
                _say(told, sys.stderr)
            return stop.status
    return 0


def _left_behind(run: Path) -> str:
    """What a start after a stop finds; a stop may come while the first step is compiled."""
    from jaxrain.stages import FOLDER
    from jaxrain.training.saved import saved_steps

    if saved_steps(run) or saved_steps(run / FOLDER):
        return f"{run} is saved; the same command goes on"
    return f"{run} has no step yet; the same command begins it"


def train(config: "Config", stop: "Stop | None" = None) -> None:
    """Trains what a config describes, to its last step; with data.target=regression both stages.

    Args:
      config: resolved; `train.run` is the folder of the run.
      stop: asked after each step; None for never.

    Raises:
      InputError: the run in that folder is of other settings or being trained, none of its
        checkpoints is whole, the store is missing or of others, the batch cannot be shared by the
        devices, or the loss became NaN or exploded.
      Stopped: `stop` was asked, and all that was done is saved.
    """
    import jax

    from jaxrain.beginnings import weights_to_start_from
    from jaxrain.lock import hold
    from jaxrain.pairs.loader import training_batches
    from jaxrain.pairs.revival import outlive_workers
    from jaxrain.stages import first_stage, load_regression
    from jaxrain.training.checkpoint import open_checkpoints
    from jaxrain.training.hosts import agree, is_first
    from jaxrain.training.loop import SCORE, Training, train_loop
    from jaxrain.training.meaning import check_meaning, meaning
    from jaxrain.training.mesh import (
        check_batch,
        create_mesh,
        keep_compiled_programs,
        put_state,
        share_of_host,
    )
    from jaxrain.training.metrics import logged_scores
    from jaxrain.training.network import define_network, make_draw, make_loss
    from jaxrain.training.progress import read_progress
    from jaxrain.training.saved import saved_steps, set_aside_newer
    from jaxrain.training.state import create_state, make_train_step
    from jaxrain.training.stopping import Stop
    from jaxrain.validation import make_validation

    keep_compiled_programs()
    run, stop = Path(config.train.run), stop or Stop()
    stop.alone = jax.process_count() == 1
    mesh = create_mesh(config.train.devices, config.train.mesh)
    check_batch(config.train.batch_size, config.train.accumulate, config.data.patch, mesh)
    share, shares = share_of_host(mesh)
    store = _open_store(config)
    agree(lambda: _check_run(run, config, store))
    init, apply = define_network(
        config.model,
        config.data,
        len(store.channels),
        config.train.precision,
        config.train.rematerialise,
    )
    weights = init(config.train.seed)
    if config.train.start_from and not agree(lambda: bool(saved_steps(run))):
        weights = weights_to_start_from(config, store.manifest, weights, _say)
    if config.data.target == "regression":
        first_stage(config, lambda first: train(first, stop))
    scaling, regression = store.scaling(config.data), load_regression(config, run, store.manifest)
    loss_fn = make_loss(
        apply, config.diffusion, scaling, regression.run.apply if regression else None
    )
    with contextlib.ExitStack() as stack:

        def take() -> None:
            remedy = "wait for it, stop it, or give another train.run=FOLDER"
            stack.enter_context(hold(run, f"{run} is being trained", remedy))

        begun = agree(run.is_dir)
        if begun:
            agree(take)
        done, kept, told = agree(lambda: _newest(run))
        means = meaning(config.model, config.diffusion, config.data)
        if kept:
            agree(lambda: check_meaning(run, done, means))
        if done > config.train.steps or (done == config.train.steps and told):
            _say(f"{run} is trained: it has {done} steps, train.steps={config.train.steps}")
            return
        read_from = functools.partial(
            training_batches,
            store,
            config.data,
            batch_size=config.train.batch_size,
            seed=config.train.seed,
            workers=config.train.workers,
            host=share,
            hosts=shares,
        )

        def batches_from(step: int) -> "Iterator[Batch]":
            return outlive_workers(lambda start: read_from(start_step=start), step)

        batches = batches_from(done)  # refuses what cannot be before a folder is made
        if not begun:
            agree(take)
            if agree(lambda: saved_steps(run)):
                raise InputError(f"{run} was begun by another process just now; start again")
        agree(lambda: set_aside_newer(run, done))

        state = put_state(create_state(config.train, weights), mesh)
        checkpoints = stack.enter_context(
            open_checkpoints(
                run,
                config.train.keep_checkpoints,
                every=config.train.keep_every,
                scores={int(k): v for k, v in agree(lambda: logged_scores(run, SCORE)).items()},
            )
        )
        if kept:
            state, _ = checkpoints.restore(state, done)
        agree(lambda: _keep(run, config, store))
        if regression:
            agree(lambda: regression.keep(run))
        size = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        _say(
            f"{'going on with' if kept else 'beginning'} {run}: {size / 1e6:.2f} million "
            f"weights, {mesh.devices.size} {jax.devices()[0].platform} device(s), steps {done} to "
            f"{config.train.steps} of batch {config.train.batch_size}"
        )
        training = Training(
            config=config.train,
            mesh=mesh,
            train_step=make_train_step(loss_fn, config.train, mesh, make_draw(config.diffusion)),
            batches_from=batches_from,
            checkpoints=checkpoints,
            run=run,
            validate=make_validation(
                config, store, apply, mesh, run / "report" if is_first() else None, regression
            ),
            stop=stop,
            frozen=(put_state(regression.run.weights, mesh),) if regression else (),
            meaning=means,
        )
        train_loop(training, state, read_progress(kept) if kept else None, batches)
    _say(f"trained: {run}; next: python -m jaxrain.sample {run} --output OUT.nc")


def _say(line: str, where: TextIO | None = None) -> None:
    """Prints a line, once for all hosts."""
    from jaxrain.training.hosts import is_first

    if is_first():
        print(line, file=where, flush=True)


def _newest(run: Path) -> tuple[int, dict[str, Any] | None, bool]:
    """Of the newest whole checkpoint: its step, what it keeps of the loader, whether it is logged.

    Without a checkpoint (0, None, False); the step is 0 too where weights came from elsewhere.
    """
    from jaxrain.training.metrics import last_step
    from jaxrain.training.progress import read_progress
    from jaxrain.training.saved import read_loader_state, saved_steps, whole_step

    if not saved_steps(run):
        return 0, None, False
    done = whole_step(run)
    kept = read_loader_state(run, done)
    return done, kept, done in (read_progress(kept).logged, last_step(run))


def _keep(run: Path, config: "Config", store: "Store") -> None:
    """What sampling needs beside the weights: it needs no store."""
    from jaxrain.config import save_config
    from jaxrain.pairs.store import save_grids, save_json

    save_config(config, run / "config.yaml")
    save_grids(run / "grids", store.areas)
    save_json(run / "manifest.json", store.manifest)


def _open_store(config: "Config") -> "Store":
    """Opens the store; the demo's is made where it is absent, with its weather."""
    from jaxrain.pairs.store import open_store
    from jaxrain.training.hosts import agree

    def make() -> None:
        if config.data.demo and not (Path(config.data.store) / "manifest.json").is_file():
            from jaxrain.pairs.build import prepare

            prepare(config.data, work=config.prepare)

    agree(make)
    return open_store(config.data.store, config.data)


def _check_place(file: Path, run: Path) -> None:
    """Refuses the config of a run that was copied or moved, for it still names where that lay.

    Args:
      file: the config.
      run: what its `train.run` says.

    Raises:
      InputError: the file lies in one run and names another folder.
    """
    here = file.parent
    if file.name != "config.yaml" or not (here / "checkpoints").is_dir():
        return
    if here.resolve() == run.resolve():
        return
    other, remedy = f"train.run={run}", f"--config {run / file.name} for that one"
    if not run.exists():
        other, remedy = f"{other}, which does not exist", f"train.run={run} to begin there"
    raise InputError(
        f"{file} lies in the run {here}, but says {other}: give train.run={here} to go on with "
        f"{here}, or {remedy}"
    )


def _check_heeded(config: "Config") -> None:
    """Refuses what the objective has no use for and no config gives by default.

    Raises:
      InputError: a weight of the members' score is set where no members are scored.
    """
    process = config.diffusion
    for name in OF_MEMBERS:
        if process.objective != "crps" and (weight := getattr(process, name)):
            raise InputError(
                f"diffusion.{name}={weight:g}: objective={process.objective} scores no members; "
                "set diffusion.objective=crps, or it to 0"
            )


def _check_run(run: Path, config: "Config", store: "Store") -> None:
    """Refuses to go on with a run of another network, process, data or statistics.

    Raises:
      InputError: names the first setting that differs.
    """
    from jaxrain.config import first_difference, load_config
    from jaxrain.pairs.store import read_manifest

    if not (run / "checkpoints").is_dir() or not (run / "config.yaml").is_file():
        return
    begun = load_config(run / "config.yaml")
    remedy = f"use --config {run / 'config.yaml'}, or give another train.run=FOLDER"
    idle = () if config.diffusion.objective == "crps" else OF_MEMBERS
    for section, ignore in (("model", ()), ("diffusion", idle), ("data", MOVABLE)):
        differs = first_difference(getattr(config, section), getattr(begun, section), ignore)
        if differs:
            raise InputError(f"{run} was begun with other settings: {section}.{differs}; {remedy}")
    if not (run / "manifest.json").is_file():
        return  # a converted run has no statistics before it goes on
    kept = read_manifest(run)
    for name in ("channels", "statistics", "static"):
        if kept.get(name) != store.manifest.get(name):
            raise InputError(
                f"{run} was begun with a store of other {name} than {store.path} has now; "
                "give another train.run=FOLDER, or the store that it was begun with"
            )


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
