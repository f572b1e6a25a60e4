"""What was asked for and would change nothing is refused."""

from collections.abc import Mapping

from jaxrain.downscaler import Downscaler
from jaxrain.errors import InputError

# Settings that members of one step lack.
_OF_A_CHAIN = ("sampler", "steps", "eta", "sigma_max", "epsilon_scale")

# Of a regression: what would change nothing, the value that says so, and why.
_OF_MEMBERS = {
    "members": ("1", "gives one field an hour"),
    "first_member": ("0", "has one field an hour, number 0"),
    "noise_correlation": ("0", "draws no noise"),
    "contrast": ("1", "has no members that could differ"),
}


def check_heeded(downscaler: Downscaler, asked: Mapping[str, str | None]) -> None:
    """Refuses what a regression, a run that draws in one step or another sampler does not know.

    Args:
      downscaler: the run.
      asked: by name what was given for settings of the section `sample`; None for nothing.

    Raises:
      InputError: one of them would change nothing.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    for name, (nothing, why) in _OF_MEMBERS.items() if downscaler.deterministic else ():
        if name in given and not _equal(given[name], nothing):
            raise InputError(
                f"{_option(name)} {given[name]}: {downscaler.run} is a regression, which {why}; "
                "leave it out"
            )
    if downscaler.config.diffusion.objective != "denoising":
        for name in _OF_A_CHAIN:
            if name in given:
                raise InputError(
                    f"{_option(name)} {given[name]}: {downscaler.run} draws in one step; leave it "
                    "out"
                )
        return
    downscaler.config.sample.check_heeded(sigma_max="sigma_max" in given, eta="eta" in given)


def _equal(text: str, number: str) -> bool:
    try:
        return float(text) == float(number)
    except ValueError:
        return False


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
