import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.process import DiffusionConfig
from jaxrain.diffusion.samplers import SAMPLERS
from jaxrain.ensembles.calibration import Calibration, rain_of
from jaxrain.ensembles.canvas import items_at_once, make_canvas
from jaxrain.ensembles.chain import CENTRE_DRAWS, make_chain, make_downscale
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.ensembles.turning import turned_back
from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.scaling import Scaling, decode_target

SCALING = Scaling(
    channels=("t500", "tp"),
    difference=True,
    bend="log1p",
    scale_mm=0.5,
    rain_min_mm=0.0,
    rain_max_mm=50.0,
    target_std=0.5,
    low=np.asarray([200.0, 0.0], np.float32),
    high=np.asarray([300.0, 40.0], np.float32),
)
PROCESS = DiffusionConfig(prediction="x0", steps=100)
FINE = Grid(y=np.arange(60.0), x=np.arange(75.0), projected=True)
COARSE = Grid(y=np.arange(-2.0, 70, 5), x=np.arange(-2.0, 80, 5), projected=True)
MINUTES = 24 * 60
GUESSED = {"sampler": "dpmpp_2m", "sigma_max": 0.3, "sigma_min": 0.1, "first_guess": "RUN"}


def nothing(parameters, x, s):
    """A network that always finds the coarse rain right."""
    return jnp.zeros_like(x[..., :1])


def smooth(parameters, x, s):
    """A network with neighbours: weights of a fixed small convolution, bounded by tanh."""
    kernel = parameters * jax.random.normal(jax.random.key(0), (5, 5, x.shape[-1], 1)) / 8
    layout = ("NHWC", "HWIO", "NHWC")
    return jnp.tanh(
        jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
    )


def canvas(fine=FINE, origin=(0, 0), tile=32, overlap=8, maps=None):
    return make_canvas(
        fine,
        COARSE,
        interpolations=["bilinear"],
        origin=origin,
        tile=tile,
        overlap=overlap,
        maps=maps,
    )


def coarse_fields(count, seed=0):
    rng = np.random.default_rng(seed)
    t = 250 + 20 * rng.standard_normal((count, 1, *COARSE.shape))
    tp = rng.gamma(0.3, 4.0, (count, 1, *COARSE.shape))
    return np.concatenate([t, tp], axis=1).astype(np.float32)


@functools.cache  # compiles once for all tests that ask for the same
def program(network, **settings):
    config = SampleConfig(**{"steps": 8, "batch": 4, **settings})
    return make_downscale(network, SCALING, PROCESS, config)


def draw(network, canvas, coarse, members, minutes=None, seed=None, **settings):
    downscale = program(network, **settings)
    minutes = [MINUTES] * len(members) if minutes is None else minutes
    return np.asarray(downscale(jnp.float32(1), canvas, coarse, members, minutes, seed))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_correction_gives_bilinear_rain_in_mm(sampler):
    coarse = coarse_fields(2)
    where = canvas()
    rain = draw(nothing, where, coarse, [0, 1], sampler=sampler)
    height, width = FINE.shape
    weights_y, weights_x = where.weights_y[0, :height], where.weights_x[0, :width]
    expected = weights_y @ coarse[:, 1] @ weights_x.T
    assert rain.shape == (2, *FINE.shape)
    np.testing.assert_allclose(rain, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_2m", "heun"])
def test_members_do_not_depend_on_batch_or_company(sampler):
    one_hour = coarse_fields(1)
    together = draw(
        smooth, canvas(), np.repeat(one_hour, 3, 0), [0, 1, 2], sampler=sampler, eta=0.5, batch=5
    )
    alone = draw(smooth, canvas(), one_hour, [1], sampler=sampler, eta=0.5, batch=100)
    # mm, where 1e-5 in normalised units is at most 50 mm * log(101) / 2 * 1e-5
    np.testing.assert_allclose(together[1], alone[0], atol=1e-3)
    assert np.abs(together[0] - together[1]).max() > 0.1


def test_scaled_epsilon_moves_members_by_the_factor_of_the_chains_equation():
    variance, first = 0.04, 2.0
    even = np.zeros((1, 2, *COARSE.shape), np.float32) + np.asarray([250.0, 5.0])[:, None, None]

    def gaussian(parameters, x, s):
        """E[x0 | x] of N(0, variance)."""
        s = s[:, :, None, None]
        return s * variance / (s**2 * variance + 1 - s**2) * x[..., -1:]

    def moved(scale):
        settings = {"sampler": "heun", "steps": 99, "sigma_max": first, "sigma_min": 1e-3}
        rain = draw(gaussian, canvas(), even, [0], epsilon_scale=scale, **settings)
        return np.log1p(rain / SCALING.scale_mm) - np.log1p(5 / SCALING.scale_mm)

    for scale in (0.95, 1.05):
        factor = (variance / (variance + first**2)) ** ((1 / scale - 1) / 2)
        np.testing.assert_allclose(moved(scale), factor * moved(1.0), rtol=2e-3, atol=2e-4)


def test_samplers_that_begin_from_all_noise_take_no_scaled_epsilon():
    with pytest.raises(ValueError, match="too much of the noise that sampler=ddim begins from"):
        SampleConfig(sampler="ddim", epsilon_scale=1.01)


def test_seed_member_and_hour_each_make_another_field():
    coarse = coarse_fields(1)
    base = draw(smooth, canvas(), coarse, [0])
    for other in [
        draw(smooth, canvas(), coarse, [1]),
        draw(smooth, canvas(), coarse, [0], [MINUTES + 60]),
        draw(smooth, canvas(), coarse, [0], seed=1),
    ]:
        assert np.abs(base - other).max() > 0.1
    np.testing.assert_array_equal(base, draw(smooth, canvas(), coarse, [0], seed=0))


def test_lasting_noise_makes_hours_alike_and_each_can_be_made_alone():
    two = np.zeros((2, 2, *COARSE.shape)) + np.asarray([250.0, 5.0])[:, None, None]
    hours = [MINUTES, MINUTES + 60]
    way = np.zeros((2, 3, 2)) + np.arange(3)[:, None] * np.array([2, 1])
    changes = []
    for settings in ({}, {"noise_correlation": 0.6, "noise_hours": 3}):
        downscale = program(smooth, **settings)
        sequence = np.asarray(downscale(jnp.float32(1), canvas(), two, [0, 0], hours, 0, way))
        changes.append(np.abs(np.diff(np.log1p(sequence[:, 2:, 1:]), axis=0)).mean())
    alone = downscale(jnp.float32(1), canvas(), two[:1], [0], hours[1:], 0, way[1:])
    np.testing.assert_allclose(alone[0], sequence[1], atol=1e-3)
    moved = np.abs(np.log1p(sequence[1, 2:, 1:]) - np.log1p(sequence[0, :-2, :-1])).mean()
    assert moved < 0.9 * changes[0]
    assert changes[1] > moved  # where it stood, it is gone


def test_a_window_at_a_tile_edge_meets_the_noise_of_the_whole():
    """With tiles at the same places, the window's inner part is that of the whole domain."""
    coarse = coarse_fields(1)
    whole = draw(smooth, canvas(overlap=0), coarse, [0])
    window = canvas(FINE.window(32, 32, 28, 43), origin=(32, 32), overlap=0)
    np.testing.assert_allclose(draw(smooth, window, coarse, [0]), whole[:, 32:, 32:], atol=1e-3)


@pytest.mark.parametrize("place", [(10, 41, 45, 34), (27, 0, 33, 33), (33, 3, 25, 70)])
def test_a_piece_is_cut_along_the_lines_of_the_whole_and_sees_what_lies_around_it(place):
    """Of one evaluation of the network it is the same as there, but for its rim, where the whole
    may have another tile that reaches in."""
    coarse, overlap = coarse_fields(1), 8
    row, column, height, width = place
    whole = draw(smooth, canvas(tile=24, overlap=overlap), coarse, [0], steps=1)
    where = canvas(FINE.window(*place), (row, column), tile=24, overlap=overlap)
    piece = draw(smooth, where, coarse, [0], steps=1)
    inner = (slice(None), slice(overlap, -overlap), slice(overlap, -overlap))
    expected = whole[:, row : row + height, column : column + width]
    np.testing.assert_allclose(piece[inner], expected[inner], atol=1e-4)


def each_point(parameters, x, s):
    """A network without neighbours, told by all that is beside the weather."""
    predictors = len(SCALING.channels)
    beside = x[..., predictors:-1]
    weights = jnp.arange(1.0, 1 + beside.shape[-1])
    return jnp.tanh(beside @ weights)[..., None] / 4


@pytest.mark.parametrize(("tile", "overlap", "batch"), [(32, 8, 4), (80, 20, 100)])
def test_each_tile_sees_its_places_maps_and_its_items_hour(tile, overlap, batch):
    maps = np.random.default_rng(3).normal(size=(*FINE.shape, 2)).astype(np.float32)
    minutes = np.asarray([6 * 60, 9 * 60])  # of 1970-01-01, UTC
    side = np.multiply(2, FINE.shape)  # beyond the field the maps go on
    beyond = np.resize(maps, (*side, 2))
    beyond[: FINE.shape[0], : FINE.shape[1]] = maps

    def of(grid, origin):
        assert origin == (0, 0)
        return beyond[: grid.shape[0], : grid.shape[1]]

    where = canvas(tile=tile, overlap=overlap, maps=of)
    config = SampleConfig(steps=2, batch=batch)
    downscale = make_downscale(each_point, SCALING, PROCESS, config, ["hour_of_day"])
    coarse = coarse_fields(2)
    rain = np.asarray(downscale(jnp.float32(1), where, coarse, [0, 0], minutes))
    clock = np.asarray([[1, 0], [np.sqrt(0.5), -np.sqrt(0.5)]])
    told = maps @ [1, 2] + (clock @ [3, 4])[:, None, None]
    height, width = FINE.shape
    bilinear = where.weights_y[0, :height] @ coarse[:, 1] @ where.weights_x[0, :width].T
    expected = decode_target(SCALING, jnp.asarray(np.tanh(told) / 4), jnp.asarray(bilinear))
    np.testing.assert_allclose(rain, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("member", [3, 12])
def test_a_turned_member_is_that_of_the_network_turned_the_other_way(member):
    """Of one convolution, whose mirror image is the convolution with its kernel mirrored."""

    def convolution(kernel, x, s):
        layout = ("NHWC", "HWIO", "NHWC")
        return jnp.tanh(
            jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
        )

    kernel = np.random.default_rng(5).standard_normal((5, 5, 3, 1)).astype(np.float32) / 8
    side = jnp.asarray([member % 8])
    mirrored = np.asarray(turned_back(jnp.asarray(kernel)[None, ..., 0], side))[0, ..., None]
    where, coarse = canvas(), coarse_fields(1)

    def rain(kernel, turn):
        config = SampleConfig(steps=3, batch=4, turn=turn)
        downscale = make_downscale(convolution, SCALING, PROCESS, config)
        return np.asarray(downscale(kernel, where, coarse, [member], [MINUTES]))

    np.testing.assert_allclose(rain(kernel, True), rain(mirrored, False), atol=1e-3)
    assert np.abs(rain(kernel, True) - rain(kernel, False)).max() > 0.1


def test_turned_members_share_one_centre():
    def lopsided(parameters, x, s):
        return jnp.tanh(x[..., -1:] + jnp.linspace(0, 1, x.shape[1])[:, None, None])

    config = SampleConfig(steps=3, batch=4, sampler="dpmpp_2m", turn=True)
    chain = make_chain(lopsided, SCALING, PROCESS, config, finish=lambda drawn: drawn, centred=True)
    drawn = chain(0, canvas(), coarse_fields(1).repeat(3, 0), [0, 1, 5], [MINUTES] * 3)
    np.testing.assert_array_equal(drawn.centre[0], drawn.centre[1])
    np.testing.assert_array_equal(drawn.centre[0], drawn.centre[2])


def test_a_domain_smaller_than_a_tile_works():
    rain = draw(smooth, canvas(FINE.window(3, 5, 11, 7), origin=(3, 5)), coarse_fields(1), [0])
    assert rain.shape == (1, 11, 7)
    assert np.isfinite(rain).all()


def test_missing_predictors_make_missing_rain_and_nothing_else():
    coarse = coarse_fields(1)
    coarse[0, 0, 4, 4] = np.nan  # at y = x = 18
    rain = draw(smooth, canvas(), coarse, [0])
    missing = np.isnan(rain[0])
    assert missing[14:23, 14:23].all()
    missing[14:23, 14:23] = False
    assert not missing.any()


def test_overlap_hides_the_seams():
    """The mean step across tile edges against the step elsewhere."""

    def edge_aware(parameters, x, s):
        # Zero padding makes it err near its tile's edges, as every network does.
        return 0.2 * smooth(parameters, jnp.ones_like(x), s) + 0.5 * x[..., -1:]

    coarse = np.zeros_like(coarse_fields(1)) + np.asarray([250.0, 5.0])[None, :, None, None]
    steps = {}
    for overlap in (0, 16):
        config = {"overlap": overlap, "tile": 32}
        rain = draw(edge_aware, canvas(**config), coarse, range(1), steps=20)[0]
        change = np.abs(np.diff(np.log1p(rain), axis=1)).mean(0)
        edges = np.arange(32, 75, 32 - overlap) - 1
        steps[overlap] = change[edges].mean() / np.delete(change, edges).mean()
    assert steps[0] > 1.1
    assert abs(steps[16] - 1) < 0.5 * (steps[0] - 1)


def test_large_canvases_are_sampled_one_by_one():
    config = SampleConfig(batch=16)
    assert items_at_once(canvas(), config) == 1  # 3 x 4 tiles
    assert items_at_once(canvas(FINE.window(0, 0, 30, 50)), config) == 8
    assert items_at_once(canvas(FINE.window(0, 0, 8, 8)), config) == 16


def test_impossible_settings_name_themselves():
    with pytest.raises(InputError, match=r"101 sampling steps.*1 to 100"):
        make_downscale(nothing, SCALING, PROCESS, SampleConfig(steps=101))
    with pytest.raises(InputError, match="overlap=64 leaves tiles of 64"):
        SampleConfig(overlap=64).tiling(64)
    with pytest.raises(ValueError, match="'euler'; there are ddpm, ddim"):
        SampleConfig(sampler="euler")


def gaussian(parameters, x, s):
    """Knows that x0 is white with mean 0.2 and standard deviation 0.3, whatever the weather."""
    s = s[:, :, None, None]
    gain = s * 0.09 / (s**2 * 0.09 + 1 - s**2)
    return 0.2 + gain * (x[..., -1:] - s * 0.2)


def test_calibrated_members_move_from_a_centre_that_all_share_and_each_can_be_made_alone():
    where, coarse = canvas(), coarse_fields(1)
    config = SampleConfig(steps=20, batch=4, sampler="dpmpp_2m")
    chain = make_chain(gaussian, SCALING, PROCESS, config, finish=lambda drawn: drawn, centred=True)
    drawn = chain(0, where, coarse.repeat(3, 0), np.arange(3), [MINUTES] * 3)
    np.testing.assert_array_equal(drawn.centre[0], drawn.centre[2])
    np.testing.assert_allclose(drawn.centre, 0.2, atol=0.05)
    np.testing.assert_allclose(np.std(drawn.x0), 0.3, rtol=0.05)

    calibration = Calibration(
        checkpoint="",
        settings={},
        inflation=2.0,
        source_mm=(0.0, 1.0, 5.0),
        target_mm=(0.0, 0.5, 8.0),
        report={},
    )
    downscale = make_downscale(gaussian, SCALING, PROCESS, config, calibration=calibration)
    alone = downscale(0, where, coarse, [2], [MINUTES])
    quantiles = (calibration.source_mm, calibration.target_mm)
    whole = rain_of(drawn, SCALING, 2.0, quantiles)
    np.testing.assert_allclose(alone[0], whole[2], rtol=1e-4, atol=1e-5)
    assert float(np.abs(whole - rain_of(drawn, SCALING)).max()) > 1


@pytest.mark.parametrize("as_guess", [False, True])
def test_of_what_draws_in_one_step_the_centre_is_the_mean_of_some_draws(as_guess):
    """Truth is normal with mean 0.2 and standard deviation 0.3 at every point."""

    def guess(parameters, condition, noise):
        return 0.2 + 0.3 * noise

    def generator(parameters, x, s):
        return guess(parameters, x[..., :-1], x[..., -1:])

    one_step = DiffusionConfig(objective="crps", prediction="x0", steps=100)
    network, process = (gaussian, PROCESS) if as_guess else (generator, one_step)
    config = SampleConfig(steps=4, batch=4, **(GUESSED if as_guess else {}))
    shared = {"finish": lambda drawn: drawn, "centred": True}
    chain = make_chain(
        network, SCALING, process, config, guess=guess if as_guess else None, **shared
    )
    arguments = (0, canvas(), coarse_fields(1).repeat(3, 0))
    drawn = chain(*arguments, [0, 1, 7], [MINUTES, MINUTES, MINUTES + 60])
    np.testing.assert_array_equal(drawn.centre[0], drawn.centre[1])
    assert np.abs(drawn.centre[0] - drawn.centre[2]).max() > 0.1  # of another hour
    np.testing.assert_allclose(np.mean(drawn.centre), 0.2, atol=0.01)
    np.testing.assert_allclose(np.std(drawn.centre), 0.3 / CENTRE_DRAWS**0.5, rtol=0.05)
    for member in drawn.x0:  # which none of the draws is
        assert abs(np.corrcoef(member.ravel(), drawn.centre[0].ravel())[0, 1]) < 0.05
