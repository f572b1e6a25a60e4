"""The only writer of Zarr: what `weather.cf` writes as NetCDF, as a folder of chunks.

Format 2 with consolidated metadata, which every reader of Zarr knows.
"""

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.cf import by_group, field_encoding
from jaxrain.whole import whole_folder

_KEPT = ("units", "calendar", "dtype", "_FillValue")


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
    with whole_folder(path) as partial:
        for group, dataset in by_group(content, dict(attributes or {})):
            dataset.to_zarr(
                partial, mode="a", group=group, zarr_format=2, encoding=_encoding(dataset)
            )
    return path


def _encoding(dataset: xr.Dataset) -> dict[str, dict[str, object]]:
    """netCDF4's words in Zarr's; the compression is Zarr's own."""
    return {
        name: {key: known[key] for key in _KEPT if key in known}
        | ({"chunks": known["chunksizes"]} if "chunksizes" in known else {})
        for name, known in field_encoding(dataset).items()
    }
