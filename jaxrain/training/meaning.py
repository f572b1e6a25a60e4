"""What weights mean: settings that their shapes do not tell, kept in each checkpoint with them.

Scalings, target and order of the predictors are kept by the store's manifest. How noise is drawn
and which steps a chain takes may change afterwards: a network knows any level of noise.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrain.diffusion.settings import DiffusionConfig, UNetConfig
from jaxrain.errors import InputError
from jaxrain.pairs.recipe import DataConfig
from jaxrain.training.saved import read_loader_state

KEY = "trained_with"  # beside the loader's state


def meaning(model: UNetConfig, diffusion: DiffusionConfig, data: DataConfig) -> dict[str, Any]:
    """By name, what a checkpoint keeps of the settings that its weights were trained with."""
    return {
        "model.embedding": model.embedding,
        "model.upsample": model.upsample,
        "model.norm_groups": model.norm_groups,
        "diffusion.prediction": diffusion.prediction,
        "diffusion.objective": diffusion.objective,
        "data.standardize": data.standardize,
        "data.interpolations": list(data.interpolations),
    }


def kept_meaning(run: str | Path, step: int) -> dict[str, Any]:
    """What a checkpoint keeps of it; empty where it is from before it was kept, or was converted.

    Raises:
      InputError: it is no JSON object.
    """
    kept = read_loader_state(run, step).get(KEY, {})
    if not isinstance(kept, dict):
        raise InputError(
            f"{run}: checkpoint {step} is damaged: {KEY} is no JSON object; remove it, an older "
            "one is taken"
        )
    return kept


def check_meaning(run: str | Path, step: int, settings: Mapping[str, Any]) -> None:
    """Refuses weights that the settings take for something else than they are.

    Args:
      run: folder of the run.
      step: of a whole checkpoint.
      settings: of `meaning`.

    Raises:
      InputError: names the first setting that the weights were trained with another value of.
    """
    kept = kept_meaning(run, step)
    for name, now in settings.items():
        if name in kept and kept[name] != now:
            raise InputError(
                f"{run} was trained with {name}={_word(kept[name])}, the settings say "
                f"{_word(now)}: leave {name} as it was, in {Path(run) / 'config.yaml'} too"
            )


def _word(value: Any) -> str:
    """As YAML has it, in a line."""
    return str(value).lower() if isinstance(value, bool) else " ".join(str(value).split())[:80]
