"""From a config's globs to canonical CF-NetCDF files, one per input file."""

import fnmatch
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import netCDF4
import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.pairs.recipe import DataConfig
from jaxrain.weather.cf import write_netcdf
from jaxrain.weather.era5 import read_coarse
from jaxrain.weather.fine_files import read_fine_file
from jaxrain.weather.guard import guarded
from jaxrain.weather.netcdf import open_netcdf
from jaxrain.weather.npy_files import EXTREMES, read_coarse_npy, read_fine_npy, scaling_files

Role = Literal["fine", "coarse"]
ReadHour = Callable[[Path, str, int], np.ndarray]

_OPEN_FILES = 16


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


def make_canonical(source: Source, config: DataConfig) -> bool:
    """Writes a file's canonical CF-NetCDF, unless it is there already.

    Returns:
      Whether it was written now.

    Raises:
      InputError: as `read_source`.
    """
    if is_canonical(source, config):
        return False
    write_canonical(read_source(source, config), source, config)
    return True


def is_canonical(source: Source, config: DataConfig) -> bool:
    """Whether a file's canonical CF-NetCDF is there, made as the config says."""
    # Files are renamed when whole, so one that is there is whole; was it made the same way?
    if not source.canonical.exists():
        return False
    with open_netcdf(source.canonical) as dataset:
        return dataset.attrs.get("jaxrain_recipe") == _recipe(source, config)


def write_canonical(dataset: xr.Dataset, source: Source, config: DataConfig) -> None:
    """Writes what `read_source` read, and how it was read."""
    source.canonical.parent.mkdir(parents=True, exist_ok=True)
    attributes = {"jaxrain_recipe": _recipe(source, config), "source_file": source.name}
    write_netcdf(dataset, source.canonical, overwrite=True, attributes=attributes)


def read_source(source: Source, config: DataConfig) -> xr.Dataset:
    """Reads an input file as the config says.

    Raises:
      InputError: the file can't be read, or lacks what the config asks for.
    """
    if source.role == "fine":
        offset = config.fine_utc_offset_hours
        if _is_npy(source.path):
            return read_fine_npy(
                source.path, config.npy, region=config.region, utc_offset_hours=offset
            )
        return guarded(
            read_fine_file,
            source.path,
            variable=config.fine_variable,
            region=config.region,
            utc_offset_hours=offset,
        )
    if _is_npy(source.path):
        return read_coarse_npy(
            source.path,
            config.npy,
            variables=config.variables,
            levels=config.levels,
            region=config.region,
        )
    return guarded(
        read_coarse,
        source.path,
        variables=config.variables,
        levels=config.levels,
        region=config.region,
        interpolate_levels=config.interpolate_levels,
        derive_humidity=config.derive_humidity,
        partial=True,
    )


@contextmanager
def canonical_reader() -> Iterator[ReadHour]:
    """Reads hours of canonical files, a few of which stay open: neighbouring hours share them.

    Yields:
      A function (file, variable, index of the hour) -> [H, W] or [L, h, w], NaN where missing;
      it reads no other hour.
    """
    opened: dict[Path, netCDF4.Dataset] = {}

    def read(path: Path, variable: str, index: int) -> np.ndarray:
        if path not in opened:
            if len(opened) == _OPEN_FILES:
                opened.pop(next(iter(opened))).close()
            opened[path] = netCDF4.Dataset(path)
            opened[path].set_auto_maskandscale(False)
        array = opened[path][variable]
        values = array[index]
        return np.where(values == array.get_fill_value(), np.float32(np.nan), values)

    try:
        yield read
    finally:
        for file in opened.values():
            file.close()


def _recipe(source: Source, config: DataConfig) -> str:
    reading = reading_of(config, source.role)
    if _is_npy(source.path):
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


def _is_npy(path: Path) -> bool:
    return path.suffix == ".npy"


def _hash(path: Path, config: DataConfig, role: Role) -> str:
    arrays = config.npy.fine if role == "fine" else config.npy.coarse
    parts = [path, *(scaling_files(path, arrays) if _is_npy(path) else [])]
    hashes = []
    for part in parts:
        with part.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
