"""The only writer of NetCDF: CF-1.10, compressed, whole or not at all."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from jaxrain import __version__
from jaxrain.errors import InputError
from jaxrain.weather.variables import VARIABLES, cf_attributes
from jaxrain.whole import whole_file

CONVENTIONS = "CF-1.10"

_COORDINATES: dict[str, dict[str, str]] = {
    "time": {"standard_name": "time", "long_name": "valid time, UTC", "axis": "T"},
    "level": {
        "standard_name": "air_pressure",
        "long_name": "pressure level",
        "units": "hPa",
        "positive": "down",
        "axis": "Z",
    },
    "latitude": {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"},
    "longitude": {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"},
    "y": {
        "standard_name": "projection_y_coordinate",
        "long_name": "northward distance on the projection",
        "units": "km",
        "axis": "Y",
    },
    "x": {
        "standard_name": "projection_x_coordinate",
        "long_name": "eastward distance on the projection",
        "units": "km",
        "axis": "X",
    },
    "member": {"standard_name": "realization", "long_name": "ensemble member", "units": "1"},
}
_AXES = {"latitude": "Y", "longitude": "X"}
_RAIN = {
    "precipitation": "precipitation of the hour that ends at the time",
    "coarse_precipitation": "coarse precipitation of the hour, interpolated to the fine grid",
}
_TIME_ENCODING = {
    "units": "minutes since 1970-01-01 00:00:00",
    "calendar": "standard",
    "dtype": "int32",
    "_FillValue": None,
}
_HISTORY = f"written by jaxrain {__version__}"
_CHUNK_POINTS = 1 << 22  # a whole field up to 2048 x 2048


def write_netcdf(
    content: xr.Dataset | Mapping[str, xr.Dataset],
    path: str | Path,
    *,
    overwrite: bool = False,
    attributes: Mapping[str, str | int | float] | None = None,
) -> Path:
    """Writes a Dataset, or one NetCDF4 group per case, and renames the file when it is whole.

    Known coordinates and variables get CF's attributes where they have none. Variables with
    `cell_methods` 'time: sum' are hourly sums: their time gets bounds, the hour that ends at it.

    Args:
      content: a Dataset, or Datasets by the name of their group.
      path: the file; its folder is made.
      overwrite: whether it may exist.
      attributes: global ones, written at the root.

    Returns:
      The path.

    Raises:
      InputError: the file exists and may not be replaced.
      OSError: the system refuses, with errno ENOSPC where the disk is full. Nothing is left.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists; choose another name, or replace it with --overwrite")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        try:
            _write(content, partial, dict(attributes or {}))
        except (OSError, RuntimeError) as error:
            # HDF5 says 'HDF error' whatever the system said; ask it while the disk is as full.
            full = _refused(partial)
            if full is not None:
                raise OSError(full, os.strerror(full), str(path)) from error
            raise
    return path


def _write(
    content: xr.Dataset | Mapping[str, xr.Dataset], path: Path, attributes: dict[str, object]
) -> None:
    # No date in the history: the same content is the same file.
    root = {"Conventions": CONVENTIONS, "title": "hourly weather fields", "history": _HISTORY}
    if isinstance(content, xr.Dataset):
        dataset = with_conventions(content)
        dataset = dataset.assign_attrs({**root, **dataset.attrs, **attributes})
        dataset.to_netcdf(path, engine="netcdf4", encoding=_encoding(dataset))
        return
    xr.Dataset(attrs={**root, **attributes}).to_netcdf(path, engine="netcdf4")
    for name, case in content.items():
        dataset = with_conventions(case)
        dataset.to_netcdf(path, mode="a", group=name, engine="netcdf4", encoding=_encoding(dataset))


def _refused(beside: Path) -> int | None:
    """The errno with which the file system refuses one more MiB, or None where it takes it."""
    probe = beside.with_name(f"{beside.name}.probe")
    try:
        with probe.open("wb") as file:
            file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
    finally:
        probe.unlink(missing_ok=True)
    return None


def with_conventions(dataset: xr.Dataset) -> xr.Dataset:
    """CF's attributes on known coordinates and variables, bounds on the time of hourly sums.

    Members come first: CF wants dimensions of its own kind to the left of time (section 2.4).
    """
    dataset = dataset.transpose("member", ..., missing_dims="ignore")  # a copy, attributes too
    # Straight at the variables: assigning each anew aligns all indexes each time.
    for name, known in _COORDINATES.items():
        if name in dataset.coords:
            axis = {"axis": _AXES[name]} if name in _AXES and name in dataset.dims else {}
            attributes = dataset.variables[name].attrs
            attributes.update({**known, **axis, **attributes})
    for variable in dataset.data_vars:
        attributes = dataset.variables[variable].attrs
        attributes.update({**_known(str(variable)), **attributes})
    sums = any("time: sum" in each.attrs.get("cell_methods", "") for each in dataset.values())
    if sums and "time" in dataset.dims and "time_bnds" not in dataset.variables:
        end = dataset["time"].values.astype("datetime64[ns]")
        bounds = np.stack([end - np.timedelta64(1, "h"), end], axis=1)
        dataset = dataset.assign_coords(time_bnds=(("time", "bnds"), bounds))
        dataset["time"] = dataset["time"].assign_attrs(bounds="time_bnds")
    return dataset


def _known(name: str) -> dict[str, str]:
    if name in VARIABLES:
        return cf_attributes(name)
    if name in _RAIN:
        return {**cf_attributes("rain"), "long_name": _RAIN[name]}
    return {}


def _encoding(dataset: xr.Dataset) -> dict[str, dict[str, object]]:
    encoding: dict[str, dict[str, object]] = {}
    for name, variable in dataset.variables.items():
        if np.issubdtype(variable.dtype, np.datetime64):
            encoding[str(name)] = dict(_TIME_ENCODING)
        elif name in dataset.coords:
            encoding[str(name)] = {"_FillValue": None, **_packed(variable, variable.dtype)}
        elif np.issubdtype(variable.dtype, np.floating):
            encoding[str(name)] = {
                "dtype": "float32",
                "_FillValue": np.float32(netCDF4.default_fillvals["f4"]),
                **_packed(variable, np.dtype("float32")),
            }
        else:
            encoding[str(name)] = _packed(variable, variable.dtype)
    return encoding


def _packed(variable: xr.Variable, dtype: np.dtype) -> dict[str, object]:
    if variable.ndim < 2 or dtype.kind not in "fiu":
        return {}
    field = variable.shape[-2:]
    shrink = max(1, int(np.ceil(np.sqrt(np.prod(field) / _CHUNK_POINTS))))
    chunks = (*[1] * (variable.ndim - 2), *[max(1, -(-size // shrink)) for size in field])
    return {"zlib": True, "complevel": 4, "shuffle": True, "chunksizes": chunks}
