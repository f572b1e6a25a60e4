"""From a config's globs to input files, their hashes and where their canonical copies lie."""

import fnmatch
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from jaxrain.errors import InputError
from jaxrain.pairs.recipe import DataConfig
from jaxrain.weather.npy_layout import EXTREMES, scaling_files

Role = Literal["fine", "coarse"]


@dataclass(frozen=True)
class Source:
    """An input file and its canonical copy.

    Attributes:
      role: 'fine' or 'coarse'.
      path: the input file.
      name: the input file's name, which selections match.
      canonical: its CF-NetCDF in the store.
      sha256: of the input file; of a scaled .npy file, of it and the extremes of its scaling.
      size: of the input file, bytes.
    """

    role: Role
    path: Path
    name: str
    canonical: Path
    sha256: str
    size: int


def find_files(config: DataConfig, role: Role) -> list[Path]:
    """The files that the globs of a role name, sorted, without the excluded.

    Raises:
      InputError: no folder there, or no file matches.
    """
    root = Path(config.root)
    globs = config.fine if role == "fine" else config.coarse
    if not root.is_dir():
        raise InputError(
            f"data.root={config.root} is no folder: give the folder with the files, as in "
            "data.root=PATH"
        )
    found = {path for glob in globs for path in _glob(root, glob) if path.is_file()}
    # cfgrib and others leave their index files beside the data, pipelines of arrays the extremes
    # that they scaled by.
    found = {path for path in found if path.suffix != ".idx" and not path.name.startswith(".")}
    found = {path for path in found if path.name not in EXTREMES}
    kept = {path for path in found if not _excluded(path, root, config.exclude)}
    if not kept:
        what = f"the {len(found)} that match are all excluded" if found else "no file matches"
        raise InputError(
            f"{root}: {what} data.{role}={json.dumps(globs)}: check data.root and data.{role}"
        )
    return sorted(kept)


def find_sources(config: DataConfig, roles: list[Role]) -> list[Source]:
    """The input files with their hashes; fine ones first, each role in order of its paths.

    Raises:
      InputError: as `find_files`.
    """
    found = [(role, path) for role in roles for path in find_files(config, role)]
    # Hashing lets go of Python's lock: threads do for it, and need no start.
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda each: source_of(each[0], each[1], config), found))


def source_of(role: Role, path: Path, config: DataConfig) -> Source:
    """An input file, hashed."""
    sha256 = _hash(path, config, role)
    name = f"{path.name}.{sha256[:8]}.nc"
    canonical = Path(config.store) / "netcdf" / role / name
    return Source(role, path, path.name, canonical, sha256, path.stat().st_size)


def recipe_of_source(source: Source, config: DataConfig) -> str:
    """How a source's canonical file is made, as text that it keeps."""
    reading = reading_of(config, source.role)
    if is_npy(source.path):
        reading["npy"] = asdict(config.npy)
    return json.dumps({"source_sha256": source.sha256, "reading": reading}, sort_keys=True)


def reading_of(config: DataConfig, role: Role) -> dict[str, object]:
    """What a canonical file depends on beside its input file."""
    region = asdict(config.region) if config.region else None
    if role == "fine":
        return {
            "variable": config.fine_variable,
            "utc_offset_hours": config.fine_utc_offset_hours,
            "region": region,
        }
    return {
        "variables": config.variables,
        "levels": config.levels,
        "interpolate_levels": config.interpolate_levels,
        "derive_humidity": config.derive_humidity,
        "region": region,
    }


def _glob(root: Path, glob: str) -> list[Path]:
    pattern = Path(glob)
    if pattern.is_absolute():
        anchor = Path(pattern.anchor)
        return list(anchor.glob(str(pattern.relative_to(anchor))))
    return list(root.glob(glob))


def _excluded(path: Path, root: Path, globs: list[str]) -> bool:
    names = [path.name]
    if path.is_relative_to(root):
        names.append(path.relative_to(root).as_posix())
    return any(fnmatch.fnmatch(name, glob) for name in names for glob in globs)


def is_npy(path: Path) -> bool:
    """Whether a file is an array without a grid, by its name."""
    return path.suffix == ".npy"


def _hash(path: Path, config: DataConfig, role: Role) -> str:
    arrays = config.npy.fine if role == "fine" else config.npy.coarse
    parts = [path, *(scaling_files(path, arrays) if is_npy(path) else [])]
    hashes = []
    for part in parts:
        with part.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
