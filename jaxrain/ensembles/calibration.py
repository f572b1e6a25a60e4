"""What the validation hours taught after training: how much to spread, and which amounts to give.

Both are functions of one point of one member: x0 moves away from, or towards, a centre that all
members of an hour share, then rain goes through a rising map with 0 to 0. So any one member can
still be made alone, and tiles join as before. The centre is the network's own mean of what can be,
E[x0 | predictors], from noise that belongs to no member: its estimate where the chain begins, or
the mean of some draws of a network, or of a first guess, that draws in one step.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrain.ensembles.settings import SampleConfig
from jaxrain.errors import InputError
from jaxrain.pairs.scaling import Scaling, decode_target
from jaxrain.whole import whole_file

FILE = "calibration.json"

# What of `sample` shapes the members that a calibration is fitted to.
SETTINGS = (
    *("sampler", "steps", "eta", "sigma_min", "sigma_max", "noise_scale", "epsilon_scale"),
    "turn",
)


class Drawn(NamedTuple):
    """Members in the network's units, each [n, H, W].

    Attributes:
      x0: end of the chain.
      centre: what all members of the hour share; None where it was not asked for.
      coarse_mm: interpolated coarse rain, mm, 0 where missing.
      known: whether all coarse cells that contribute are there.
    """

    x0: jax.Array
    centre: jax.Array | None
    coarse_mm: jax.Array
    known: jax.Array


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Fitted to the validation hours of one checkpoint; RUN/calibration.json.

    Attributes:
      checkpoint: sha256 of the weights that it belongs to.
      settings: of `sample`, by name, that it was fitted with.
      inflation: factor on the distance of x0 from the centre.
      source_mm: amounts, rising from 0, [Q].
      target_mm: what they become, never falling, [Q].
      report: scores before and after, for people.
    """

    checkpoint: str
    settings: dict[str, Any]
    inflation: float
    source_mm: tuple[float, ...]
    target_mm: tuple[float, ...]
    report: dict[str, Any]

    def save(self, run: Path) -> None:
        """Writes RUN/calibration.json beside and renames."""
        with whole_file(run / FILE) as partial:
            partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def differs(self, config: SampleConfig, first_guess: str | None = None) -> str | None:
        """The first setting that it was not fitted with, as `name=THEN, now it is NOW`."""
        # What a setting that is younger than the calibration was then.
        before = settings_of(SampleConfig(), None)
        for name, here in settings_of(config, first_guess).items():
            if (fitted := self.settings.get(name, before[name])) != here:
                return f"{name}={fitted}, now it is {here}"
        return None

    def sha256(self) -> str:
        """Of what it does to rain."""
        beyond = "the last correction in mm"
        content = json.dumps([self.inflation, self.source_mm, self.target_mm, beyond])
        return hashlib.sha256(content.encode()).hexdigest()

    def told(self) -> str:
        """For a file's attributes: what was done to the members."""
        return (
            f"distance from the centre times {self.inflation:.4g}, then amounts by "
            f"{len(self.source_mm)} quantiles; fitted to {self.report['windows']} windows of the "
            f"validation hours; sha256 {self.sha256()}"
        )

    def attributes(self) -> dict[str, str]:
        """For a file: what was done to the members, and the scores before and after, as JSON."""
        return {
            "jaxrain_calibration": self.told(),
            "jaxrain_calibration_scores": json.dumps(self.report),
        }


def settings_of(config: SampleConfig, first_guess: str | None) -> dict[str, Any]:
    """The settings of `sample` that a calibration belongs to, and the first guess's sha256."""
    return {name: getattr(config, name) for name in SETTINGS} | {"first_guess": first_guess}


def load_calibration(run: Path, checkpoint: str) -> Calibration | None:
    """Reads RUN/calibration.json; None where there is none.

    Raises:
      InputError: it was fitted to other weights than the run has now, or cannot be read.
    """
    path = run / FILE
    if not path.is_file():
        return None
    remedy = f"run `python -m jaxrain.tune {run} --calibrate` again, or set sample.calibrate=false"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for name in ("source_mm", "target_mm"):
            content[name] = tuple(float(each) for each in content[name])
        found = Calibration(**content)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no calibration ({error}): {remedy}") from None
    if found.checkpoint != checkpoint:
        raise InputError(f"{path} was fitted to another checkpoint than {run} has now: {remedy}")
    return found


def rain_of(
    drawn: Drawn,
    scaling: Scaling,
    inflation: float = 1.0,
    quantiles_mm: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    dry_below_mm: float = 0.0,
) -> jax.Array:
    """Members' rain in mm, [n, H, W], never negative; NaN where a coarse cell is missing.

    Args:
      drawn: with its centre, if inflation is not 1.
      scaling: of the store.
      inflation: factor on the distance from the centre, in the space that the network learned.
      quantiles_mm: rain -> rain as rising amounts and what they become; None leaves it.
      dry_below_mm: less than this becomes 0, at last.
    """
    x0 = drawn.x0
    if drawn.centre is not None and inflation != 1.0:
        x0 = drawn.centre + inflation * (x0 - drawn.centre)
    rain = decode_target(scaling, x0, drawn.coarse_mm)
    if quantiles_mm is not None:
        rain = map_quantiles(rain, *(np.asarray(each, np.float32) for each in quantiles_mm))
    if dry_below_mm > 0:
        rain = jnp.where(rain < dry_below_mm, 0.0, rain)
    return jnp.where(drawn.known, rain, jnp.nan)


def map_quantiles(rain_mm: jax.Array, source_mm: np.ndarray, target_mm: np.ndarray) -> jax.Array:
    """Rain of any shape through a rising map; beyond its last amount the correction in mm stays."""
    inside = jnp.interp(rain_mm, source_mm, target_mm)
    return inside + jnp.maximum(rain_mm - source_mm[-1], 0)
