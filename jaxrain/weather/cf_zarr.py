"""The only writer of Zarr: what `weather.cf` writes as NetCDF, as a folder of chunks.

Format 2 with consolidated metadata, which every reader of Zarr knows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.cf import ROOT, time_bounds, with_conventions
from jaxrain.whole import whole_folder

_TIMES = {
    "units": "minutes since 1970-01-01 00:00:00",
    "calendar": "standard",
    "dtype": "int32",
    "_FillValue": None,
}


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return any((path / name).is_file() for name in (".zgroup", "zarr.json"))


def check_replaceable(path: Path) -> None:
    """Makes sure that no folder of something else is in the way of a store.

    Raises:
      InputError: one is.
    """
    if path.exists() and not is_zarr(path):
        raise InputError(f"{path}: exists and is no Zarr store; choose another name")


def write_zarr(
    content: xr.Dataset | Mapping[str, xr.Dataset],
    path: str | Path,
    *,
    overwrite: bool = False,
    attributes: Mapping[str, str | int | float] | None = None,
) -> Path:
    """Writes a Dataset, or one group per case, and renames the folder when it is whole.

    Args:
      content: a Dataset, or Datasets by the name of their group.
      path: the store; the folder that it lies in is made.
      overwrite: whether it may exist.
      attributes: global ones, written at the root.

    Returns:
      The path.

    Raises:
      InputError: it exists and may not be replaced, or is something else than a Zarr store.
      OSError: the system refuses. Nothing is left.
    """
    path = Path(path)
    check_replaceable(path)
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists; choose another name, or replace it with --overwrite")
    path.parent.mkdir(parents=True, exist_ok=True)
    given = dict(attributes or {})
    with whole_folder(path) as partial:
        if isinstance(content, xr.Dataset):
            _fill(partial, None, content.assign_attrs({**ROOT, **content.attrs, **given}))
        else:
            _fill(partial, None, xr.Dataset(attrs={**ROOT, **given}))
            for name, case in content.items():
                _fill(partial, name, case)
    return path


def _fill(store: Path, group: str | None, content: xr.Dataset) -> None:
    dataset = with_conventions(content)
    if bounds := time_bounds(dataset):
        dataset = dataset.assign_coords(bounds)
        dataset.variables["time"].attrs["bounds"] = "time_bnds"
    encoding = {
        str(name): _encoding(variable, is_field=name not in dataset.coords)
        for name, variable in dataset.variables.items()
    }
    dataset.to_zarr(store, mode="a", group=group, zarr_format=2, encoding=encoding)


def _encoding(variable: xr.Variable, *, is_field: bool) -> dict[str, Any]:
    if variable.dtype.kind == "M":
        return dict(_TIMES)
    if not is_field or variable.dtype.kind != "f":
        return {"_FillValue": None}
    # A chunk is a field, as the members are drawn: each is written once and whole.
    chunks = (*[1] * (variable.ndim - 2), *variable.shape[-2:])
    fill = np.float32(netCDF4.default_fillvals["f4"])
    return {"dtype": "float32", "_FillValue": fill, "chunks": chunks}
