import numpy as np

from jaxrain.grids.blocks import Blocks
from jaxrain.grids.grid import Grid


def test_blocks_lie_along_the_lines_of_the_area():
    rng = np.random.default_rng(0)
    area = rng.gamma(0.3, 3.0, (24, 30)).astype(np.float32)
    whole = Blocks.touched((0, 0), area.shape, 5).means(area)
    piece = Blocks.touched((7, 11), (13, 16), 5)
    assert (piece.before, piece.counts) == ((2, 1), (3, 4))
    found = piece.means(area[7:20, 11:27])
    np.testing.assert_allclose(found[1:3, 1:3], whole[2:4, 3:5], rtol=1e-6)
    # Of a block that the edge cuts, what is inside.
    np.testing.assert_allclose(found[0, 0], area[7:10, 11:15].mean(), rtol=1e-6)
    np.testing.assert_allclose(found[2, 3], area[15:20, 25:27].mean(), rtol=1e-6)


def test_their_grid_is_the_areas():
    area = Grid(3.0 - 0.1 * np.arange(25), 100 + 0.2 * np.arange(30), projected=True)
    whole = Blocks.touched((0, 0), area.shape, 5).grid(area)
    np.testing.assert_allclose(whole.y, 2.8 - 0.5 * np.arange(5))
    np.testing.assert_allclose(whole.x, 100.4 + np.arange(6))
    piece = Blocks.touched((7, 11), (13, 16), 5).grid(area.window(7, 11, 13, 16))
    np.testing.assert_allclose(piece.y, whole.y[1:4])
    np.testing.assert_allclose(piece.x, whole.x[2:6])
    assert piece.projected
    beyond = Blocks.touched((-3, 0), (8, 10), 5)  # before the area's first row
    assert (beyond.before, beyond.counts) == ((2, 0), (2, 2))


def test_blocks_of_which_nothing_is_known_have_the_nearest_ones_mean():
    rain = np.ones((10, 15), np.float32)
    rain[:, 5:10] = 3
    rain[1:5, 3:5] = np.nan
    rain[5:, :5] = np.nan
    found = Blocks.touched((0, 0), rain.shape, 5).means(rain)
    np.testing.assert_array_equal(found[0], [1, 3, 1])
    assert found[1, 0] in (1, 3)
    nothing = np.full((10, 10), np.nan, np.float32)
    np.testing.assert_array_equal(Blocks.touched((0, 0), (10, 10), 5).means(nothing), 0)
