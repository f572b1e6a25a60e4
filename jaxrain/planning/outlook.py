"""From a config and a machine to numbers: what one device holds and does, and how it scales."""

import math
from dataclasses import dataclass, replace

from jaxrain.config import Config, config_text
from jaxrain.diffusion.operations import forward_operations
from jaxrain.errors import InputError
from jaxrain.pairs.surroundings import condition_channels
from jaxrain.planning.machines import MACHINES, Machine, measure_cpu, shared_by
from jaxrain.planning.program import Program, ask_compiler
from jaxrain.planning.roofline import Step, step_time
from jaxrain.training.settings import MeshConfig
from jaxrain.weather.variables import channel_names

_VIRTUAL = 8  # CPU devices that the step is compiled for at most; beyond, arithmetic goes on
_MOST_VIRTUAL = 64  # where the mesh asks for more
_COUNTS = (1, 2, 4, 8, 16, 64, 256, 1024)
_PASSES = 3  # the backward pass has two products for each of the forward one's


@dataclass(frozen=True)
class Row:
    """A training on so many devices, each with as many patches as on any other number.

    Attributes:
      devices: that share a batch.
      batch: patches a step.
      step: its time.
      efficiency: of a device, against one alone that nothing waits for.
    """

    devices: int
    batch: int
    step: Step
    efficiency: float

    @property
    def patches_per_second(self) -> float:
        """Of all devices together."""
        return self.batch / self.step.seconds


@dataclass(frozen=True)
class Outlook:
    """All numbers of a plan.

    Attributes:
      machine: each device; where virtual ones share a CPU, the whole of it.
      channels: that the network gets, with the noisy target.
      operations: nominal, of one device's part of a step.
      compiled_for: virtual CPU devices that the program was compiled for.
      per_device: patches a step; less than 1 where devices share patches.
      program: what the compiler said.
      rows: by ascending number of devices.
      asked: the row of as many devices as were asked for.
    """

    machine: Machine
    channels: int
    operations: float
    compiled_for: int
    per_device: float
    program: Program
    rows: tuple[Row, ...]
    asked: Row


def look_ahead(config: Config, device: str, devices: int, share: float, overlap: float) -> Outlook:
    """Compiles the step of a config and reckons its time.

    Args:
      config: resolved.
      device: a name of `jaxrain.planning.machines`.
      devices: that share the batch. A batch that they cannot share is taken larger.
      share: of the peak that is reached, 0..1.
      overlap: share of the communication that is hidden, 0..1.

    Raises:
      InputError: more virtual CPU devices than are compiled for, or the compiler failed.
    """
    if device == "cpu" and devices > _VIRTUAL:
        raise InputError(
            f"--devices {devices} --device cpu: expected 1 to {_VIRTUAL} virtual devices of one "
            "machine; give --device h800 for more"
        )
    fsdp, space = _inner_axes(config.train.mesh, devices)
    parts = config.train.accumulate
    per_group = -(-config.train.batch_size * space // (devices * parts)) * parts
    compiled_for = max(min(devices, _VIRTUAL) // (fsdp * space), 1) * fsdp * space
    program = ask_compiler(
        config_text(_with_mesh(config, fsdp, space)),
        compiled_for,
        per_group * compiled_for // space,
    )
    predictors = len(channel_names(config.data.variables, config.data.levels))
    channels = condition_channels(config.data, predictors) + 1
    members = 2 if config.diffusion.objective == "crps" else 1
    nominal = _PASSES * forward_operations(
        config.model, in_channels=channels, image_size=config.data.patch, batch=members * per_group
    )
    machine = measure_cpu() if device == "cpu" else MACHINES[device]
    steps = {}
    for count in sorted({1, devices, *_COUNTS}):
        if (device == "cpu" and count > _VIRTUAL) or count % (fsdp * space):
            continue
        steps[count] = step_time(
            shared_by(machine, count) if device == "cpu" else machine,
            count,
            operations=nominal / space,
            bytes_accessed=program.bytes_accessed,
            # Sharing the weights, they are gathered as well: half as much again.
            gradient_bytes=4 * program.parameters * (1.5 if fsdp > 1 else 1.0),
            precision=config.train.precision,
            share=share,
            overlap=overlap,
        )
    # Against devices that nothing has to wait for.
    rows = [
        Row(
            count,
            count * per_group // space,
            step,
            max(step.compute, step.memory) / step.seconds * _share_left(device, count),
        )
        for count, step in steps.items()
    ]
    return Outlook(
        machine=machine,
        channels=channels,
        operations=nominal / space,
        compiled_for=compiled_for,
        per_device=per_group / space,
        program=program,
        rows=tuple(rows),
        asked=next(row for row in rows if row.devices == devices),
    )


def _share_left(device: str, count: int) -> float:
    """Virtual devices share one processor: each has a part of it."""
    return 1.0 / count if device == "cpu" else 1.0


def _inner_axes(mesh: MeshConfig, devices: int) -> tuple[int, int]:
    """Devices along `fsdp` and `space`, the open axis filled.

    Raises:
      InputError: the axes do not make up the devices.
    """
    sizes = {"data": mesh.data, "fsdp": mesh.fsdp, "space": mesh.space}
    given = math.prod(size for size in sizes.values() if size != -1)
    if devices % given or (-1 not in sizes.values() and given != devices):
        raise InputError(
            f"--devices {devices}: train.mesh has data={mesh.data} x fsdp={mesh.fsdp} x "
            f"space={mesh.space}; let one be -1 and the others divide {devices}"
        )
    fsdp, space = (devices // given if size == -1 else size for size in (mesh.fsdp, mesh.space))
    if fsdp * space > _MOST_VIRTUAL:
        raise InputError(
            f"train.mesh: fsdp={fsdp} x space={space} devices are more than plan compiles for, "
            f"{_MOST_VIRTUAL}; give smaller ones"
        )
    return fsdp, space


def _with_mesh(config: Config, fsdp: int, space: int) -> Config:
    """The config with what is left over along `data`, for any number of devices."""
    mesh = MeshConfig(fsdp=fsdp, space=space)
    return replace(config, train=replace(config.train, mesh=mesh, devices=None))
