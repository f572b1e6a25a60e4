"""`python -m parity_tests.report CHECKPOINT`: a checkpoint through both, layer by layer.

CHECKPOINT is anything that `jaxrain.convert` reads: a run, a .pth of either dialect, .safetensors.
The exit status is 1 where the tolerance is missed; the first layer where they part is named.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from jaxrain import convert
from jaxrain.command import run_command
from jaxrain.config import load_config
from jaxrain.diffusion.resample import depth_to_space, space_to_depth
from jaxrain.diffusion.unet import Stage, UNet, UNetConfig
from jaxrain.errors import InputError
from jaxrain.training.dialects import Dialect, to_torch
from jaxrain.training.exchange import read_run
from model.unet import UNet as TorchUNet
from model.unet import UNetConfig as TorchUNetConfig
from parity_tests.frameworks import channels_first, channels_last, pin_numerics, relative_error
from parity_tests.tolerances import limit

Trace = list[tuple[str, np.ndarray]]  # name of a layer, what comes out of it [B, C, H, W]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="parity_tests.report", description=__doc__)
    parser.add_argument("checkpoint", help="a run folder, .pth or .safetensors")
    parser.add_argument("--config", help="YAML with what tensors cannot tell")
    parser.add_argument("--input", help=".npy [B, C, H, W] (default: standard normal)")
    parser.add_argument("--size", type=int, default=None, help="edge of the random input [pixels]")
    parser.add_argument("--seed", type=int, default=0, help="of the random input")
    return run_command(_report, parser, argv)


def _report(arguments: argparse.Namespace) -> int:
    pin_numerics()
    with _as_run(arguments) as run:
        config, params = load_config(run / "config.yaml"), read_run(run).params
    channels = params["downs"][0]["kernel"].shape[2] // config.model.patchify**2
    x = _input(arguments, channels, config.data.patch, config.model.divisor)
    s = np.linspace(0.1, 0.9, len(x))[:, None]
    status = 0
    for name, wide in (("float64", np.float64), ("float32", np.float32)):
        theirs = torch_trace(config.model, params, config.data.patch, x.astype(wide), s)
        ours = jax_trace(config.model, params, config.data.patch, x.astype(wide), s)
        row = "forward_float32_gpu" if jax.default_backend() != "cpu" else "forward_float32"
        allowed = limit("forward_float64" if wide is np.float64 else row)
        status |= _print(name, ours, theirs, allowed)
    return status


@contextlib.contextmanager
def _as_run(arguments: argparse.Namespace) -> Iterator[Path]:
    path = Path(arguments.checkpoint)
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        extra = ["--config", arguments.config] if arguments.config else []
        if convert.main([str(path), str(Path(folder) / "run"), *extra]):
            raise InputError(f"{path} could not be converted; the line above says why")
        yield Path(folder) / "run"


def _input(arguments: argparse.Namespace, channels: int, patch: int, divisor: int) -> np.ndarray:
    if arguments.input:
        x = np.load(arguments.input, allow_pickle=False)
        if x.ndim != 4 or x.shape[1] != channels:
            raise InputError(f"{arguments.input} is {x.shape}, expected [B, {channels}, H, W]")
    else:
        size = patch if arguments.size is None else arguments.size
        x = np.random.default_rng(arguments.seed).normal(size=(1, channels, size, size))
    if x.shape[2] % divisor or x.shape[3] % divisor:
        raise InputError(f"an input of {x.shape[2:]} points; expected multiples of {divisor}")
    return x


def torch_trace(config: UNetConfig, params: Any, patch: int, x: np.ndarray, s: np.ndarray) -> Trace:
    """Every layer's output in the PyTorch reference, in the dtype of x [B, C, H, W]."""
    dialect: Dialect = "sr3" if config.upsample == "nearest" else "climate"
    fields = {name: getattr(config, name) for name in UNetConfig.__dataclass_fields__}
    network = TorchUNet(
        TorchUNetConfig(dialect=dialect, **fields), in_channels=x.shape[1], image_size=patch
    )
    # The type first: loading rounds float64 weights to what the network holds.
    network = network.to(torch.tensor(x).dtype).eval()
    weights = to_torch(jax.tree.map(np.asarray, params), dialect)
    network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    trace: Trace = []

    def keep(name: str) -> Any:
        return lambda _module, _inputs, output: trace.append((name, output.numpy()))

    for part in ("downs", "mid", "ups"):
        for i, layer in enumerate(getattr(network, part)):
            layer.register_forward_hook(keep(f"{part}.{i}"))
    with torch.no_grad():
        output = network(torch.tensor(x), torch.tensor(s.astype(x.dtype)))
    return [*trace, ("output", output.numpy())]


def jax_trace(config: UNetConfig, params: Any, patch: int, x: np.ndarray, s: np.ndarray) -> Trace:
    """The same in flax. Its last entry is the network's own call, not the walk through layers."""

    def build() -> UNet:
        return UNet(
            config,
            in_channels=x.shape[1],
            image_size=patch,
            param_dtype=x.dtype,
            rngs=nnx.Rngs(0),
        )

    graph, _ = nnx.split(nnx.eval_shape(build))
    weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, x.dtype), params)

    def walk(weights: Any, x: jax.Array, s: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        network = nnx.merge(graph, weights)
        embedding = network.noise_embedding(s)
        h = space_to_depth(x, config.patchify)
        skips: list[jax.Array] = []
        kept: dict[str, jax.Array] = {}
        for part in ("downs", "mid", "ups"):
            for i, layer in enumerate(getattr(network, part)):
                if part == "ups" and isinstance(layer, Stage):
                    h = jnp.concatenate([h, skips.pop()], -1)
                h = layer(h, embedding, None) if isinstance(layer, Stage) else layer(h)
                if part == "downs":
                    skips.append(h)
                kept[f"{part}.{i}"] = h
        end = depth_to_space(network.final_conv(h), config.patchify)
        return {**kept, "output": network(x, s)}, end

    layers, end = jax.jit(walk)(weights, channels_last(x), s.astype(x.dtype))
    np.testing.assert_allclose(end, layers["output"], rtol=1e-4, atol=1e-5)
    names = [f"{part}.{i}" for part in ("downs", "mid", "ups") for i in _indices(layers, part)]
    return [(name, channels_first(np.asarray(layers[name]))) for name in [*names, "output"]]


def _indices(layers: dict[str, jax.Array], part: str) -> range:
    return range(sum(name.startswith(f"{part}.") for name in layers))


def _print(name: str, ours: Trace, theirs: Trace, allowed: float) -> int:
    """Prints a table and the verdict; returns 1 where the output misses `allowed`."""
    print(f"\n{name}: layer, shape, largest difference relative to the layer's largest value")
    first = None
    for (layer, one), (other_layer, other) in zip(ours, theirs, strict=True):
        assert layer == other_layer, (layer, other_layer)
        error = relative_error(one, other)
        print(f"  {layer:<10} {'x'.join(map(str, one.shape)):<18} {error:.2g}")
        if first is None and not error <= allowed:
            first = layer
    good = relative_error(ours[-1][1], theirs[-1][1]) <= allowed
    where = "" if first is None else f"; they part first at {first}"
    print(f"{name}: {'the same' if good else 'DIFFERENT'} within {allowed:g}{where}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
