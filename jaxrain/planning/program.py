"""The compiled train step of a config, looked at and never run.

`python -m jaxrain.planning.program` is a process of its own, because the number of virtual CPU
devices is settled when JAX starts. It reads one JSON object on stdin (config, devices, batch_size)
and answers with one on stdout (see `Program`). No weight is drawn and no array is made: shapes
alone go into the compiler.
"""

import dataclasses
import json
import math
import subprocess
import sys
from typing import Any

from jaxrain.errors import InputError

# Fine points along a coarse cell where no store tells: 0.25 degree over 0.01.
_FINE_PER_COARSE = 25
_MODULE = "jaxrain.planning.program"
# Buffers, operations and collectives are settled before machine code is made, which takes longest.
QUICK = {"xla_backend_optimization_level": 0}


@dataclasses.dataclass(frozen=True)
class Program:
    """What XLA says of one device's part of the train step.

    Attributes:
      parameters: how many numbers the network has.
      parameter_bytes: of the weights.
      optimizer_bytes: of Adam's moments, the averaged weights and the step's number.
      frozen_bytes: of a first stage's weights, which the step reads.
      batch_bytes: of a device's share of the batch.
      working_bytes: taken within the step: gradients, activations, scratch.
      output_bytes: new memory for results that take no input's place.
      convolution_bytes: that Eigen takes beside, on CPUs alone.
      flops: of the step, as XLA counts after its own rewriting.
      bytes_accessed: read and written by the step's kernels.
      collectives: bytes that one device gives into each kind of collective, a step.
      collective_count: how many of each kind there are.
    """

    parameters: int
    parameter_bytes: int
    optimizer_bytes: int
    frozen_bytes: int
    batch_bytes: int
    working_bytes: int
    output_bytes: int
    convolution_bytes: int
    flops: float
    bytes_accessed: float
    collectives: dict[str, int]
    collective_count: dict[str, int]

    @property
    def gradient_bytes(self) -> int:
        """Of the gradients, which lie beside the weights in the same precision."""
        return min(self.parameter_bytes, self.working_bytes)

    @property
    def total_bytes(self) -> int:
        """All that one device holds at the step's height, but for `convolution_bytes`."""
        state = self.parameter_bytes + self.optimizer_bytes + self.frozen_bytes
        return state + self.batch_bytes + self.working_bytes + self.output_bytes


def ask_compiler(config: str, devices: int, batch_size: int) -> Program:
    """Compiles the train step in a process with so many virtual CPU devices.

    Args:
      config: the settings as YAML, as `jaxrain.config.config_text` writes them.
      devices: that share a batch.
      batch_size: patches a step, over all of them.

    Raises:
      InputError: the compiler refused, or ended for want of memory; the last line it said.
    """
    question = {"config": config, "devices": devices, "batch_size": batch_size}
    process = subprocess.run(
        [sys.executable, "-m", _MODULE],
        input=json.dumps(question),
        capture_output=True,
        text=True,
    )
    if process.returncode:
        said = (process.stderr.strip().splitlines() or ["nothing"])[-1]
        raise InputError(
            f"the train step could not be compiled (exit status {process.returncode}): {said}; "
            "give a smaller train.batch_size or fewer --devices"
        )
    return Program(**json.loads(process.stdout.splitlines()[-1]))


def look_at_step(config: Any, devices: int, batch_size: int) -> Program:
    """Compiles the train step for devices of this process.

    Args:
      config: a `jaxrain.config.Config`.
      devices: of JAX's devices, the first so many.
      batch_size: patches a step, over all of them.
    """
    step, arguments, _ = lowered_step(config, devices, batch_size)
    return describe(step.lower(*arguments).compile(QUICK), arguments)


def describe(compiled: Any, arguments: tuple[Any, ...]) -> Program:
    """What the compiler says of a step.

    Args:
      compiled: of `lowered_step`'s step.
      arguments: of `lowered_step`.
    """
    import jax

    from jaxrain.planning.collectives import count_collectives
    from jaxrain.planning.convolutions import largest_patches

    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    state, batch, _, _, *frozen = arguments
    weights = jax.tree.leaves(state.params)
    parameter_bytes, state_bytes = _bytes(state.params), _bytes(state)
    text = compiled.as_text()
    totals, counts = count_collectives(text)
    return Program(
        parameters=sum(leaf.size for leaf in weights),
        parameter_bytes=parameter_bytes,
        optimizer_bytes=state_bytes - parameter_bytes,
        frozen_bytes=_bytes(frozen),
        batch_bytes=_bytes(batch),
        working_bytes=memory.temp_size_in_bytes,
        output_bytes=memory.output_size_in_bytes - memory.alias_size_in_bytes,
        convolution_bytes=largest_patches(text),
        flops=float(cost.get("flops", 0.0)),
        bytes_accessed=float(cost.get("bytes accessed", 0.0)),
        collectives=totals,
        collective_count=counts,
    )


def lowered_step(config: Any, devices: int, batch_size: int) -> tuple[Any, tuple[Any, ...], Any]:
    """The jitted train step of a config, the shapes and places of its arguments, and its mesh."""
    import jax
    import jax.numpy as jnp

    from jaxrain.training.mesh import check_batch, create_mesh, replicated, sharded, spread
    from jaxrain.training.network import define_network, make_draw, make_loss
    from jaxrain.training.state import create_state, make_train_step

    train, patch = config.train, config.data.patch
    mesh = create_mesh(devices, train.mesh)
    check_batch(batch_size, train.accumulate, patch, mesh)
    scaling = unit_scaling(config.data)
    init, apply = define_network(
        config.model, config.data, len(scaling.channels), train.precision, train.rematerialise
    )
    frozen, regression = [], None
    if config.data.target == "regression":  # of the first stage, which the second only asks
        data = dataclasses.replace(config.data, target=config.data.measured_from)
        start, regression = define_network(
            config.model, data, len(scaling.channels), train.precision
        )
        frozen = [jax.eval_shape(start, 0)]
    loss = make_loss(apply, config.diffusion, scaling, regression)
    step = make_train_step(loss, train, mesh, make_draw(config.diffusion))

    def placed(leaf: Any, place: Any) -> Any:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)

    state = jax.eval_shape(lambda: create_state(train, init(0)))
    state = jax.tree.map(lambda leaf: placed(leaf, sharded(leaf, mesh)), state)
    shapes = batch_shapes(config.data, len(scaling.channels), batch_size)
    batch = {name: placed(leaf, spread(mesh, name)) for name, leaf in shapes.items()}
    key = placed(jax.eval_shape(lambda: jax.random.key(0)), replicated(mesh))
    rate = placed(jax.ShapeDtypeStruct((), jnp.float32), replicated(mesh))
    frozen = jax.tree.map(lambda leaf: placed(leaf, sharded(leaf, mesh)), frozen)
    return step, (state, batch, key, rate, *frozen), mesh


def unit_scaling(data: Any) -> Any:
    """A scaling whose numbers are none of the store's: the program does not depend on them."""
    import numpy as np

    from jaxrain.pairs.scaling import Scaling
    from jaxrain.weather.variables import channel_names

    channels = tuple(channel_names(data.variables, data.levels))
    return Scaling(
        channels=channels,
        difference=data.measured_from == "difference",
        bend=data.rain_scaling,
        scale_mm=data.rain_scale_mm,
        rain_min_mm=0.0,
        rain_max_mm=1.0,
        target_std=1.0,
        low=np.zeros(len(channels), np.float32),
        high=np.ones(len(channels), np.float32),
        knots=((0.0, 1.0), (0.0, 1.0)),
    )


def batch_shapes(data: Any, channels: int, batch_size: int) -> dict[str, Any]:
    """Shapes of a batch as the loader makes it, with as many coarse cells as a patch touches."""
    import jax
    import jax.numpy as jnp

    patch, sets = data.patch, len(data.interpolations)
    cells = patch // (data.coarsen or _FINE_PER_COARSE) + 2
    clock = 2 * sum(name in ("hour_of_day", "day_of_year") for name in data.encodings)
    maps = len(data.static) + 2 * len(data.encodings) - clock
    shapes = {
        "fine": (patch, patch),
        "coarse": (channels, cells, cells),
        "weights_y": (sets, patch, cells),
        "weights_x": (sets, patch, cells),
        **({"maps": (patch, patch, maps)} if maps else {}),
        **({"clock": (clock,)} if clock else {}),
    }
    return {
        name: jax.ShapeDtypeStruct((batch_size, *shape), jnp.float32)
        for name, shape in shapes.items()
    }


def _bytes(tree: Any) -> int:
    """What one device holds of arrays that are spread over several."""
    import jax

    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def main() -> None:
    """Answers the question on stdin."""
    question = json.load(sys.stdin)
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", question["devices"])
    import yaml
    from pydantic import TypeAdapter

    from jaxrain.config import Config

    config = TypeAdapter(Config).validate_python(yaml.safe_load(question["config"]))
    program = look_at_step(config, question["devices"], question["batch_size"])
    print(json.dumps(dataclasses.asdict(program)))


if __name__ == "__main__":
    main()
