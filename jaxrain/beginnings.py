"""Weights that a training begins with: those of another run, where `train.start_from` names one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxrain.config import Config, first_difference, load_config
from jaxrain.errors import InputError
from jaxrain.pairs.store import read_manifest
from jaxrain.training.checkpoint import load_parameters
from jaxrain.training.gradients import Params
from jaxrain.training.meaning import check_meaning, meaning

# Of `data`: what the network's channels and its target are, beside the store's channels.
_SAME = ("rain_scaling", "rain_scale_mm", "standardize", "interpolations", "static", "encodings")


def weights_to_start_from(
    config: Config, manifest: dict[str, Any], template: Params, say: Callable[[str], None]
) -> Params:
    """The averaged weights of the run that `train.start_from` names.

    Args:
      config: of the run that begins.
      manifest: of its store.
      template: its network's weights, any values.
      say: told where the other run's numbers were scaled by other statistics.

    Raises:
      InputError: it is no run, or one of another network, prediction, input or scaling.
    """
    source = Path(str(config.train.start_from))
    if not (source / "config.yaml").is_file():
        raise InputError(f"train.start_from={source}: no run, it has no config.yaml")
    other = load_config(source / "config.yaml")
    differs = first_difference(config.model, other.model, ignore=("init", "dropout"))
    if differs:
        raise InputError(f"train.start_from={source} is of another network: model.{differs}")
    if other.diffusion.prediction != config.diffusion.prediction:
        raise InputError(
            f"train.start_from={source} predicts {other.diffusion.prediction}, this run "
            f"{config.diffusion.prediction}: set diffusion.prediction={other.diffusion.prediction}"
        )
    for name in _SAME:
        ours, theirs = getattr(config.data, name), getattr(other.data, name)
        if ours != theirs:
            raise InputError(
                f"train.start_from={source} was trained on other data: data.{name}: {ours} here, "
                f"{theirs} there"
            )
    weights, step = load_parameters(source, template)
    check_meaning(source, step, meaning(other.model, other.diffusion, other.data))
    if (source / "manifest.json").is_file():  # a converted run has none before it goes on
        trained = read_manifest(source)
        if trained["channels"] != manifest["channels"]:
            raise InputError(
                f"train.start_from={source} was trained on channels {trained['channels']}, the "
                f"store has {manifest['channels']}"
            )
        if trained["statistics"] != manifest["statistics"]:
            say(
                f"train.start_from={source}: its store had other statistics, so its weights see "
                "the same weather as other numbers at first"
            )
    return weights
