"""From a config's globs to canonical CF-NetCDF files, one per input file."""

import fnmatch
import hashlib
import json
from collections.abc import Callable, Iterator
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
    folder = Path(config.store) / "netcdf"
    sources = []
    for role in roles:
        for path in find_files(config, role):
            sha256 = _hash(path, config, role)
            name = f"{path.name}.{sha256[:8]}.nc"
            size = path.stat().st_size
            sources.append(Source(role, path, path.name, folder / role / name, sha256, size))
    return sources


def make_canonical(source: Source, config: DataConfig) -> bool:
    """Writes a file's canonical CF-NetCDF, unless it is there already.

    Returns:
      Whether it was written now.

    Raises:
      InputError: the file can't be read, or lacks what the config asks for.
    """
    reading = _reading(config, source.role)
    if _is_npy(source.path):
        reading["npy"] = asdict(config.npy)
    recipe = json.dumps({"source_sha256": source.sha256, "reading": reading}, sort_keys=True)
    # Files are renamed when whole, so one that is there is whole; was it made the same way?
    if source.canonical.exists():
        with open_netcdf(source.canonical) as dataset:
            if dataset.attrs.get("jaxrain_recipe") == recipe:
                return False
    dataset = _read(source, config)
    source.canonical.parent.mkdir(parents=True, exist_ok=True)
    attributes = {"jaxrain_recipe": recipe, "source_file": source.name}
    write_netcdf(dataset, source.canonical, overwrite=True, attributes=attributes)
    return True


def _read(source: Source, config: DataConfig) -> xr.Dataset:
    if source.role == "fine":
        offset = config.fine_utc_offset_hours
        if _is_npy(source.path):
            return read_fine_npy(
                source.path, config.npy, region=config.region, utc_offset_hours=offset
            )
        return read_fine_file(
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
    return read_coarse(
        source.path,
        variables=config.variables,
        levels=config.levels,
        region=config.region,
        interpolate_levels=config.interpolate_levels,
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
        return np.ma.filled(opened[path][variable][index], np.nan)

    try:
        yield read
    finally:
        for file in opened.values():
            file.close()


def _reading(config: DataConfig, role: Role) -> dict[str, object]:
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
