"""How devices share the drawing of an ensemble: fields first, and where they are few, tiles."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

FIELDS = "data"  # devices along it draw fields of their own, and need nothing of one another
TILES = "space"  # devices along it share the tiles of a field, and exchange them at each step


def sampling_mesh(fields: int) -> Mesh | None:
    """Lays out this host's devices for so many fields; None where there is one device."""
    devices = jax.local_devices()
    if len(devices) == 1:
        return None
    abreast = max(n for n in range(1, len(devices) + 1) if len(devices) % n == 0 and n <= fields)
    grid = np.array(devices).reshape(abreast, -1)
    return Mesh(grid, (FIELDS, TILES), axis_types=(AxisType.Auto,) * 2)


def on_each(tree: Any, mesh: Mesh | None) -> Any:
    """A copy of every array of a tree on each device of the mesh; at no cost where it is there."""
    return tree if mesh is None else jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
