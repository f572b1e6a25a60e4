"""How the network's weights start."""

import math
from functools import partial

import jax
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from jaxrain.diffusion.settings import Initialisation

Shape = tuple[int, ...]


def initialise(network: nnx.Module, kind: Initialisation, key: Array) -> None:
    """Draws every kernel of a network anew, in place; biases and scales stay as they are.

    Args:
      network: its kernels are the nnx.Param with two or more axes.
      kind: kaiming is normal with std sqrt(2 / fan_in) (He et al. 2015, arXiv:1502.01852); normal
        has std 0.02; orthogonal is semi-orthogonal as a [fan_in, O] matrix (Saxe et al. 2014,
        arXiv:1312.6120). fan_in is the product of all axes but the last.
      key: jax PRNG key.
    """
    params = [p for _, p in nnx.to_flat_state(nnx.state(network, nnx.Param)) if p.ndim > 1]
    shapes = tuple(p.shape for p in params)
    for param, value in zip(params, _draw(key, shapes, kind, params[0].dtype), strict=True):
        param[...] = value


# One draw for all kernels: compiling a random generator takes long, and there are 30 shapes.
@partial(jax.jit, static_argnums=(1, 2, 3))
def _draw(
    key: Array, shapes: tuple[Shape, ...], kind: Initialisation, dtype: DTypeLike
) -> list[Array]:
    sizes = [math.prod(shape) for shape in shapes]
    numbers = jax.random.normal(key, (sum(sizes),), dtype)
    kernels, start = [], 0
    for shape, size in zip(shapes, sizes, strict=True):
        kernels.append(_scaled(numbers[start : start + size].reshape(shape), kind))
        start += size
    return kernels


def _scaled(normal: Array, kind: Initialisation) -> Array:
    fan_in = math.prod(normal.shape[:-1])
    match kind:
        case "kaiming":
            return math.sqrt(2 / fan_in) * normal
        case "normal":
            return 0.02 * normal
        case "orthogonal":
            matrix = normal.reshape(fan_in, -1)
            wide = fan_in < matrix.shape[1]
            q, r = jax.numpy.linalg.qr(matrix.T if wide else matrix)
            # The signs of r's diagonal make q uniform over orthogonal matrices.
            q = q * jax.numpy.sign(jax.numpy.diagonal(r))
            return (q.T if wide else q).reshape(normal.shape)
