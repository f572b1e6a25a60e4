"""What was asked for and would change nothing is refused."""

from collections.abc import Mapping

from jaxrain.downscaler import Downscaler
from jaxrain.errors import InputError

# Settings that members of one step lack.
_OF_A_CHAIN = ("sampler", "steps", "eta", "sigma_max", "epsilon_scale")


def check_heeded(downscaler: Downscaler, asked: Mapping[str, str | None]) -> None:
    """Refuses settings of a chain for a run that draws in one step, and those of another sampler.

    Args:
      downscaler: the run.
      asked: by name what was given for settings of the section `sample`; None for nothing.

    Raises:
      InputError: one of them would change nothing.
    """
    if downscaler.config.diffusion.objective != "denoising":
        for name in _OF_A_CHAIN:
            if (value := asked.get(name)) is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} {value}: {downscaler.run} draws in one step; "
                    "leave it out"
                )
        return
    downscaler.config.sample.check_heeded(
        sigma_max=asked.get("sigma_max") is not None, eta=asked.get("eta") is not None
    )
