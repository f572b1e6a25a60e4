"""The mean loss of a batch over all devices, and its gradient: at once, or in parts."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jaxrain.training.mesh import EXAMPLES, replicated

Params = Any  # nested dict of float32 arrays
Batch = dict[str, jax.Array]
# (params, batch, key, *frozen) -> (loss [], further scalars to log); frozen are weights too, that
# are not trained: arguments, because constants would be copied into the program
LossFn = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]
# (batch, key) -> the batch with all that is drawn at random for its examples
Draw = Callable[[Batch, jax.Array], Batch]
# (params, batch, key, *frozen) -> ((loss, further), gradient)
Gradient = Callable[..., tuple[tuple[jax.Array, dict[str, jax.Array]], Params]]


def make_gradient(
    loss_fn: LossFn, mesh: Mesh, parts: int = 1, draw: Draw | None = None
) -> Gradient:
    """The gradient of a mean loss, summed over devices once whatever the number of parts.

    Args:
      loss_fn: mean loss of a batch, over its known points where it returns their share as `known`.
      mesh: over whose `data` and `fsdp` axes the batch is spread.
      parts: that each device's examples are cut into, one after another through the network.
      draw: noise for a whole batch before it is cut, so that cutting changes no example.

    Returns:
      gradient(params, batch, key, *frozen) -> ((loss, further), grads), of the batch as one whole.
    """
    of_batch = jax.value_and_grad(loss_fn, has_aux=True)
    everywhere = replicated(mesh)

    def at_once(params: Params, batch: Batch, key: jax.Array, *frozen: Params) -> Any:
        # Weights that `fsdp` shares are gathered for the step; else XLA may cut channels.
        gathered = jax.lax.with_sharding_constraint((params, frozen), everywhere)
        return of_batch(gathered[0], batch, key, *gathered[1])

    def in_parts(params: Params, batch: Batch, key: jax.Array, *frozen: Params) -> Any:
        return summed(params, batch if draw is None else draw(batch, key), key, frozen)

    # Each device by itself, because XLA would sum the gradients over devices after each part.
    @partial(
        jax.shard_map,
        mesh=mesh,
        axis_names=set(EXAMPLES),
        in_specs=(PartitionSpec(), PartitionSpec(EXAMPLES), PartitionSpec(), PartitionSpec()),
        out_specs=PartitionSpec(),
        check_vma=False,
    )
    def summed(params: Params, batch: Batch, key: jax.Array, frozen: tuple[Params, ...]) -> Any:
        cut = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), batch)
        first = jax.lax.axis_index(EXAMPLES) * parts

        def part(number: jax.Array, examples: Batch) -> Any:
            own = jax.random.fold_in(key, first + number)
            (loss, further), grads = of_batch(params, examples, own, *frozen)
            # A mean over known points is the mean of the parts' means, weighted by their shares.
            share = further.get("known", jnp.ones_like(loss))
            weighted = jax.tree.map(lambda x: x * share.astype(x.dtype), (loss, grads))
            return weighted, share, further

        def add(sums: Any, at: tuple[jax.Array, Batch]) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, part(*at)), None

        numbered = (jnp.arange(parts), cut)
        shapes = jax.eval_shape(part, *jax.tree.map(lambda x: x[0], numbered))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        sums = jax.lax.psum(jax.lax.scan(add, zeros, numbered)[0], EXAMPLES)
        (loss, grads), shares, further = sums
        count = parts * jax.lax.axis_size(EXAMPLES)
        known = jnp.maximum(shares, jnp.finfo(shares.dtype).tiny)
        loss, grads = jax.tree.map(lambda x: x / known.astype(x.dtype), (loss, grads))
        return (loss, jax.tree.map(lambda x: x / count, further)), grads

    return at_once if parts == 1 else in_parts
