"""The only writer of NetCDF: CF-1.10, compressed, whole or not at all."""

import errno
import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

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
    "regression_precipitation": "precipitation of the hour that a regression network expects",
}
_TIME_UNITS = {"units": "minutes since 1970-01-01", "calendar": "standard"}
# No date in the history: the same content is the same file.
ROOT = {
    "Conventions": CONVENTIONS,
    "title": "hourly weather fields",
    "history": f"written by jaxrain {__version__}",
}
# A chunk is a whole field up to 2048 x 2048, or as many small ones as have so many points together.
_CHUNK_POINTS, _SMALL_POINTS = 1 << 22, 1 << 15
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FILL = np.float32(netCDF4.default_fillvals["f4"])


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
      OSError: the system refuses, with errno ENOSPC where the disk is full, EDQUOT where the quota
        is, EFBIG where the file is larger than a limit allows. Nothing is left.
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
    with netCDF4.Dataset(path, "w") as file:
        if isinstance(content, xr.Dataset):
            _fill(file, content.assign_attrs({**ROOT, **content.attrs, **attributes}))
            return
        file.setncatts({**ROOT, **attributes})
        for name, case in content.items():
            _fill(file.createGroup(name), case)


def _fill(group: netCDF4.Dataset, content: xr.Dataset) -> None:
    """Writes a Dataset; by netCDF4 itself, for xarray takes three times as long on small files."""
    dataset = with_conventions(content)
    bounds = time_bounds(dataset)
    variables = {**dataset.variables, **bounds}
    coordinates = {*dataset.coords, *bounds}
    if bounds:
        variables["time"].attrs["bounds"] = "time_bnds"
        group.createDimension("bnds", 2)
    for dimension, size in dataset.sizes.items():
        group.createDimension(str(dimension), size)
    named, others = _free_coordinates(variables, coordinates - {*dataset.dims})
    group.setncatts({**dataset.attrs, **({"coordinates": " ".join(others)} if others else {})})
    for name, variable in variables.items():
        attributes = dict(variable.attrs)
        if name not in coordinates and name in named:
            attributes["coordinates"] = " ".join(named[name])
        if variable.dtype.kind == "M" and name not in bounds:
            attributes.update(_TIME_UNITS)
        values, fill = _written(variable, is_field=name not in coordinates)
        native = np.dtype(values.dtype).newbyteorder("=")
        packing = {} if name in bounds else _packing(str(name), values.shape, values.dtype)
        axes = tuple(map(str, variable.dims))
        target = group.createVariable(
            str(name), native, axes, fill_value=fill, endian="native", **packing
        )
        target.setncatts(attributes)
        target.set_auto_maskandscale(False)
        # Lazy fields are made one at a time; asking whether a variable is lazy takes xarray long.
        lead = variable.shape[:-2] if variable.ndim > 2 and variable.chunks is not None else ()
        for index in np.ndindex(lead):
            part = np.asarray(values[index] if lead else values)
            target[index or ...] = part if fill is None else np.where(np.isnan(part), fill, part)


def _free_coordinates(
    variables: Mapping[Hashable, xr.Variable], free: set[Hashable]
) -> tuple[dict[Hashable, list[str]], list[str]]:
    """Which coordinates without an axis of their own each field has, and those that none has.

    CF says the first at the field (section 5); by the second, at the group, xarray knows them.
    """
    names = sorted(map(str, free))
    named = {
        field: those
        for field, variable in variables.items()
        if field not in free
        and (those := [name for name in names if {*variables[name].dims} <= {*variable.dims}])
    }
    seen = {name for those in named.values() for name in those}
    return named, [name for name in names if name not in seen]


def _written(variable: xr.Variable, *, is_field: bool) -> tuple[Any, np.float32 | None]:
    """A variable's values as they are written, lazy where they are; what stands for NaN."""
    values = variable.data
    if variable.dtype.kind == "M":
        minutes = values.astype("datetime64[m]")
        if np.any(minutes != values):
            raise ValueError("times are written in whole minutes")
        return minutes.astype(np.int64).astype(np.int32), None
    if is_field and variable.dtype.kind == "f":
        return values.astype(np.float32, copy=False), _FILL
    return values, None


def _refused(half: Path) -> int | None:
    """The errno with which the system refuses one more MiB of a file, or None where it takes it.

    What did not fit was cut at the limit, so a file that was stopped there takes nothing more.
    """
    try:
        with half.open("ab") as file:
            file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno if error.errno in _FULL else None
    return None


def with_conventions(dataset: xr.Dataset) -> xr.Dataset:
    """CF's attributes on known coordinates and variables.

    Members come first: CF wants dimensions of its own kind to the left of time (section 2.4).
    """
    if "member" in dataset.dims:
        dataset = dataset.transpose("member", ...)
    dataset = dataset.copy()  # attributes too
    # Straight at the variables: assigning each anew aligns all indexes each time.
    for name, known in _COORDINATES.items():
        if name in dataset.coords:
            axis = {"axis": _AXES[name]} if name in _AXES and name in dataset.dims else {}
            attributes = dataset.variables[name].attrs
            attributes.update({**known, **axis, **attributes})
    for variable in dataset.data_vars:
        attributes = dataset.variables[variable].attrs
        attributes.update({**_known(str(variable)), **attributes})
    return dataset


def time_bounds(dataset: xr.Dataset) -> dict[Hashable, xr.Variable]:
    """Bounds of the time of hourly sums: a variable to be written beside the Dataset's."""
    fields = dataset.variables.values()
    sums = any("time: sum" in each.attrs.get("cell_methods", "") for each in fields)
    if not sums or "time" not in dataset.dims or "time_bnds" in dataset.variables:
        return {}
    end = dataset.variables["time"].values.astype("datetime64[ns]")
    hours = np.stack([end - np.timedelta64(1, "h"), end], axis=1)
    return {"time_bnds": xr.Variable(("time", "bnds"), hours)}


def _known(name: str) -> dict[str, str]:
    if name in VARIABLES:
        return cf_attributes(name)
    if name in _RAIN:
        return {**cf_attributes("rain"), "long_name": _RAIN[name]}
    return {}


def _packing(name: str, shape: tuple[int, ...], dtype: np.dtype) -> dict[str, Any]:
    """Compression and chunks of a field, for which reading one hour reads little else."""
    if len(shape) < 2 or dtype.kind not in "fiu":
        return {}
    shrink = max(1, int(np.ceil(np.sqrt(np.prod(shape[-2:]) / _CHUNK_POINTS))))
    chunks = [max(1, -(-size // shrink)) for size in shape[-2:]]
    for size in reversed(shape[:-2]):
        chunks.insert(0, max(1, min(size, _SMALL_POINTS // int(np.prod(chunks)))))
    # Rain in hundredths of a millimetre, half of it zeros, is smaller and quicker unshuffled;
    # harder compression takes twice the time for 3 %.
    return {"zlib": True, "complevel": 1, "shuffle": name != "rain", "chunksizes": chunks}
