import jax.numpy as jnp
import numpy as np

from jaxrain.ensembles.turning import side_of, turned, turned_back
from jaxrain.pairs.symmetries import COUNT
from jaxrain.pairs.symmetries import turned as patch_turned

SIDES = jnp.arange(COUNT)


def tiles():
    return jnp.asarray(np.random.default_rng(1).standard_normal((COUNT, 6, 6, 3)), jnp.float32)


def test_tiles_turn_as_training_patches_did():
    seen = turned(tiles(), SIDES)
    for side, tile in enumerate(np.asarray(tiles())):
        weights = {"weights_y": np.zeros((1, 6, 2)), "weights_x": np.zeros((1, 6, 2))}
        patch = {"maps": tile, "coarse": np.zeros((1, 2, 2)), **weights}
        np.testing.assert_array_equal(seen[side], patch_turned(patch, side)["maps"])


def test_what_is_turned_comes_back():
    np.testing.assert_array_equal(turned_back(turned(tiles(), SIDES), SIDES), tiles())


def test_eight_members_in_a_row_look_from_eight_sides():
    assert sorted(side_of(jnp.arange(5, 5 + COUNT)).tolist()) == list(range(COUNT))
