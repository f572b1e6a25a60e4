"""Axes and grid mappings of a store's areas, read and compared with their hashes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrain.arrays import open_array
from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.digests import digest, remedy, text_digest


def grid_digests(kind: str, grid: Grid) -> dict[str, str]:
    """Hashes of what `save_grid` writes of a grid, by the name of its file."""
    arrays = {f"{kind}_y": grid.y, f"{kind}_x": grid.x}
    if kind == "fine" and grid.latitude is not None and grid.longitude is not None:
        arrays |= {"latitude": grid.latitude, "longitude": grid.longitude}
    found = {name: digest(array) for name, array in arrays.items()}
    if kind == "fine" and grid.mapping is not None:
        found["mapping"] = _mapping_digest(grid.mapping)
    return found


def _mapping_digest(mapping: Mapping[str, Any]) -> str:
    return text_digest(json.dumps(dict(mapping), sort_keys=True))


def load_grid(folder: Path, kind: str, about: dict[str, Any]) -> Grid:
    """Reads an area's axes; `kind` is 'fine' or 'coarse'.

    Args:
      folder: of the area.
      kind: whose axes.
      about: what the manifest says of the area.

    Raises:
      InputError: a file is missing, damaged, or holds something else than its hash tells of.
    """
    digests = about.get("digests", {})

    def load(name: str, axes: int = 1) -> np.ndarray:
        path = folder / f"{name}.npy"
        values = np.array(open_array(path, remedy(path)))
        if values.ndim != axes or values.dtype.kind != "f" or not np.isfinite(values).all():
            raise InputError(
                f"{path}: holds {values.dtype} of shape {values.shape}, expected finite degrees or "
                f"km with {axes} axis(es); {remedy(path)}"
            )
        if digests.get(name, found := digest(values)) != found:
            raise InputError(f"{path}: holds other numbers than prepare wrote; {remedy(path)}")
        return values

    known = kind == "fine" and ("latitude" in digests or (folder / "latitude.npy").exists())
    mapping = folder / "mapping.json"
    mapped = "mapping" in digests or mapping.exists()
    return Grid(
        y=load(f"{kind}_y"),
        x=load(f"{kind}_x"),
        projected=about["projected"],
        latitude=load("latitude", axes=2) if known else None,
        longitude=load("longitude", axes=2) if known else None,
        mapping=_load_mapping(mapping, digests.get("mapping")) if mapped else None,
    )


def _load_mapping(path: Path, made: str | None) -> dict[str, Any]:
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; {remedy(path)}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({error}); {remedy(path)}") from None
    if not isinstance(mapping, dict):
        raise InputError(
            f"{path}: expected an object, got {type(mapping).__name__}; {remedy(path)}"
        )
    if made is not None and _mapping_digest(mapping) != made:
        raise InputError(f"{path}: says something else than prepare wrote; {remedy(path)}")
    return mapping
