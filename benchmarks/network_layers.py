"""Where a train step's time goes: each layer's shape alone, beside what the machine could do.

    python benchmarks/network_layers.py [small | source | configs/demo.yaml] [--repeats 7]

Every distinct convolution and normalisation of the network is compiled alone and timed, and its
median counted as often as the network holds it. A floor is operations over the fastest matrix
product, or bytes that must be read and written over the fastest pass, both measured here. What the
step takes beyond the sum is the rest: skips, biases, noise embedding, attention, the loss, and what
is lost or won between layers. PERFORMANCE.md discusses the table.
"""

import argparse
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params

from jaxrain.config import load_config
from jaxrain.diffusion.convolution import convolve
from jaxrain.diffusion.groupnorm import group_norm
from jaxrain.diffusion.resample import Upsampling, upsample
from jaxrain.diffusion.unet import UNetConfig
from jaxrain.pairs.recipe import DataConfig
from jaxrain.speed.jax_worker import make_step
from jaxrain.speed.networks import NETWORKS, peak_jobs
from jaxrain.training.mesh import create_mesh, keep_compiled_programs
from jaxrain.training.network import define_network
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import create_state, make_train_step

CONVOLUTION = (
    "convolution, forward",
    "convolution, input gradient",
    "convolution, weight gradient",
)
_AS_TRAINED = {"task": "train_step", "precision": "float32", "mode": "jit"}


@dataclass(frozen=True)
class Piece:
    """One kind of work on one shape.

    Attributes:
      kind: what the table sums over.
      shape: what it is done on, in words.
      count: how often a step does it.
      call: does it once.
      floor: seconds that the machine's peaks allow.
    """

    kind: str
    shape: str
    count: int
    call: Callable[[], Any]
    floor: float


def _network(name: str) -> dict[str, Any]:
    """A network of the bench, or the one that a config file describes with 4 predictors."""
    if name in NETWORKS:
        return NETWORKS[name]
    config = load_config(name)
    return {
        "model": asdict(config.model),
        "in_channels": 5,
        "image_size": config.data.patch,
        "batch": config.train.batch_size,
    }


def _median_seconds(call: Callable[[], Any], repeats: int) -> float:
    jax.block_until_ready(call())  # compiles
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _equations(jaxpr: Any) -> Iterator[Any]:
    """All of a program, through its calls; what has a gradient of its own is given whole."""
    for equation in jaxpr.eqns:
        yield equation
        if equation.primitive.name != "custom_vjp_call":
            for inner in jaxprs_in_params(equation.params):
                yield from _equations(inner)


def _layers(job: dict[str, Any]) -> tuple[Counter, Counter]:
    """How often the network holds (input, kernel, stride) and (input, swish)."""
    init, apply = define_network(
        UNetConfig(**job["model"]),
        DataConfig(patch=job["image_size"]),
        channels=job["in_channels"] - 1,
    )
    x = jnp.zeros((job["batch"], *[job["image_size"]] * 2, job["in_channels"]))
    traced = jax.make_jaxpr(apply)(jax.eval_shape(init, 0), x, jnp.zeros((job["batch"], 1)))
    convolutions, norms = Counter[Any](), Counter[Any]()
    for equation in _equations(traced.jaxpr):
        shapes = [value.aval.shape for value in equation.invars]
        if equation.primitive.name == "conv_general_dilated":
            convolutions[*shapes, equation.params["window_strides"][0]] += 1
        elif equation.primitive.name == "custom_vjp_call":
            norms[shapes[0], "logistic" in str(equation.params)] += 1
    return convolutions, norms


def _normal(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def _of_convolution(x: jax.Array, kernel: jax.Array, stride: int) -> list[Callable[[], Any]]:
    """Forward, input gradient and weight gradient, each a call."""

    def forward(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return convolve(x, kernel, stride=stride)

    dy = _normal(*jax.eval_shape(forward, x, kernel).shape)
    to_input = jax.jit(lambda dy, kernel: jax.vjp(lambda x: forward(x, kernel), x)[1](dy))
    to_kernel = jax.jit(lambda x, dy: jax.vjp(lambda kernel: forward(x, kernel), kernel)[1](dy))
    compiled = jax.jit(forward)
    return [lambda: compiled(x, kernel), lambda: to_input(dy, kernel), lambda: to_kernel(x, dy)]


def _there_and_back(function: Callable[..., Any], *inputs: jax.Array) -> Callable[[], Any]:
    """A call that gives a function's value and its gradients for a random cotangent."""
    dy = _normal(*jax.eval_shape(function, *inputs).shape)

    @jax.jit
    def both(dy: jax.Array, *inputs: jax.Array) -> Any:
        y, pull = jax.vjp(function, *inputs)
        return y, pull(dy)

    return lambda: both(dy, *inputs)


def _optimizer(job: dict[str, Any], parameters: Any) -> Callable[[], Any]:
    """A train step whose loss is the weights' squares: gradients for nearly nothing."""
    config, mesh = TrainConfig(devices=1), create_mesh(1)

    def loss(params: Any, batch: Any, key: jax.Array) -> Any:
        return 0.5 * sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(params)), {}

    step = make_train_step(loss, config, mesh)
    state = create_state(config, parameters)

    def call() -> Any:
        nonlocal state
        state, metrics = step(state, {"x0": jnp.zeros(1)}, jax.random.key(0), jnp.float32(0))
        return state, metrics

    return call


def _pieces(job: dict[str, Any], gemm: float, copy: float) -> Iterator[Piece]:
    """All that is timed alone; gemm in operations, copy in bytes a second."""
    model = UNetConfig(**job["model"])
    convolutions, norms = _layers(job)
    for (of_x, of_kernel, stride), count in convolutions.items():
        pixels = of_x[0] * (of_x[1] // stride) * (of_x[2] // stride)
        floor = 2 * pixels * math.prod(of_kernel) / gemm
        calls = _of_convolution(_normal(*of_x), _normal(*of_kernel), stride)
        for kind, call in zip(CONVOLUTION, calls, strict=True):
            yield Piece(kind, f"{of_x} * {of_kernel} / {stride}", count, call, floor)
    for (of_x, swish), count in norms.items():

        def normalise(x: Any, scale: Any, bias: Any, swish: bool = swish) -> Any:
            return group_norm(x, scale, bias, model.norm_groups, swish)

        call = _there_and_back(normalise, _normal(*of_x), _normal(of_x[-1]), _normal(of_x[-1]))
        # Forward reads x and writes y, backward reads x and dy and writes dx.
        floor = 5 * 4 * math.prod(of_x) / copy
        yield Piece("normalisation, there and back", str(of_x), count, call, floor)
    for level, mult in enumerate(model.channel_mults[1:], 1):
        edge = job["image_size"] // model.patchify // 2**level
        x = _normal(job["batch"], edge, edge, model.inner_channel * mult)

        def double(x: Any, method: Upsampling = model.upsample) -> Any:
            return upsample(x, method)

        call = _there_and_back(double, x)
        floor = 2 * 5 * 4 * x.size / copy  # each way the small array and one of four times its size
        yield Piece("upsampling, there and back", str(x.shape), 1, call, floor)
    init, _ = define_network(model, DataConfig(patch=job["image_size"]), job["in_channels"] - 1)
    parameters = init(0)
    size = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    floor = 9 * 4 * size / copy  # reads weight, gradient, moments, average; writes all but gradient
    yield Piece("optimizer and average", f"{size} weights", 1, _optimizer(job, parameters), floor)


def main() -> None:
    """Prints each shape, then the sums by kind beside the whole step."""
    parser = argparse.ArgumentParser(description="Times a train step's layers, each alone.")
    parser.add_argument("network", nargs="?", default="small", help="of the bench, or a config")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    keep_compiled_programs()
    job, repeats = _network(arguments.network), arguments.repeats
    of_gemm, of_copy = peak_jobs()
    of_gemm["size_on_gpu"] = of_gemm["size"]  # whose operations it counts
    gemm = of_gemm["operations"] / _median_seconds(make_step(of_gemm), repeats)
    copy = of_copy["bytes"] / _median_seconds(make_step(of_copy), repeats)
    whole = _median_seconds(make_step({**job, **_AS_TRAINED}), repeats)

    sums: dict[str, tuple[float, float]] = {}
    print(f"matrix product {gemm / 1e9:.0f} GFLOP/s, pass {copy / 1e9:.1f} GB/s\n")
    for piece in _pieces(job, gemm, copy):
        seconds = _median_seconds(piece.call, repeats)
        taken, floor = sums.get(piece.kind, (0.0, 0.0))
        sums[piece.kind] = taken + piece.count * seconds, floor + piece.count * piece.floor
        print(
            f"{piece.kind:30} {piece.shape:40} {piece.count:3} x {1e3 * seconds:8.2f} ms, "
            f"floor {piece.floor / seconds:4.0%}"
        )
    kinds = [sum(column) for column in zip(*sums.values(), strict=True)]
    sums["the rest"] = whole - kinds[0], 0.0
    sums["the whole step"] = whole, kinds[1]
    print("\n| kind | ms | of the step | floor, ms | floor / time |")
    print("| --- | --- | --- | --- | --- |")
    for kind, (taken, floor) in sums.items():
        print(
            f"| {kind} | {1e3 * taken:.0f} | {taken / whole:.0%} | {1e3 * floor:.0f} | "
            f"{floor / taken:.0%} |"
        )


if __name__ == "__main__":
    main()
