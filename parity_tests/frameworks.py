"""Both packages behind one pair of functions: build from a case, run on numpy arrays.

Numerics are pinned here: no TF32, full precision of products, few threads, 64-bit floats on.
"""

from typing import Any

import jax
import numpy as np
import torch
from flax import nnx
from numpy.typing import ArrayLike

from jaxrain.diffusion.unet import UNet, UNetConfig
from jaxrain.training.dialects import flatten, from_torch
from model.unet import UNet as TorchUNet
from model.unet import UNetConfig as TorchUNetConfig
from parity_tests.cases import Case, fixture


def pin_numerics() -> None:
    """Makes both frameworks compute what they are asked to, in float64 where asked."""
    torch.set_num_threads(1)  # the networks are tiny, and XLA has threads of its own
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")


def torch_network(case: Case, dtype: torch.dtype) -> TorchUNet:
    """The case's network with the fixture's weights, in evaluation mode."""
    network = fresh_torch_network(case)
    load_weights(network, fixture(case, "weights"))
    return network.to(dtype).eval()


def fresh_torch_network(case: Case) -> TorchUNet:
    """The case's network as initialised from torch's global generator, float32."""
    config = TorchUNetConfig(dialect=case.dialect, **case.network)
    return TorchUNet(config, in_channels=case.in_channels, image_size=case.image_size)


def load_weights(network: torch.nn.Module, weights: np.ndarray) -> None:
    """Fills parameters, in order, from one vector that has exactly all of them."""
    sizes = [parameter.numel() for parameter in network.parameters()]
    parts = np.split(weights, np.cumsum(sizes)[:-1])
    assert weights.size == sum(sizes), f"{weights.size} weights for {sum(sizes)} places"
    with torch.no_grad():
        for parameter, part in zip(network.parameters(), parts, strict=True):
            parameter.copy_(torch.from_numpy(part).reshape(parameter.shape))


def torch_state(network: torch.nn.Module) -> dict[str, np.ndarray]:
    """Parameters as numpy, in order of registration."""
    return {name: value.detach().numpy() for name, value in network.named_parameters()}


def jax_network(case: Case, network: TorchUNet, dtype: Any) -> UNet:
    """The same network in flax, with the weights of `network`."""
    graph, shapes = jax_graph(case, dtype)
    params = from_torch(torch_state(network), network.config.dialect)
    cast = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), params)
    ours = {path: np.shape(leaf) for path, leaf in flatten(cast)}
    assert ours == shapes, set(ours.items()) ^ set(shapes.items())
    return nnx.merge(graph, cast)


def jax_graph(case: Case, dtype: Any) -> tuple[Any, dict[Any, Any]]:
    """The flax network's structure, for `nnx.merge`, and the shape of each parameter."""
    config = UNetConfig(upsample=case.upsample, **case.network)  # type: ignore[arg-type]

    def build() -> UNet:
        return UNet(
            config,
            in_channels=case.in_channels,
            image_size=case.image_size,
            param_dtype=dtype,
            rngs=nnx.Rngs(0),
        )

    # Shapes alone: drawing weights that are replaced at once would cost seconds.
    graph, state = nnx.split(nnx.eval_shape(build))
    return graph, {path: leaf.shape for path, leaf in flatten(nnx.to_pure_dict(state))}


def parameters(network: UNet) -> dict[Any, Any]:
    """Nested dict of a flax network's parameters."""
    return nnx.to_pure_dict(nnx.state(network, nnx.Param))


def run_torch(network: TorchUNet, x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """x [B, C, H, W], s [B, 1] -> [B, O, H, W], in the network's dtype."""
    dtype = next(network.parameters()).dtype
    with torch.no_grad():
        return network(torch.tensor(x, dtype=dtype), torch.tensor(s, dtype=dtype)).numpy()


def run_jax(network: UNet, x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The same of a flax network, which has channels last inside."""
    dtype = network.param_dtype
    apply = nnx.jit(lambda network, x, s: network(x, s))
    y = apply(network, channels_last(x).astype(dtype), s.astype(dtype))
    return channels_first(np.asarray(y))


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1)


def channels_first(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, -1, 1)


def relative_error(value: ArrayLike, reference: ArrayLike) -> float:
    """Largest difference over the largest magnitude of the reference."""
    one, other = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    return float(np.max(np.abs(one - other)) / np.max(np.abs(other)))
