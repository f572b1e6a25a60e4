"""Where in a chain members get their contrasts."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.ensembles.canvas import make_canvas
from jaxrain.ensembles.chain import make_chain, make_downscale
from jaxrain.ensembles.chain_guess_test import ends
from jaxrain.ensembles.chain_test import (
    FINE,
    MINUTES,
    PROCESS,
    SCALING,
    canvas,
    coarse_fields,
    smooth,
)
from jaxrain.ensembles.member_contrast import sharpened
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.grids.grid import Grid
from jaxrain.pairs.scaling import decode_target, encode_target


def test_what_is_dry_stays_exactly_dry_whatever_the_contrast():
    scaling = replace(SCALING, target_std=0.37)  # by which nothing is divided exactly
    downscale = make_downscale(smooth, scaling, PROCESS, SampleConfig(steps=4, batch=4))
    named = (jnp.float32(8), canvas(), coarse_fields(2), [0, 1], [MINUTES] * 2)
    plain, found = (
        np.asarray(downscale(*named, powers=powers))
        for powers in (None, np.array([0.3, 5.0], np.float32))
    )
    assert 0.1 < (plain == 0).mean() < 0.9
    np.testing.assert_array_equal(found == 0, plain == 0)
    assert np.abs(found - plain).max() > 1


def sharper(x0, where, coarse, powers):
    """x0 of each member's rain once it has its contrast, [n, H, W]."""
    height, width = FINE.shape
    coarse_mm = where.weights_y[0, :height] @ coarse[:, 1] @ where.weights_x[0, :width].T
    assert where.cell == (5, 5)
    rain = decode_target(SCALING, jnp.asarray(x0), coarse_mm)
    rain = sharpened(rain, jnp.ones(rain.shape, bool), jnp.asarray(powers), (5, 5))
    return np.where(rain > 0, encode_target(SCALING, rain, coarse_mm), x0)


def test_a_chain_from_pure_noise_ends_with_its_members_contrasts():
    coarse, powers = coarse_fields(3), np.array([0.5, 1.0, 4.0], np.float32)
    finish = {"finish": lambda drawn: drawn.x0, "centred": False}
    config = SampleConfig(sampler="dpmpp_2m", steps=4, batch=4)
    chain = make_chain(smooth, SCALING, PROCESS, config, **finish)
    members = (jnp.float32(1), canvas(), coarse, [0, 1, 2], [MINUTES] * 3)
    plain, found = (np.asarray(chain(*members, powers=each)) for each in (None, powers))
    expected = sharper(plain, canvas(), coarse, powers)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert abs(found - plain)[[0, 2]].max((1, 2)).min() > 0.05
    (alone,) = chain(*members[:2], coarse[2:], [2], [MINUTES], powers=powers[2:])
    np.testing.assert_allclose(alone, found[2], atol=1e-5)


@pytest.mark.parametrize("regress", [None, lambda _, condition: condition[..., :1]])
def test_a_guess_has_its_members_contrast_before_the_chain_goes_on(regress):
    powers = np.array([4.0, 0.25], np.float32)
    plain, found = (
        ends(lambda _, condition, noise: jnp.full_like(noise, 0.3), regress=regress, powers=each)
        for each in (None, powers)
    )
    begun = np.full((2, *FINE.shape), 0.3)
    change = sharper(begun, canvas(), coarse_fields(1).repeat(2, 0), powers) - begun
    # Where the noise does not carry both to what x0 is at most.
    free = abs(change) < 0.5
    assert free.mean() > 0.9
    np.testing.assert_allclose((found - plain)[free], change[free], atol=1e-3)
    assert (change[free] > 0.1).any()


def test_oblong_cells_and_missing_ones_are_seen_as_they_are():
    oblong = Grid(y=np.arange(-2.0, 70, 5), x=np.arange(-1.0, 80, 3), projected=True)
    where = make_canvas(
        FINE, oblong, interpolations=["bilinear"], origin=(0, 0), tile=96, overlap=8
    )
    assert where.cell == (5, 3)
    rng, shape = np.random.default_rng(0), (3, 1, *oblong.shape)
    coarse = np.concatenate([np.full(shape, 250.0), rng.gamma(0.3, 4.0, shape)], 1)
    coarse[:, :, 6, 9] = np.nan
    powers = np.array([0.5, 2.0, 4.0], np.float32)
    config = SampleConfig(sampler="dpmpp_2m", steps=2, batch=4)
    finish = {"finish": lambda drawn: (drawn.x0, drawn.coarse_mm, drawn.known), "centred": False}
    chain = make_chain(smooth, SCALING, PROCESS, config, **finish)
    # Three fields in a batch of four.
    named = (jnp.float32(1), where, coarse.astype(np.float32), [0, 1, 2], [MINUTES] * 3)
    x0, coarse_mm, known = chain(*named)
    found, _, _ = chain(*named, powers=powers)
    assert 0.01 < 1 - known.mean() < 0.2
    rain = sharpened(decode_target(SCALING, x0, coarse_mm), known, jnp.asarray(powers), (5, 3))
    expected = np.where(rain > 0, encode_target(SCALING, rain, coarse_mm), x0)
    np.testing.assert_allclose(found[known], expected[known], atol=1e-4)
