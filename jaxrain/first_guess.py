"""A first guess: the rain that another run draws in one step, from which a chain goes on.

The chain begins at the noise sample.sigma_max laid over the guess, instead of pure noise, and so
takes few steps: what is larger than the noise comes from the guess, what is finer from the chain
(truncated diffusion, Zheng et al. 2022, arXiv:2202.09671; SDEdit, Meng et al. 2021,
arXiv:2108.01073). Whatever loss each network learned best by does its part.
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax

from jaxrain.companions import Companion, Weights, load_companion
from jaxrain.config import Config
from jaxrain.diffusion.process import denoiser
from jaxrain.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class FirstGuess:
    """The run that guesses, of the objective crps or regression.

    Attributes:
      run: trained.
    """

    run: Companion

    def guess(self, weights: Weights, condition: jax.Array, noise: jax.Array) -> jax.Array:
        """What it draws from pure noise: x0, [B, H, W, 1], from its condition [B, H, W, C]."""
        network = partial(self.run.apply, weights.guess)
        return denoiser(network, condition, self.run.config.diffusion)(noise, 0.0)


def load_first_guess(config: Config, manifest: dict[str, Any]) -> FirstGuess | None:
    """Loads the run that `sample.first_guess` names; None where it names none.

    Args:
      config: of the run whose chain goes on from it.
      manifest: of the store that that run is trained on, or was.

    Raises:
      InputError: it is no run, one that doesn't draw in one step, or of other data.
    """
    if config.sample.first_guess is None:
        return None
    folder = Path(config.sample.first_guess)
    name = f"sample.first_guess={folder}"
    if not (folder / "config.yaml").is_file():
        raise InputError(f"{name}: no run, it has no config.yaml; name a folder that training made")
    found = load_companion(folder, config, manifest, f"name another run than {name}")
    objective = found.config.diffusion.objective
    if objective == "denoising" or found.config.data.target == "regression":
        raise InputError(
            f"{name} does not draw in one step (diffusion.objective={objective}, "
            f"data.target={found.config.data.target}): expected a run of objective crps or "
            "regression, of one stage"
        )
    if config.sample.turn and not found.config.data.augment:
        raise InputError(
            f"{name} was trained on one side of the weather (data.augment=false): set "
            "sample.turn=false"
        )
    tile, _ = config.sample.tiling(config.data.patch)
    if tile % (divisor := found.config.model.divisor):
        raise InputError(f"{name} takes tiles that are multiples of {divisor}: sample.tile={tile}")
    return FirstGuess(found)
