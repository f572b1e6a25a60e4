"""Do tiles leave a trace? A score for seams, and contrasts in which it must find some.

The network is exact and knows its tile alone: the posterior mean of a Gaussian field with
exponential covariance, of which nothing but the tile is seen. Beyond the tile's rim it sees zeros,
as convolutions do, so it finds the mean too low there. What it says of a pixel thus depends on
where in the tile it lies, and tiles disagree wherever they meet.
"""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.process import DiffusionConfig
from jaxrain.ensembles import fusion
from jaxrain.ensembles.canvas import make_canvas
from jaxrain.ensembles.chain import make_downscale
from jaxrain.ensembles.chain_test import SCALING
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.grids.grid import Grid
from jaxrain.grids.tiling import Lattice, blend_weights

TILE, OVERLAP = 64, 16  # a quarter, which is the default
STRIDE = TILE - OVERLAP
SIDE = 5 * STRIDE + TILE
LATTICE = Lattice((SIDE, SIDE), TILE, OVERLAP)
RIM = 8  # pixels at the domain's own rim that are not looked at; what is left is 6 strides wide
PROCESS = DiffusionConfig(prediction="x0", steps=100)
MEMBERS = 16
MEAN, STD, LENGTH = 0.5, 0.2, 3.0  # of x0, and the covariance's scale [pixels]

MOST_STEP = 0.02
MOST_LINE = 1.6


def seam_score(rain):
    """Where the rain changes more, or less, than inside the tiles, and lines in its spectrum.

    Args:
      rain: [M, SIDE, SIDE].

    Returns:
      (edge, overlap, line): the mean gradient across the edges of tiles, and where two tiles
      overlap, over that where there is one tile alone, both minus 1; and the power at the
      wavelength of the tiles or one of its first harmonics, whichever is the most, over that of
      its neighbours, in the spectrum of the mean over all rows (or columns), in which straight
      lines add up and rain does not.
    """
    inner = rain[:, RIM : RIM + 6 * STRIDE, RIM : RIM + 6 * STRIDE].astype(np.float64)
    both = np.concatenate([inner, inner.swapaxes(1, 2)])  # edges across x, then across y
    change = np.abs(np.diff(both, axis=2)).mean((0, 1))
    # Of two neighbours the first is at this place, counted from where a tile begins; there the one
    # before goes on for OVERLAP pixels.
    place = (np.arange(len(change)) + RIM) % STRIDE
    edge = (place == STRIDE - 1) | (place == OVERLAP - 1)
    overlap = place < OVERLAP - 1
    alone = change[~edge & ~overlap].mean()
    power = np.square(np.abs(np.fft.rfft(both.mean(1), axis=1))).mean(0)
    tiles = 6 * np.arange(1, 5)
    beside = np.mean([power[tiles + k] for k in (-2, -1, 1, 2)], axis=0)
    line = (power[tiles] / beside).max()
    return change[edge].mean() / alone - 1, change[overlap].mean() / alone - 1, line


def exact(parameters, x, s):
    """E[x0 | the tile], where beyond the tile there are zeros."""
    distance = np.abs(np.subtract.outer(np.arange(TILE), np.arange(TILE)))
    power, basis = np.linalg.eigh(np.exp(-distance / LENGTH))
    power = STD**2 * np.outer(power, power)
    inward = np.minimum(np.arange(TILE), np.arange(TILE)[::-1])
    seen = np.minimum(1, (inward + 3) / 5)  # a mean over 5 pixels, some of them beyond
    mean = MEAN * np.outer(seen, seen)
    basis, power, mean = (jnp.asarray(each, jnp.float32) for each in (basis, power, mean))
    s = s[:, :, None]
    waves = basis.T @ (x[..., -1] - s * mean) @ basis
    gain = s * power / (s**2 * power + 1 - s**2)
    return (mean + basis @ (gain * waves) @ basis.T)[..., None]


def grids(row, column, height, width):
    axes = np.arange(row, row + height) * 1.0, np.arange(column, column + width) * 1.0
    coarse = np.arange(-13.0, SIDE + 13, 25)
    return Grid(*axes, projected=True), Grid(coarse, coarse, projected=True)


@functools.cache  # compiles once for all tiles drawn alone
def program(sampler, weights):
    config = SampleConfig(sampler=sampler, steps=12, batch=36, eta=0.5)
    return make_downscale(exact, SCALING, PROCESS, config)


def draw(row=0, column=0, side=SIDE, *, members=tuple(range(MEMBERS)), sampler="dpmpp_2m"):
    """Rain over a window, whose tiles are fused."""
    fine, coarse = grids(row, column, side, side)
    canvas = make_canvas(
        fine,
        coarse,
        interpolations=["bilinear"],
        origin=(row, column),
        tile=TILE,
        overlap=OVERLAP,
    )
    downscale = program(sampler, fusion.axis_weights)
    steady = np.broadcast_to(np.asarray([250.0, 5.0])[:, None, None], (2, *coarse.shape))
    each = np.broadcast_to(steady, (len(members), *steady.shape))
    return np.asarray(downscale(0.0, canvas, each, members, [0] * len(members)))


def box_weights(count, tile, overlap):
    """Equal weights of all tiles over a pixel: what tapering is better than."""
    stride = tile - overlap
    total = np.zeros((count - 1) * stride + tile)
    for first in range(0, count * stride, stride):
        total[first : first + tile] += 1
    return np.stack([1 / total[k * stride : k * stride + tile] for k in range(count)])


def joined(weights, own_noise):
    """Each tile drawn to its end alone, then laid with weights [tiles, TILE, TILE]."""
    rain = np.zeros((MEMBERS, SIDE, SIDE))
    for number, ((row, column), weight) in enumerate(zip(LATTICE.corners, weights, strict=True)):
        first = 1000 * number * own_noise
        tile = draw(row, column, TILE, members=range(first, first + MEMBERS))
        rain[:, row : row + TILE, column : column + TILE] += weight * tile
    return rain


def test_the_score_finds_what_is_drawn_in():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(MEMBERS, SIDE, SIDE))
    edge, overlap, line = seam_score(flat)
    assert max(abs(edge), abs(overlap)) < 0.005
    assert line < MOST_LINE
    raised = flat.copy()
    raised[:, :, STRIDE:TILE] += 5
    raised[:, STRIDE:TILE] += 5
    # A step of 5 in noise whose own are 1.13 on average, on 2 of 12 edges.
    assert seam_score(raised)[0] == pytest.approx((5 / 1.128 - 1) / 6, abs=0.05)
    smooth = flat.copy()
    place = np.arange(SIDE) % STRIDE
    smooth[..., place < OVERLAP] *= 0.5
    smooth[:, place < OVERLAP] *= 0.5
    # Half along one axis; along the other half of the rows are, and where both are, a quarter.
    assert seam_score(smooth)[1] == pytest.approx(-0.5, abs=0.02)
    waves = flat + 0.1 * np.cos(2 * np.pi * np.arange(SIDE) / STRIDE)
    assert seam_score(waves)[2] > 3 * MOST_LINE


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ddpm"])
def test_fused_tiles_leave_no_seam(sampler):
    edge, overlap, line = seam_score(draw(sampler=sampler))
    assert abs(edge) < MOST_STEP
    assert abs(overlap) < MOST_STEP
    assert line < MOST_LINE


def test_overlap_without_tapering_leaves_seams(monkeypatch):
    monkeypatch.setattr(fusion, "axis_weights", box_weights)
    edge, _, line = seam_score(draw())
    assert edge > 2 * MOST_STEP
    assert line > 2 * MOST_LINE


def test_tiles_laid_side_by_side_leave_seams():
    own = np.ones((6, TILE))
    own[:-1, STRIDE:] = 0  # the next tile's
    weights = (own[:, None, :, None] * own[None, :, None, :]).reshape(-1, TILE, TILE)
    edge, _, line = seam_score(joined(weights, own_noise=False))
    assert edge > 10 * MOST_STEP
    assert line > 1.5 * MOST_LINE


def test_blending_at_the_end_does_not_hide_that_each_tile_had_its_own_weather():
    _, overlap, _ = seam_score(joined(blend_weights(LATTICE), own_noise=True))
    assert overlap < -3 * MOST_STEP  # the mean of two is too smooth
