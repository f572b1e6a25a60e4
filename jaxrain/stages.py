"""Two stages of one run: the regression network that is trained first and then left as it is.

With data.target=regression the folder RUN/regression is a run of its own, of the objective
regression, and RUN/regression.json says beside which of its weights the second network learned.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax

from jaxrain.companions import Companion, Weights, load_companion
from jaxrain.config import Config, load_config
from jaxrain.diffusion.process import regress
from jaxrain.errors import InputError
from jaxrain.pairs.store import save_json
from jaxrain.training.hosts import agree

FOLDER = "regression"
NOTE = "regression.json"


@dataclasses.dataclass(frozen=True, eq=False)
class Regression:
    """The first stage.

    Attributes:
      run: trained.
    """

    run: Companion

    def regress(self, weights: Weights, condition: jax.Array) -> jax.Array:
        """What the regression says of x0, [B, H, W, 1], from its condition [B, H, W, C]."""
        return regress(partial(self.run.apply, weights.regression), condition)

    def keep(self, run: Path) -> None:
        """Notes in RUN/regression.json that the second stage is begun beside these weights."""
        save_json(run / NOTE, {"step": self.run.step, "sha256": self.run.sha256})


def first_stage(config: Config, train: Callable[[Config], None]) -> None:
    """Makes RUN/regression: trains it, or copies the run that `train.regression` names.

    Nothing is done once the second stage has begun.

    Args:
      config: of the run, with data.target=regression.
      train: trains the run that a config describes to its end.

    Raises:
      InputError: `train.regression` is no run of a regression.
    """
    run, source = Path(config.train.run), config.train.regression
    if agree((run / NOTE).is_file):
        return
    if source is None:
        train(first_stage_settings(config))
    elif not agree((run / FOLDER).is_dir):
        agree(lambda: _copy(Path(source), run))


def load_regression(config: Config, run: Path, manifest: dict[str, Any]) -> Regression | None:
    """Loads the first stage of a run; None where the target is not what a regression leaves.

    Args:
      config: of the run.
      run: its folder.
      manifest: of the store that the run is trained on, or was.

    Raises:
      InputError: there is no trained regression inside, it is of other data, or its weights are
        not those that the second stage was begun with.
    """
    if config.data.target != "regression":
        return None
    folder = run / FOLDER
    _config_of(folder)
    note = run / NOTE
    kept = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    remedy = "give train.regression=RUN that was trained on the same, or leave it out"
    found = load_companion(folder, config, manifest, remedy, kept.get("step"))
    if kept.get("sha256", found.sha256) != found.sha256:
        raise InputError(
            f"{folder} holds other weights of step {found.step} than {run} was begun with: bring "
            "back a copy, or begin anew with another train.run=FOLDER"
        )
    return Regression(found)


def first_stage_settings(config: Config) -> Config:
    """Of the first stage: the run's, but for what it learns and where it lies."""
    train, data = config.train, config.data
    return dataclasses.replace(
        config,
        data=dataclasses.replace(data, target=data.measured_from),
        # The weights are of members' scores, which it has none of.
        diffusion=dataclasses.replace(
            config.diffusion, objective="regression", crps_increments=0.0, crps_amounts=0.0
        ),
        sample=dataclasses.replace(config.sample, first_guess=None),  # it has no chain
        train=dataclasses.replace(
            train,
            run=str(Path(train.run) / FOLDER),
            steps=train.regression_steps or train.steps,
            regression_steps=None,
            start_from=None,  # a network of other channels
        ),
    )


def _copy(source: Path, run: Path) -> None:
    _config_of(source)  # refuses before anything is copied
    partial_copy = run / f".{FOLDER}.partial"
    shutil.rmtree(partial_copy, ignore_errors=True)
    shutil.copytree(source, partial_copy, ignore=shutil.ignore_patterns(".lock", "*.nc*"))
    partial_copy.rename(run / FOLDER)


def _config_of(folder: Path) -> Config:
    """The settings of a regression's run.

    Raises:
      InputError: the folder is none.
    """
    if not (folder / "config.yaml").is_file():
        raise InputError(
            f"{folder} is no run of a regression: it has no config.yaml; train one with "
            "diffusion.objective=regression"
        )
    config = load_config(folder / "config.yaml")
    if config.diffusion.objective != "regression":
        raise InputError(
            f"{folder} was trained with diffusion.objective={config.diffusion.objective}, "
            "expected a run of diffusion.objective=regression"
        )
    return config
