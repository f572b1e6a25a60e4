"""What the network sees of the weather: tiles of predictors, made when they are asked for."""

from dataclasses import dataclass
from functools import partial

import jax

from jaxrain.pairs.conditioning import condition_fields, with_surroundings
from jaxrain.pairs.scaling import Scaling


@dataclass(frozen=True, eq=False)
class Predictors:
    """Coarse predictors of n fields, and where on the fine grid they belong.

    Attributes:
      scaling: of the store that the network was trained on.
      coarse: in physical units, NaN where missing, [n, C, k, l].
      weights_y: rows of the interpolation matrices, [I, Hp, k].
      weights_x: likewise for columns, [I, Wp, l].
      maps: static fields and position in the network's units, [Hp, Wp, M]; None for none.
      clock: encodings of the time, [n, K]; None for none.
    """

    scaling: Scaling
    coarse: jax.Array
    weights_y: jax.Array
    weights_x: jax.Array
    maps: jax.Array | None
    clock: jax.Array | None

    def tiles(self, item: jax.Array, corner: jax.Array, tile: int) -> jax.Array:
        """The network's condition in squares of edge `tile`.

        Made anew at each step: all predictors on a large domain's fine grid would be most of the
        memory, and a tile's interpolation is little beside its network.

        Args:
          item: which field each is of, [B].
          corner: first row and column of each, [B, 2].
          tile: edge [pixels].

        Returns:
          [B, tile, tile, channels].
        """

        def cut_weights(weights: jax.Array, start: jax.Array) -> jax.Array:
            of_tile = partial(jax.lax.dynamic_slice_in_dim, slice_size=tile, axis=1)
            return jax.vmap(of_tile, in_axes=(None, 0))(weights, start)

        places = (
            cut_weights(self.weights_y, corner[:, 0]),
            cut_weights(self.weights_x, corner[:, 1]),
        )
        maps = None
        if self.maps is not None:
            maps = jax.vmap(partial(_cut, self.maps, tile=tile))(corner)
        return with_surroundings(
            condition_fields(self.scaling, self.coarse[item], *places)[0],
            maps,
            None if self.clock is None else self.clock[item],
        )


def _cut(field: jax.Array, at: jax.Array, *, tile: int) -> jax.Array:
    return jax.lax.dynamic_slice(field, (*at, 0), (tile, tile, field.shape[-1]))
