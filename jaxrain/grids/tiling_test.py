import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrain.grids.tiling import Lattice, axis_weights, blend_weights, taper


@st.composite
def lattices(draw):
    tile = draw(st.integers(1, 24))
    overlap = draw(st.integers(0, tile - 1))
    shape = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    origin = draw(st.integers(-90, 90)), draw(st.integers(-90, 90))
    return Lattice.anchored(shape, tile, overlap, origin)


@given(lattices())
def test_weights_sum_to_one_at_every_pixel(lattice):
    total = np.zeros(lattice.canvas)
    for (y, x), weights in zip(lattice.corners, blend_weights(lattice), strict=True):
        total[y : y + lattice.tile, x : x + lattice.tile] += weights
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


@given(lattices())
def test_canvas_covers_the_field_with_no_tile_to_spare(lattice):
    stride = lattice.tile - lattice.overlap
    axes = zip(lattice.shape, lattice.before, lattice.canvas, lattice.counts, strict=True)
    for size, before, padded, count in axes:
        assert 0 <= before < stride
        assert padded >= before + size
        assert count == 1 or padded - stride < before + size


@given(lattices(), st.integers(0, 40))
def test_a_longer_field_does_not_move_the_tiles(lattice, more):
    longer = dataclasses.replace(lattice, shape=(lattice.shape[0] + more, lattice.shape[1]))
    np.testing.assert_array_equal(lattice.corners, longer.corners[: len(lattice.corners)])


@given(
    st.integers(1, 24), st.data(), st.integers(-90, 90), st.integers(-90, 90), st.integers(25, 70)
)
def test_pieces_of_a_grid_are_cut_along_its_own_lines(tile, data, row, column, side):
    overlap = data.draw(st.integers(0, tile - 1))
    lattice = Lattice.anchored((side, side), tile, overlap, (row, column))
    first = np.asarray((row, column)) - lattice.before
    np.testing.assert_array_equal((first + lattice.corners) % (tile - overlap), 0)
    assert lattice.corners[0].tolist() == [0, 0]
    rows, columns = lattice.field
    assert (first[0] + rows.start, first[1] + columns.start) == (row, column)


def test_what_fits_in_a_tile_is_one_tile_that_starts_with_it():
    assert Lattice.anchored((24, 60), 24, 4, (33, 33)).before == (0, 13)
    assert Lattice.anchored((24, 60), 24, 4, (33, 33)).counts == (1, 4)


def test_taper_is_a_partition_of_unity_by_itself():
    window = taper(16, 6)
    np.testing.assert_allclose(window[-6:] + window[:6], 1.0, rtol=1e-12)
    np.testing.assert_array_equal(window[6:-6], 1.0)


def test_weights_change_smoothly_across_a_tile_edge():
    weights = axis_weights(3, 32, 16)
    assert weights[1, 0] < 0.003  # a tile enters with nearly no say
    assert np.abs(np.diff(weights[1])).max() < np.pi / 2 / 16


def test_no_overlap_means_plain_tiles():
    np.testing.assert_array_equal(blend_weights(Lattice((8, 8), 4, 0)), np.ones((4, 4, 4)))


@pytest.mark.parametrize(
    ("shape", "tile", "overlap"), [((0, 4), 4, 1), ((4, 4), 4, 4), ((4, 4), 4, -1), ((4, 4), 0, 0)]
)
def test_impossible_lattices_are_refused(shape, tile, overlap):
    with pytest.raises(ValueError, match="no lattice"):
        Lattice(shape, tile, overlap)
    with pytest.raises(ValueError, match="no lattice"):
        Lattice.anchored(shape, tile, overlap, (3, 3))
