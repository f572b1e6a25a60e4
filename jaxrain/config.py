"""One configuration: the dataclasses that live beside their code, filled from YAML and words.

`load_config` reads a file, lays `section.key=value` words over it and checks names and types;
`save_config` writes the resolved whole, which is what a run folder keeps.
"""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from jaxrain.diffusion.settings import DiffusionConfig, UNetConfig
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.errors import InputError
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.workers import PrepareConfig
from jaxrain.training.settings import TrainConfig

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Section = TypeVar("Section", bound="DataclassInstance")

PACKAGE = Path(__file__).parent
# Installed, the configs lie inside the package; in a checkout, beside it.
CONFIG_FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Config:
    """All settings, one section a room.

    Attributes:
      data: which files make which pairs, and their scaling; `jaxrain.pairs.recipe`.
      prepare: who does the work of `prepare`; `jaxrain.pairs.workers`.
      model: shape of the network; `jaxrain.diffusion.settings`.
      diffusion: the process that is trained and sampled; `jaxrain.diffusion.settings`.
      train: optimisation, checkpoints, validation; `jaxrain.training.settings`.
      sample: how members are drawn; `jaxrain.ensembles.settings`.
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    prepare: PrepareConfig = dataclasses.field(default_factory=PrepareConfig)
    model: UNetConfig = dataclasses.field(default_factory=UNetConfig)
    diffusion: DiffusionConfig = dataclasses.field(default_factory=DiffusionConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    sample: SampleConfig = dataclasses.field(default_factory=SampleConfig)

    @model_validator(mode="after")
    def _sections_agree(self) -> "Config":
        divisor = self.model.divisor
        for name, size in (("data.patch", self.data.patch), ("sample.tile", self.sample.tile)):
            if size is not None and size % divisor:
                raise ValueError(
                    f"{name}={size}: a network of {len(self.model.channel_mults)} levels halves "
                    f"its input again and again, make it a multiple of {divisor}"
                )
        if self.sample.turn and not self.data.augment:
            raise ValueError(
                "sample.turn=true shows the network the weather from eight sides, of which it was "
                "trained on one (data.augment=false): set sample.turn=false"
            )
        if self.sample.first_guess is not None and self.diffusion.objective != "denoising":
            raise ValueError(
                f"sample.first_guess={self.sample.first_guess}: a run of diffusion.objective="
                f"{self.diffusion.objective} has no chain to begin from it; leave it out"
            )
        if self.diffusion.objective == "regression" and self.data.target == "regression":
            raise ValueError(
                "diffusion.objective=regression with data.target=regression: the regression is "
                f"trained by itself; set data.target={self.data.measured_from}, or "
                "diffusion.objective=denoising to train both stages"
            )
        return self


class _TextDates(yaml.SafeLoader):
    """YAML whose dates stay text, because periods are text (`2022-07-01/2022-07-02`).

    It takes no aliases: a page of them can stand for more than any memory holds.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node of the text; refuses an alias."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                None, None, "aliases are not taken, write the value out", event.start_mark
            )
        return super().compose_node(parent, index)


_TextDates.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


# What a text that is no YAML may raise: not UTF-8, and numbers of thousands of digits, are
# ValueErrors; what is nested too deeply is a RecursionError.
_NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)


def load_config(path: str | Path | None, overrides: Sequence[str] = ()) -> Config:
    """Reads, overrides and checks the settings.

    Args:
      path: a YAML file, or the name of one that comes with jaxrain (`demo`,
        `configs/demo.yaml`); None takes the defaults.
      overrides: words `section.key=value`, the value in YAML (`data.levels=[850, 500]`); a later
        word wins.

    Returns:
      The resolved settings.

    Raises:
      InputError: no such file, not YAML, an unknown key (names the nearest), or a value of the
        wrong type or out of range (names its key).
    """
    values: dict[str, Any] = {}
    if path is not None:
        file = find_config(path)
        values = _parse(file.read_bytes(), str(file))
    for word in overrides:
        _override(values, word)
    try:
        return TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        raise InputError(_explain(error)) from None


def find_config(path: str | Path) -> Path:
    """The file that a user means by `path`: as it stands, or by name among those that come with us.

    Raises:
      InputError: there is none; names those that there are.
    """
    path = Path(path)
    if path.is_file():
        return path
    if path.parent in (Path(), Path("configs")):
        for folder in CONFIG_FOLDERS:
            file = folder / path.with_suffix(".yaml").name
            if file.is_file():
                return file
    names = sorted({file.stem for folder in CONFIG_FOLDERS for file in folder.glob("*.yaml")})
    raise InputError(
        f"no config file {path}; give a YAML file or one of the names {', '.join(names) or '-'}"
    )


def config_text(config: Config) -> str:
    """The settings as YAML; `load_config` of it gives the same settings."""
    values = TypeAdapter(Config).dump_python(config, mode="json")
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def values_of_text(text: str) -> dict[str, Any]:
    """What a text that `config_text` once made says, unchecked; of another text nothing."""
    try:
        return _parse(text.encode(errors="replace"), "the settings")
    except InputError:
        return {}


def save_config(config: Config, path: Path) -> None:
    """Writes the resolved settings beside `path` and renames, so no half file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(config_text(config), encoding="utf-8")
    partial.replace(path)


def sample_overrides(given: Mapping[str, str | None], products: str | None) -> list[str]:
    """The words that set what a command was given of the section `sample`.

    Args:
      given: by name; None for nothing.
      products: names between commas, or none; None for nothing.
    """
    words = [override(f"sample.{key}", text) for key, text in given.items() if text is not None]
    if products is not None:
        words.append(f"sample.products=[{'' if products == 'none' else products}]")
    return words


def override(key: str, text: str) -> str:
    """The word that sets a key to a text, also to one that YAML would take for a number."""
    plain = "".join(
        letter
        if letter.isascii() and letter.isprintable() and letter not in '"\\'
        else f"\\U{ord(letter):08x}"
        for letter in text
    )
    return f'{key}="{plain}"'


def replaced(section: Section, **changes: Any) -> Section:
    """A section with other values, checked as when it was read.

    Raises:
      InputError: a value of the wrong type or out of range, or values that do not go together.
    """
    try:
        return dataclasses.replace(section, **changes)
    except ValidationError as error:
        raise InputError(_explain(error)) from None


def first_difference(ours: Any, theirs: Any, ignore: Sequence[str] = ()) -> str | None:
    """Says where two sections first differ, in the order of their fields.

    Args:
      ours: a section, or any value inside one.
      theirs: the same of another configuration.
      ignore: names of fields that may differ.

    Returns:
      `key: OURS here, THEIRS there`, or None where they agree.
    """
    for field in dataclasses.fields(ours):
        if field.name in ignore:
            continue
        mine, other = getattr(ours, field.name), getattr(theirs, field.name)
        if mine != other:
            if dataclasses.is_dataclass(mine) and dataclasses.is_dataclass(other):
                return f"{field.name}.{first_difference(mine, other)}"
            return f"{field.name}: {mine} here, {other} there"
    return None


def _parse(content: bytes, origin: str) -> Any:
    """YAML in UTF-8 -> nested dict; `origin` is what an error calls the text."""
    try:
        values = yaml.load(content.decode("utf-8"), Loader=_TextDates)
    except _NOT_YAML as error:
        raise InputError(f"{origin}: not YAML: {' '.join(str(error).split())[:300]}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(
            f"{origin}: expected sections (data:, model:, train:, ...), got {_shown(values)}"
        )
    return values


def _override(values: dict[str, Any], word: str) -> None:
    """Sets one `section.key=value` inside `values`."""
    name, equals, text = word.partition("=")
    keys = name.strip().split(".")
    if not equals or len(keys) < 2 or not all(keys):
        raise InputError(f"'{word}': expected section.key=value, for instance train.steps=100")
    inside = values
    for key in keys[:-1]:
        following = inside.get(key)
        if following is None:
            following = inside[key] = {}
        if not isinstance(following, dict):
            raise InputError(f"'{word}': {key} holds {following!r}, which has no keys inside")
        inside = following
    try:
        inside[keys[-1]] = yaml.load(text, Loader=_TextDates)
    except _NOT_YAML:
        raise InputError(f"'{word}': the value is not YAML; quote it") from None


def _explain(error: ValidationError) -> str:
    """The first of pydantic's findings, as one line; an unknown key goes before a wrong type."""
    findings = error.errors(include_url=False)
    findings.sort(key=lambda finding: finding["type"] != "unexpected_keyword_argument")
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    # A key or value of a damaged file may break the line.
    return " ".join(_explain_one(first).split()) + more


def _explain_one(finding: ErrorDetails) -> str:
    name = ".".join(map(str, finding["loc"]))
    message = finding["msg"].removeprefix("Value error, ")
    if finding["type"] == "unexpected_keyword_argument":
        return f"unknown key '{name}'; {_nearest(name)}"
    if finding["type"] in ("missing", "value_error"):
        return f"{name}: {message}" if name else message
    return f"{name}={_shown(finding['input'])}: {message[0].lower()}{message[1:]}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."


def _nearest(name: str) -> str:
    """The known key that `name` was probably meant to be, or what its section has."""
    name = ".".join(word for word in name.split(".") if not word.isdigit())
    names = list(_key_names(Config))
    section, _, key = name.rpartition(".")
    # First within the section, where a slip of the finger lands; then the same word elsewhere.
    siblings = [known for known in names if known.rpartition(".")[0] == section]
    close = difflib.get_close_matches(name, siblings, n=1, cutoff=0.7)
    close += [known for known in names if known.rpartition(".")[2] == key]
    if close:
        return f"did you mean '{close[0]}'?"
    if siblings:
        return f"there are {', '.join(known.rpartition('.')[2] for known in siblings)}"
    return f"there are {', '.join(field.name for field in dataclasses.fields(Config))}"


def _key_names(section: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of every key below a dataclass, also inside optional ones."""
    for name, field in section.__pydantic_fields__.items():
        yield prefix + name
        for inner in (field.annotation, *get_args(field.annotation)):
            if dataclasses.is_dataclass(inner):
                yield from _key_names(inner, f"{prefix}{name}.")
