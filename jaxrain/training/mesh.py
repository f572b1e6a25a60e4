"""Which devices share a batch, and where arrays lie on them."""

import hashlib
import os
import platform
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxrain.errors import InputError

DATA = "data"  # the axis over which the examples of a batch are spread


def create_mesh(devices: int | None = None) -> Mesh:
    """A mesh with one axis, `data`.

    Args:
      devices: how many of JAX's devices; None takes all, of every host.

    Raises:
      InputError: there are fewer.
    """
    present = jax.devices()
    count = len(present) if devices is None else devices
    if count > len(present):
        raise InputError(
            f"train.devices={count}, but JAX sees {len(present)} {present[0].platform} devices; "
            "give at most as many, or leave it out"
        )
    # Auto: XLA's partitioner finds where every value in the step lies from where its inputs lie.
    return jax.make_mesh((count,), (DATA,), (AxisType.Auto,), devices=present[:count])


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on each device."""
    return NamedSharding(mesh, PartitionSpec())


def spread(mesh: Mesh) -> NamedSharding:
    """Axis 0 cut into one piece a device."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Refuses a global batch that the devices cannot share equally.

    Raises:
      InputError: names the nearest sizes that they can.
    """
    count = mesh.shape[DATA]
    if batch_size % count:
        below = batch_size // count * count
        sizes = f"{below} or {below + count}" if below else str(count)
        raise InputError(
            f"train.batch_size={batch_size} cannot be shared by {count} devices; "
            f"make it {sizes}, or set train.devices"
        )


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Numpy arrays of this host, [b, ...] -> global arrays [B, ...] spread over the mesh."""
    place = spread(mesh)
    return {name: jax.make_array_from_process_local_data(place, x) for name, x in batch.items()}


def put_state(state: Any, mesh: Mesh) -> Any:
    """A copy of every array of a tree on each device of the mesh."""
    return jax.device_put(state, replicated(mesh))


def keep_compiled_programs() -> None:
    """Turns on JAX's persistent compilation cache, so that a second start is quick.

    It lies in $JAX_COMPILATION_CACHE_DIR, or below the user's cache folder.
    """
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "jaxrain" / _machine()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def _machine() -> str:
    """Tells processors apart: code compiled for one may not run on another that shares a home."""
    description = platform.platform() + platform.processor()
    cpu = Path("/proc/cpuinfo")
    if cpu.is_file():
        lines = cpu.read_text(errors="replace").splitlines()
        description += "".join(
            sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
        )
    return hashlib.sha256(description.encode()).hexdigest()[:12]
