"""Opening NetCDF files that others made; each fault becomes one line that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.netcdf_classic import check_classic

_SIGNATURES = {
    b"GRIB": "grib",
    b"CDF\x01": "netcdf",
    b"CDF\x02": "netcdf",
    b"CDF\x05": "netcdf",
    b"\x89HDF": "netcdf",
    b"PK\x03\x04": "zip",
    b"\x93NUM": "npy",
    b"\x1f\x8b\x08\x00": "gzip",
    b"\x1f\x8b\x08\x08": "gzip",
}


def file_kind(path: Path) -> str:
    """'grib', 'netcdf' or 'npy', by the first bytes, whatever the name.

    Raises:
      InputError: the file is missing, empty, packed or something else.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: is a folder, expected a file; name the files in it") from error
    if not head:
        raise InputError(f"{path}: is empty, expected GRIB or NetCDF; fetch the file again")
    kind = _SIGNATURES.get(head)
    if kind in ("zip", "gzip"):
        raise InputError(f"{path}: is packed ({kind}), expected GRIB or NetCDF; unpack it first")
    if kind is None:
        raise InputError(
            f"{path}: is not a GRIB or NetCDF file (it starts with {head!r}); check what it is"
        )
    return kind


@contextmanager
def open_netcdf(path: Path) -> Iterator[xr.Dataset]:
    """The file as a decoded Dataset, closed at the end.

    Raises:
      InputError: the file is damaged, or its times and packing make no sense.
    """
    with path.open("rb") as file:
        classic = file.read(3) == b"CDF"
    if classic:
        check_classic(path)
    try:
        dataset = xr.open_dataset(path, engine="netcdf4", decode_timedelta=False)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read as NetCDF: {error}") from error
    with dataset:
        try:
            yield dataset
        except (OSError, RuntimeError) as error:  # data that is damaged shows when it is loaded
            raise InputError(f"{path}: cannot be read as NetCDF: {error}") from error


def whole_minutes(time: np.ndarray) -> np.ndarray:
    """Times to the minute: files that count hours in floats miss it by microseconds."""
    half = np.timedelta64(30, "s")
    return (time.astype("datetime64[ns]") + half).astype("datetime64[m]").astype("datetime64[ns]")
