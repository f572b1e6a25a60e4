import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from jaxrain.grids.regrid import (
    bilinear_at,
    bilinear_matrix,
    block_axis,
    block_mean,
    local_weights,
    nearest_matrix,
    reach,
)

axes = st.builds(
    lambda start, steps, flip: (start + np.cumsum(steps))[:: -1 if flip else 1],
    st.floats(-200, 200),
    st.lists(st.floats(0.1, 5), min_size=2, max_size=12),
    st.booleans(),
)
fractions = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def _targets(source, fractions):
    return source.min() + np.asarray(fractions) * np.ptp(source)


@given(axes, fractions)
def test_bilinear_is_exact_for_linear_fields_and_rows_sum_to_1(source, fractions):
    target = _targets(source, fractions)
    matrix = bilinear_matrix(source, target)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(matrix @ (3 * source - 1), 3 * target - 1, atol=1e-9)
    assert matrix.min() >= 0


@given(axes, axes, fractions, st.integers(0, 99))
def test_at_points_of_a_grid_bilinear_is_what_the_matrices_give(ys, xs, fractions, seed):
    y, x = _targets(ys, fractions), _targets(xs, fractions[::-1])
    field = np.random.default_rng(seed).normal(size=(len(ys), len(xs)))
    expected = bilinear_matrix(ys, y) @ field @ bilinear_matrix(xs, x).T
    np.testing.assert_allclose(bilinear_at(field, ys, xs, y[:, None], x[None]), expected, atol=1e-9)
    diagonal = bilinear_at(field, ys, xs, y, x)
    np.testing.assert_allclose(diagonal, np.diagonal(expected), atol=1e-9)


@given(axes)
def test_at_the_source_points_both_are_the_identity(source):
    np.testing.assert_allclose(bilinear_matrix(source, source), np.eye(len(source)), atol=1e-9)
    np.testing.assert_array_equal(nearest_matrix(source, source), np.eye(len(source)))


@given(axes, fractions)
def test_nearest_is_the_brute_force_nearest(source, fractions):
    target = _targets(source, fractions)
    chosen = nearest_matrix(source, target) @ source
    best = np.abs(source[None] - target[:, None]).min(axis=1)
    np.testing.assert_allclose(np.abs(chosen - target), best, atol=1e-9)


def test_half_a_cell_outside_is_the_ends_value_and_further_is_refused():
    source = np.asarray([10.0, 20.0, 40.0])
    matrix = bilinear_matrix(source, np.asarray([5.0, 50.0]))
    np.testing.assert_array_equal(matrix, [[1, 0, 0], [0, 0, 1]])
    for target in (4.9, 50.1):
        with pytest.raises(ValueError, match="more than half a cell outside"):
            bilinear_matrix(source, np.asarray([target]))


@pytest.mark.parametrize("source", [[1.0], [1.0, 1.0], [1.0, 3.0, 2.0]])
def test_an_axis_that_is_none_is_refused(source):
    with pytest.raises(ValueError, match="monotonic"):
        nearest_matrix(np.asarray(source), np.asarray([1.0]))


@given(axes, st.data())
def test_local_weights_give_what_the_whole_matrix_gives(source, data):
    target = np.linspace(source[0], source[-1], 23)
    matrix = bilinear_matrix(source, target)
    count = data.draw(st.integers(1, 23))
    start = data.draw(st.integers(0, 23 - count))
    width = reach(matrix, count) + data.draw(st.integers(0, 3))
    first, weights = local_weights(matrix, start, count, width)
    field = np.arange(float(len(source))) ** 2
    padded = np.append(field, np.zeros(width))[first : first + width]
    np.testing.assert_allclose(weights @ padded, (matrix @ field)[start : start + count])


def test_local_weights_refuse_a_width_that_loses_points():
    matrix = bilinear_matrix(np.arange(5.0), np.linspace(0, 4, 9))
    with pytest.raises(ValueError, match="more than 2"):
        local_weights(matrix, 0, 9, 2)


def test_block_mean_takes_valid_points_and_needs_half_of_them():
    field = np.arange(16.0, dtype=np.float32).reshape(4, 4)
    field[0, 0] = field[0, 1] = np.nan  # half of the first block
    field[2:, 2:] = np.nan
    field[3, 3] = 15  # a quarter of the last block
    means = block_mean(field, 2)
    np.testing.assert_array_equal(means, [[4.5, 4.5], [10.5, np.nan]])
    assert means.dtype == np.float32


def test_block_axis_and_block_mean_agree_on_a_linear_field():
    axis = np.linspace(50.0, 40.0, 12)
    field = np.broadcast_to(axis[:, None], (12, 8))
    np.testing.assert_allclose(block_mean(field, 4)[:, 0], block_axis(axis, 4))
    with pytest.raises(ValueError, match="does not divide"):
        block_axis(axis, 5)
    with pytest.raises(ValueError, match="does not divide"):
        block_mean(field, 3)
