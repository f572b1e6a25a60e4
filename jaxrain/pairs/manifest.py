"""What a manifest must hold before anything of it is believed, least of all as a path."""

import json
import warnings
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from jaxrain.errors import InputError
from jaxrain.pairs.digests import SEAL, remedy, seal_of
from jaxrain.weather.variables import VARIABLES, split_channel

FORMAT = 1
_MORE = ConfigDict(extra="ignore")  # what only people read


def plain_name(name: str) -> str:
    """The name of a file or folder, which can lead nowhere but into the folder that it is in.

    Raises:
      ValueError: it has a slash, is empty, or stands for another folder.
    """
    if not name or name in (".", "..") or set(name) & {"/", "\\", "\0"} or len(name) > 200:
        raise ValueError(f"'{name[:40]}' is no plain name of a file")
    return name


def _time(text: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a time with a zone
            if not np.isnat(np.datetime64(text, "s")):
                return text
    except (ValueError, OverflowError, Warning):
        pass
    raise ValueError(f"'{text[:40]}' is no time")


def _channel(name: str) -> str:
    if split_channel(name)[0] not in VARIABLES:
        raise ValueError(f"'{name[:40]}' is no predictor of ours")
    return name


_Name = Annotated[str, AfterValidator(plain_name)]
_Float32 = Annotated[float, Field(ge=-1e38, le=1e38, allow_inf_nan=False)]
_Index = Annotated[int, Field(ge=0, strict=True)]


@dataclass(config=_MORE)
class _Range:
    min: FiniteFloat
    max: FiniteFloat


@dataclass(config=_MORE)
class _Target:
    std: Annotated[FiniteFloat, Field(gt=0)]


@dataclass(config=_MORE)
class _Statistics:
    fine_rain: _Range
    target: _Target
    channels: dict[str, _Range]


@dataclass(config=_MORE)
class _Area:
    name: _Name
    projected: bool
    digests: dict[str, str] = field(default_factory=dict)


@dataclass(config=_MORE)
class _Hour:
    area: str
    time: Annotated[str, AfterValidator(_time)]
    split: Literal["train", "validation", "test"]
    sources: list[str]
    day: _Name
    index: _Index
    digests: dict[str, str] = field(default_factory=dict)


@dataclass(config=_MORE)
class _Static:
    name: str
    arrays: dict[str, _Name]
    low: _Float32
    high: _Float32


@dataclass(config=_MORE)
class _Manifest:
    config: dict[str, Any]
    channels: list[Annotated[str, AfterValidator(_channel)]]
    areas: list[_Area]
    hours: list[_Hour]
    statistics: _Statistics
    static: list[_Static] = field(default_factory=list)
    made_from: str = ""


_NEEDED = ("config", "channels", "areas", "hours", "statistics")
_FORM = TypeAdapter(_Manifest)


def parse_manifest(content: bytes, path: Path) -> dict[str, Any]:
    """Reads the text of a manifest.

    Args:
      content: of the file.
      path: of the store or run that it lies in, for messages.

    Raises:
      InputError: no JSON, of another format, or something is missing, of a wrong kind, names what
        isn't there, or leads out of the folder.
    """
    try:
        manifest = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}/manifest.json is no JSON ({error}): remove {path}") from None
    if not isinstance(manifest, dict):
        raise _damaged(path, f"expected an object, got a {type(manifest).__name__}")
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"{path} is a store of format {str(manifest.get('format'))[:40]}, this version reads "
            f"{FORMAT}: remove it and run prepare again"
        )
    for key in _NEEDED:
        if key not in manifest:
            raise _damaged(path, f"{key} is missing")
    try:
        _FORM.validate_python(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        raise _damaged(path, f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
    except UnicodeEncodeError:  # JSON can spell halves of characters
        raise _damaged(path, "it holds text that is no Unicode") from None
    _check_references(path, manifest)
    if SEAL in manifest and manifest[SEAL] != seal_of(manifest):
        raise _damaged(path, "it says something else than was written")
    return manifest


def _check_references(path: Path, manifest: dict[str, Any]) -> None:
    names = [area["name"] for area in manifest["areas"]]
    channels = manifest["channels"]
    for what, values in (("areas", names), ("channels", channels)):
        if len(set(values)) != len(values):
            raise _damaged(path, f"{what} names something twice")
    for hour in manifest["hours"]:
        if hour["area"] not in names:
            raise _damaged(path, f"hours: there is no area '{hour['area'][:40]}'")
    for channel in channels:
        if channel not in manifest["statistics"]["channels"]:
            raise _damaged(path, f"statistics.channels: {channel} is missing")
    for static in manifest.get("static", []):
        for name in names:
            if name not in static["arrays"]:
                raise _damaged(path, f"static: {static['name'][:40]} is missing for {name}")


def _damaged(path: Path, what: str) -> InputError:
    one_line = " ".join(what.split())
    return InputError(
        f"{path}/manifest.json is damaged: {one_line}; {remedy(path / 'manifest.json')}"
    )
