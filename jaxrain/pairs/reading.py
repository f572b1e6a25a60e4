"""Input files to their canonical CF-NetCDF, and hours of it.

Apart from `sources`, for the libraries that read files take seconds to import: the command itself
leaves files to its workers and needs none of them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.sources import Source, is_npy, recipe_of_source
from jaxrain.weather.cf import write_netcdf
from jaxrain.weather.era5 import read_coarse
from jaxrain.weather.fine_files import read_fine_file
from jaxrain.weather.guard import guarded
from jaxrain.weather.netcdf import open_netcdf
from jaxrain.weather.npy_files import read_coarse_npy, read_fine_npy

ReadHour = Callable[[Path, str, int], np.ndarray]

_OPEN_FILES = 16


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
        return dataset.attrs.get("jaxrain_recipe") == recipe_of_source(source, config)


def write_canonical(dataset: xr.Dataset, source: Source, config: DataConfig) -> None:
    """Writes what `read_source` read, and how it was read."""
    source.canonical.parent.mkdir(parents=True, exist_ok=True)
    attributes = {"jaxrain_recipe": recipe_of_source(source, config), "source_file": source.name}
    write_netcdf(dataset, source.canonical, overwrite=True, attributes=attributes)


def read_source(source: Source, config: DataConfig) -> xr.Dataset:
    """Reads an input file as the config says.

    Raises:
      InputError: the file can't be read, or lacks what the config asks for.
    """
    if source.role == "fine":
        offset = config.fine_utc_offset_hours
        if is_npy(source.path):
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
    if is_npy(source.path):
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
