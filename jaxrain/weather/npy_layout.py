"""What a config says of .npy folders: bare arrays know neither their grid nor what they hold."""

import re
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from jaxrain.errors import InputError
from jaxrain.weather.variables import VARIABLES, canonical_name, on_levels, spell_units

_STRICT = ConfigDict(extra="forbid")
_CHANNEL = re.compile(r"([A-Za-z_]+?)_?(\d+)?")
IGNORED = "-"
EXTREMES = ("min_values.npy", "max_values.npy")
_CODES = {"%Y": r"(?P<year>\d{4})", "%m": r"(?P<month>\d{2})", "%d": r"(?P<day>\d{2})"}
_CODES |= {"%H": r"(?P<hour>\d{2})", "%M": r"(?P<minute>\d{2})", "*": ".*"}
_PIECE = re.compile(r"(%.|\*)")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Axis:
    """One axis of a regular grid; two of step, last and size say the third.

    Attributes:
      first: of the first row or column, degrees.
      step: from one to the next, degrees; negative from north to south.
      last: of the last row or column, degrees.
      size: how many there are.
    """

    first: float
    step: float | None = None
    last: float | None = None
    size: int | None = Field(default=None, ge=2, le=100_000)

    @model_validator(mode="after")
    def _whole(self) -> "Axis":
        if [self.step, self.last, self.size].count(None) > 1:
            raise ValueError("expected two of step, last and size beside first")
        if self.step == 0 or self.last == self.first:
            raise ValueError(f"step {self.step} and last {self.last}: expected a length")
        if self.step is not None and self.last is not None:
            cells = (self.last - self.first) / self.step
            if not 1 <= cells < 100_000 or abs(cells - round(cells)) > 0.01:
                raise ValueError(
                    f"{self.first} to {self.last} is {cells:g} steps of {self.step}, expected a "
                    "whole number below 100000"
                )
            if self.size not in (None, round(cells) + 1):
                raise ValueError(
                    f"{self.first} to {self.last} in steps of {self.step} are {round(cells) + 1} "
                    f"points, size says {self.size}"
                )
        return self

    @property
    def values(self) -> np.ndarray:
        """Degrees, float64, shape [size]."""
        size, last = self.size, self.last
        if self.step is not None:  # the validator made sure of two of the three
            size = size or round(((last or 0.0) - self.first) / self.step) + 1
            last = self.first + (size - 1) * self.step if last is None else last
        return np.linspace(self.first, last or 0.0, size or 0)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Scaled:
    """Arrays that were scaled by the `min_values.npy` and `max_values.npy` of their folder.

    The scaling that is undone: (x - min) / (max - min + epsilon), and for those in `signed`
    twice that minus 1.

    Attributes:
      signed: channels that were scaled to [-1, 1], the others to [0, 1].
      epsilon: what was added to the denominator; 1e-6 in the source's published code.
    """

    signed: list[str] = Field(default_factory=list)
    epsilon: float = Field(default=1e-6, ge=0)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Arrays:
    """One folder's arrays, an hour each: [C, H, W], or [H, W] of a single channel.

    Attributes:
      latitude: of the rows; None takes the fine grid's, for predictors that were interpolated.
      longitude: of the columns, likewise.
      channels: what the C channels hold, in their order: `u850` or `u_850`, `tp`; `rain` for fine
        rain; `-` for one that is passed over.
      units: of a variable where they aren't its canonical ones, as `tp: m`.
      scaled: how to undo the scaling; None where the arrays hold what `units` says.
      names: pattern of the files' names with the end of the hour in it, of `*`, `%Y`, `%m`, `%d`,
        `%H` and `%M`; None takes CMPA's names.
      utc_offset_hours: how far the names' times run ahead of UTC. Of predictors alone: for fine
        rain say data.fine_utc_offset_hours.
    """

    latitude: Axis | None = None
    longitude: Axis | None = None
    channels: list[str] = Field(min_length=1)
    units: dict[str, str] = Field(default_factory=dict)
    scaled: Scaled | None = None
    names: str | None = None
    utc_offset_hours: float = Field(default=0.0, ge=-14, le=14)

    @field_validator("names")
    @classmethod
    def _dated(cls, value: str | None) -> str | None:
        if value is not None:
            pieces = _PIECE.findall(value)
            codes = [piece for piece in pieces if piece != "*"]
            if set(codes) - {"%M"} != {"%Y", "%m", "%d", "%H"} or len(set(codes)) != len(codes):
                raise ValueError("expected %Y, %m, %d and %H once each, as in 'era5_%Y%m%d%H.npy'")
        return value

    @model_validator(mode="after")
    def _known(self) -> "Arrays":
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude: expected both or none")
        held = [name for name in self.channels if name != IGNORED]
        if len(set(self.held)) != len(held):
            raise ValueError(f"channels {self.channels} name something twice")
        variables = {name for name, _ in self.held}
        for name, units in self.units.items():
            if name not in variables:
                raise ValueError(f"units of '{name}': no channel holds it")
            if spell_units(units) not in VARIABLES[name].factors:
                raise ValueError(
                    f"units '{units}' of {name}: expected {VARIABLES[name].units} or one of "
                    f"{sorted(VARIABLES[name].factors)}"
                )
        for name in self.scaled.signed if self.scaled else ():
            if name not in held:
                raise ValueError(f"scaled.signed names '{name}', channels are {self.channels}")
        return self

    @property
    def held(self) -> list[tuple[str, int | None]]:
        """Variable and level [hPa] of each channel that isn't passed over."""
        return [channel_of(name) for name in self.channels if name != IGNORED]

    def units_of(self, variable: str) -> str:
        """Units of a variable in the arrays, the scaling undone."""
        return self.units.get(variable, VARIABLES[variable].units)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class NpyFolders:
    """What the .npy files among `data.fine` and `data.coarse` hold.

    Attributes:
      fine: rain; its one channel is `rain`.
      coarse: predictors.
    """

    fine: Arrays | None = None
    coarse: Arrays | None = None

    @model_validator(mode="after")
    def _roles(self) -> "NpyFolders":
        fine, coarse = self.fine, self.coarse
        if fine is not None:
            if [name for name, _ in fine.held] != ["rain"]:
                raise ValueError(f"fine.channels={fine.channels}: expected one of them to be rain")
            if fine.latitude is None:
                raise ValueError("fine: expected latitude and longitude of the arrays")
            if fine.utc_offset_hours:
                raise ValueError("fine.utc_offset_hours: say data.fine_utc_offset_hours instead")
        if coarse is not None:
            if "rain" in {name for name, _ in coarse.held}:
                raise ValueError("coarse.channels names rain: coarse rain is called tp")
            if coarse.latitude is None and fine is None:
                raise ValueError("coarse: expected latitude and longitude, there is no fine grid")
        return self

    def grid(self, role: Literal["fine", "coarse"]) -> tuple[np.ndarray, np.ndarray]:
        """Latitude [H] and longitude [W] of a role's arrays, degrees, in their order."""
        own = self.fine if role == "fine" else self.coarse
        for arrays in (own, self.fine):
            if arrays is not None and arrays.latitude is not None and arrays.longitude is not None:
                return arrays.latitude.values, arrays.longitude.values
        raise ValueError(f"no grid is said of the {role} arrays")


def channel_of(name: str) -> tuple[str, int | None]:
    """'u850' or 'u_850' -> ('u', 850); 'tp' -> ('tp', None).

    Raises:
      ValueError: it is no variable of ours, or lacks its level, or has one too many.
    """
    match = _CHANNEL.fullmatch(name)
    variable = None
    if match is not None:
        variable = "rain" if match[1] == "rain" else canonical_name(match[1])
    if match is None or variable is None:
        known = ", ".join(VARIABLES)
        raise ValueError(f"channel '{name}': expected one of {known}, with its level, as in u850")
    level = None if match[2] is None else int(match[2])
    if on_levels(variable) != (level is not None):
        needs = "a level in hPa, as in" if on_levels(variable) else "no level,"
        raise ValueError(f"channel '{name}': expected {needs} {variable}{'850' * (level is None)}")
    return variable, level


def hour_pattern(names: str) -> re.Pattern[str]:
    """A pattern of names as a regular expression with groups year, month, day, hour, minute."""
    pieces = _PIECE.split(names)
    return re.compile("".join(_CODES.get(piece, re.escape(piece)) for piece in pieces))


def scaling_files(path: Path, arrays: Arrays | None) -> list[Path]:
    """The files beside an hour that its values depend on: minima, maxima.

    Raises:
      InputError: the config says that the arrays are scaled, and one isn't there.
    """
    if arrays is None or arrays.scaled is None:
        return []
    files = [path.with_name(name) for name in EXTREMES]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"{path}: the config says that it is scaled, but {file.name} isn't in its folder; "
                "put it there, or leave out data.npy's 'scaled'"
            )
    return files
