"""Which devices share what: the mesh, and where the arrays of a training lie on it.

The axes, from the outermost: `data` and `fsdp` share the examples of a batch, `fsdp` the weights
and the optimizer's state too (Rajbhandari et al. 2020, arXiv:1910.02054), and `space` the rows of
each patch; XLA exchanges what convolutions see of their neighbours' rows.
"""

import hashlib
import math
import os
import platform
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxrain.errors import InputError
from jaxrain.pages.document import counted
from jaxrain.training.settings import MeshConfig

DATA, FSDP, SPACE = "data", "fsdp", "space"
EXAMPLES = (DATA, FSDP)  # the axes over which the examples of a batch are spread

# Where the rows of a patch lie in the arrays of a loader's batch; the others have none.
_ROWS = {"fine": 1, "weights_y": 2, "maps": 1}
_SMALL = 4096  # values; cutting biases and norms would cost more in messages than it saves


def create_mesh(devices: int | None = None, sizes: MeshConfig | None = None) -> Mesh:
    """Lays out devices along `data`, `fsdp` and `space`.

    Args:
      devices: how many of JAX's devices; None takes all, of every host.
      sizes: of the axes; None puts all along `data`.

    Raises:
      InputError: there are fewer devices, or the sizes don't multiply to their number.
    """
    present, sizes = jax.devices(), sizes or MeshConfig()
    count = len(present) if devices is None else devices
    if count > len(present):
        raise InputError(
            f"train.devices={count}, but JAX sees {len(present)} {present[0].platform} devices; "
            "give at most as many, or leave it out"
        )
    if devices is not None and jax.process_count() > 1 and count < len(present):
        raise InputError(
            f"train.devices={count} would leave hosts idle: leave it out, or start fewer hosts"
        )
    # In the order of the hosts, so that each holds one stretch of the batch's rows. Auto: XLA's
    # partitioner finds where every value in the step lies from where its inputs lie.
    return Mesh(
        np.array(present[:count]).reshape(mesh_shape(count, sizes)),
        (DATA, FSDP, SPACE),
        axis_types=(AxisType.Auto,) * 3,
    )


def mesh_shape(count: int, sizes: MeshConfig) -> tuple[int, ...]:
    """Devices along `data`, `fsdp` and `space`, of `count` in all.

    Raises:
      InputError: the sizes don't multiply to their number.
    """
    shape = (sizes.data, sizes.fsdp, sizes.space)
    given = math.prod(size for size in shape if size != -1)
    if count % given or (-1 not in shape and given != count):
        raise InputError(
            f"train.mesh: data={sizes.data} x fsdp={sizes.fsdp} x space={sizes.space} does not "
            f"make up the {count} devices there are; let one be -1 and the others divide {count}"
        )
    return tuple(count // given if size == -1 else size for size in shape)


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on each device."""
    return NamedSharding(mesh, PartitionSpec())


def spread(mesh: Mesh, name: str = "") -> NamedSharding:
    """An array of a loader's batch: its examples over `data` and `fsdp`, its rows over `space`."""
    rows = _ROWS.get(name)
    further = () if rows is None else (*[None] * (rows - 1), SPACE)
    return NamedSharding(mesh, PartitionSpec(EXAMPLES, *further))


def sharded(leaf: Any, mesh: Mesh) -> NamedSharding:
    """An array of the state: its longest axis that `fsdp` divides is cut, small ones are whole."""
    pieces = mesh.shape[FSDP]
    dividing = [axis for axis, length in enumerate(leaf.shape) if length % pieces == 0]
    if pieces == 1 or leaf.size < _SMALL or not dividing:
        return replicated(mesh)
    longest = max(dividing, key=lambda axis: leaf.shape[axis])
    return NamedSharding(mesh, PartitionSpec(*[None] * longest, FSDP))


def check_batch(batch_size: int, accumulate: int, patch: int, mesh: Mesh) -> None:
    """Refuses what the devices cannot share equally.

    Args:
      batch_size: of all devices together.
      accumulate: parts that each device's share is cut into.
      patch: rows of a patch, as the network's first level sees them.
      mesh: the devices.

    Raises:
      InputError: names the nearest sizes that they can share.
    """
    devices = mesh.shape[DATA] * mesh.shape[FSDP]
    count = devices * accumulate
    if batch_size % count:
        below = batch_size // count * count
        sizes = f"{below} or {below + count}" if below else str(count)
        sharers = counted(devices, "device")
        if accumulate > 1:
            sharers += f" in {accumulate} parts (train.accumulate)"
        raise InputError(
            f"train.batch_size={batch_size} cannot be shared by {sharers}; "
            f"make it {sizes}, or set train.devices"
        )
    bands = mesh.shape[SPACE]
    if patch % bands:
        raise InputError(
            f"train.mesh.space={bands} cannot share patches of {patch} rows: "
            "give a number that divides them"
        )


def share_of_host(mesh: Mesh) -> tuple[int, int]:
    """Which share of each batch's examples this host's devices hold.

    Returns:
      (index of the share, number of shares); hosts that share patches have the same.

    Raises:
      InputError: a host's devices hold shares of several sizes.
    """
    groups = mesh.shape[DATA] * mesh.shape[FSDP]
    first, count = _groups_here(mesh)
    if first % count or groups % count:
        raise InputError(
            f"train.mesh.space={mesh.shape[SPACE]}: a host with {jax.local_device_count()} devices "
            "would hold parts of several patches; give a divisor or a multiple of that number"
        )
    return first // count, groups // count


def _groups_here(mesh: Mesh) -> tuple[int, int]:
    """Devices that share a patch are a group: the first on this host, and how many there are."""
    groups = mesh.shape[DATA] * mesh.shape[FSDP]
    places = spread(mesh).addressable_devices_indices_map((groups,)).values()
    indices = [place[0].indices(groups)[0] for place in places if place is not None]
    return min(indices), len(set(indices))


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Numpy arrays of this host's share, [b, ...] -> global ones, [B, ...], on the mesh."""
    groups = mesh.shape[DATA] * mesh.shape[FSDP]
    first_group, groups_here = _groups_here(mesh)

    def put(name: str, here: np.ndarray) -> jax.Array:
        place = spread(mesh, name)
        if place.is_fully_addressable:
            return jax.device_put(here, place)
        each = len(here) // groups_here
        size, first = groups * each, first_group * each

        def cut(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None  # it is for random keys alone
            start, stop, _ = index[0].indices(size)
            return here[(slice(start - first, stop - first), *index[1:])]

        return jax.make_array_from_callback((size, *here.shape[1:]), place, cut)

    return {name: put(name, values) for name, values in batch.items()}


def put_state(state: Any, mesh: Mesh) -> Any:
    """Lays every array of a tree where `sharded` says; all hosts give the same."""

    def put(leaf: Any) -> jax.Array:
        place = sharded(leaf, mesh)
        if place.is_fully_addressable:
            return jax.device_put(leaf, place)
        here = np.asarray(leaf)
        return jax.make_array_from_callback(here.shape, place, lambda index: here[index])

    return jax.tree.map(put, state)


def run_key(seed: int, mesh: Mesh) -> jax.Array:
    """The random key of a run, on each device."""
    return jax.jit(jax.random.key, out_shardings=replicated(mesh))(seed)


def whole_here(tree: Any, mesh: Mesh) -> Any:
    """Every array of a tree, whole, on this host's first device; all hosts must join in."""
    if not all(leaf.is_fully_replicated for leaf in jax.tree.leaves(tree)):
        tree = jax.jit(lambda tree: tree, out_shardings=replicated(mesh))(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


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
