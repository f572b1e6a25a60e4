"""Trained networks that a run's own works beside: of another run, on the same data."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxrain.config import Config, load_config
from jaxrain.errors import InputError
from jaxrain.pairs.store import read_manifest
from jaxrain.training.checkpoint import load_parameters, parameters_hash
from jaxrain.training.gradients import Params
from jaxrain.training.meaning import check_meaning, meaning
from jaxrain.training.network import Apply, define_network

# What x0 and the condition are made of; other settings of `data` may differ.
_SAME = (
    "measured_from",
    "variables",
    "levels",
    "rain_scaling",
    "rain_scale_mm",
    "standardize",
    "interpolations",
    "static",
    "encodings",
)


class Weights(NamedTuple):
    """Weights of a run's network and of those that it works beside, where it does."""

    network: Params
    regression: Params | None = None
    guess: Params | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Companion:
    """Another run, trained.

    Attributes:
      config: its settings.
      apply: its network, apply(weights, x, s).
      weights: averaged over its training.
      step: of the checkpoint that they come from.
      sha256: of the weights.
    """

    config: Config
    apply: Apply
    weights: Params
    step: int
    sha256: str


def load_companion(
    folder: Path, config: Config, manifest: dict[str, Any], remedy: str, step: int | None = None
) -> Companion:
    """Loads the network of another run.

    Args:
      folder: of the other run, which has a config.yaml.
      config: of the run beside which it will work.
      manifest: of the store that that run is trained on, or was.
      remedy: what to do where their data differ, as the end of a sentence.
      step: of its checkpoint; None takes the newest.

    Raises:
      InputError: it is not trained, on other data, or with other settings than its own now.
    """
    own, trained = load_config(folder / "config.yaml"), read_manifest(folder)
    differs = [name for name in _SAME if getattr(own.data, name) != getattr(config.data, name)]
    differs += [name for name in ("channels", "statistics") if trained[name] != manifest[name]]
    if differs:
        raise InputError(
            f"{folder} was trained on other data than this run ({differs[0]} differs): {remedy}"
        )
    channels = len(trained["channels"])
    init, apply = define_network(own.model, own.data, channels, own.train.precision)
    weights, found = load_parameters(folder, jax.eval_shape(init, 0), step=step)
    check_meaning(folder, found, meaning(own.model, own.diffusion, own.data))
    return Companion(own, apply, weights, found, parameters_hash(weights))
