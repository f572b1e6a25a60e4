from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from jaxrain.ensembles import consistency
from jaxrain.ensembles.consistency import (
    FORM,
    MOST_FACTOR,
    Axis,
    adjusted,
    cell_means,
    consistent,
    nothing_held,
)
from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.grids.regrid import bilinear_matrix
from jaxrain.pairs.cases import Case

HOURS = np.array(["2020-07-01T00", "2020-07-01T01"], "datetime64[s]")
# Cells of 5 points; the first row and the last column of cells are cut.
FINE = Grid(np.arange(3.0, 20), np.arange(0.0, 17), projected=True)
COARSE = Grid(np.arange(2.0, 30, 5), np.arange(2.0, 30, 5), projected=True)
INNER = (slice(2, 17), slice(0, 15))


def case(seed=0):
    fields = np.random.default_rng(seed).gamma(0.3, 4.0, (2, 1, *COARSE.shape))
    fields[:, 0, 1, 1] = 0
    return Case("w", "a", FINE, (0, 0), HOURS, COARSE, ["tp"], fields.astype(np.float32))


def rain(seed=1):
    field = np.random.default_rng(seed).gamma(0.2, 4.0, FINE.shape)
    return np.where(field < 0.5, 0, field).astype(np.float32)


def cells(field):
    return field[INNER].reshape(3, 5, 3, 5).mean((1, 3))


@pytest.mark.parametrize("down", [False, True])
def test_sums_and_interpolations_are_those_of_the_matrices(down):
    # Cells of 7 points, the outer ones cut; of 0.7, some without a point.
    fine, wide, narrow = np.arange(3.0, 40), np.arange(0.0, 45, 7), np.arange(2.6, 41, 0.7)
    rng = np.random.default_rng(0)
    for rows, columns in ((wide, wide[::-1]), (narrow, wide), (wide, narrow)):
        y, x = Axis.of(rows, fine[:: -1 if down else 1]), Axis.of(columns, fine)
        field, on_cells = rng.random((37, 37)), rng.random((len(rows), len(columns)))
        sums = y.nearest.T @ field @ x.nearest
        np.testing.assert_allclose(consistency._sums(field, y, x), sums, rtol=1e-13)
        spread = y.nearest @ on_cells @ x.nearest.T
        np.testing.assert_array_equal(consistency._spread(on_cells, y, x), spread)
        between = y.smooth @ on_cells @ x.smooth.T
        np.testing.assert_allclose(consistency._between(on_cells, y, x), between, rtol=1e-13)
        means = y.member.T @ field @ x.member / np.outer(y.member.sum(0), x.member.sum(0))
        np.testing.assert_allclose(cell_means(field, y, x), means, rtol=1e-13)


def test_hard_is_exact_soft_goes_half_the_way_and_off_does_nothing():
    coarse, before = case().coarse[1, 0, 1:4, :3], cells(rain())
    hard, soft = (consistent(case(), name)(rain(), 1) for name in ("hard", "soft"))
    np.testing.assert_allclose(cells(hard), coarse, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cells(soft), (coarse + before) / 2, rtol=1e-5, atol=1e-6)
    assert consistent(case(), "off") is None
    for part in (np.s_[:2, :5], np.s_[:2, 5:10], np.s_[:2, 15:], np.s_[7:12, 15:]):  # cut cells
        assert hard[part].mean() == pytest.approx(rain()[part].mean(), rel=1e-5)
    assert (hard[INNER][:5, 5:10] == 0).all()  # a dry coarse cell


def test_too_much_and_a_little_too_little_is_a_factor_and_the_rest_is_spread():
    wet = np.zeros((2, 4), np.float32)
    wet[0, :2] = 8.0, 0.0  # three cells of 2 x 2, 2 x 1, 2 x 1
    wet[:, 2] = 1.0, 3.0
    got = adjusted(wet, np.array([[1.0, 20.0, 3.0]]), *_stepwise([2], [2, 1, 1]))
    # 8 of a mean of 2 halves; 1 and 3 four times as much make 8, and 12 is laid on both; dry: 3.
    np.testing.assert_allclose(got, [[4, 0, 16, 3], [0, 0, 24, 3]])


def test_no_point_is_multiplied_to_more_than_the_most():
    field = np.array([[2.0, 8.0, 5.0, 30.0, 1.0, 9.0]], np.float32)  # three cells of 1 x 2
    cells = _stepwise([1], [2, 2, 2])
    # 8 stops at 12, so 2 gets what is missing; 30 keeps what it has; of 12 in both 8 are missing.
    goal = np.array([[9.0, 20.0, 16.0]])
    expected = [[6, 12, 10, 30, 4 + 8, 12 + 8]]
    np.testing.assert_allclose(adjusted(field, goal, *cells, most_mm=12.0), expected, rtol=1e-6)
    # To less than it has a point may still be brought.
    less = adjusted(field, np.array([[2.5, 7.0, 2.5]]), *cells, most_mm=4.0)
    np.testing.assert_allclose(less, [[1, 4, 2, 12, 0.5, 4.5]], rtol=1e-6)


def test_another_outcome_is_another_form():
    # Fields of one ensemble are told apart by it: where this fails on purpose, raise FORM.
    points = np.random.default_rng(9).normal(size=(2, *FINE.shape))
    held = (consistent(case(), "hard", mm)(rain(), 1) for mm in (np.inf, 3.0))
    found = [(field * weights).sum() for field, weights in zip(held, points, strict=True)]
    assert (FORM, found) == (7, pytest.approx([67.052594, 166.436725], rel=1e-5))


def _stepwise(*sizes):
    """Axes whose factors jump from cell to cell."""
    axes = [np.repeat(np.eye(len(size)), size, axis=0) for size in sizes]
    return [Axis(np.arange(each.shape[1]), each, each, each) for each in axes]


def test_what_a_cell_lacks_is_laid_most_in_its_middle():
    dry = np.zeros((6, 7), np.float32)
    got = adjusted(dry, np.array([[1.0, 2.0]]), *_stepwise([6], [3, 4]))
    np.testing.assert_allclose([got[:, :3].mean(), got[:, 3:].mean()], [1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(got[0, :3] / got[0, 0], [1, 2, 1], rtol=1e-6)
    np.testing.assert_allclose(got[:, 3] / got[0, 3], [1, 2, 3, 3, 2, 1], rtol=1e-6)


def test_factors_do_not_draw_the_edges_of_cells():
    # Even rain that is to become more from cell to cell: no wider a step at an edge than inside.
    grid = Grid(np.arange(40.0), np.arange(40.0), projected=True)
    coarse = Grid(np.arange(4.5, 40, 10), np.arange(4.5, 40, 10), projected=True)
    amounts = np.broadcast_to([1.0, 2.0, 3.0, 4.0], (1, 1, 4, 4)).astype(np.float32)
    this = replace(case(), fine_grid=grid, coarse_grid=coarse, coarse=amounts)
    got = consistent(this, "hard")(np.full((40, 40), 2.0, np.float32), 0)
    np.testing.assert_allclose(got.reshape(4, 10, 4, 10).mean((1, 3)), amounts[0, 0], rtol=1e-6)
    steps = np.diff(got[20])
    assert steps.min() > -1e-3
    edges = [9, 19, 29]
    # One factor a cell would make steps of 1 at edges, and none inside.
    assert np.abs(steps[edges]).max() < 1.2 * np.delete(steps, edges).max() < 0.4
    np.testing.assert_allclose(got, got[:1].repeat(40, axis=0), rtol=1e-4)


def test_showers_that_lie_elsewhere_are_held_without_edges_like_a_factor_a_cells(monkeypatch):
    # Cells of a member's showers get the means of other showers.
    rng = np.random.default_rng(0)
    axis, centres = np.arange(200.0), np.arange(12.0, 200, 25)
    grids = Grid(axis, axis, projected=True), Grid(centres, centres, projected=True)

    def showers():
        field = gaussian_filter(rng.normal(size=(200, 200)), 4)
        return np.where(field > field.std() / 2, np.exp(2 * field / field.std()), 0)

    pairs = [(showers(), showers().reshape(8, 25, 8, 25).mean((1, 3))) for _ in range(8)]

    def edge():
        """Steps across the edges of cells, over those inside, minus 1."""
        steps = 0
        for field, goal in pairs:
            there = Case("w", "a", grids[0], (0, 0), HOURS, grids[1], ["tp"], goal[None, None])
            got = consistent(there, "hard", 60.0)(field.astype(np.float32), 0)
            np.testing.assert_allclose(got.reshape(8, 25, 8, 25).mean((1, 3)), goal, rtol=1e-5)
            steps = (
                steps + np.abs(np.diff(got, axis=1)).mean(0) + np.abs(np.diff(got, axis=0)).mean(1)
            )
        return steps[24::25].mean() / np.delete(steps, np.s_[24::25]).mean() - 1

    held = edge()
    with monkeypatch.context() as other:  # a factor that is even nowhere
        other.setattr(consistency, "bilinear_matrix", lambda *of: bilinear_matrix(*of) / 2 + 0.25)
        assert held < 0.95 * edge()
    monkeypatch.setattr(consistency, "_ROUNDS", 0)
    assert held < 0.6 * edge()


def test_the_coarse_rain_is_its_own_channel_and_never_below_0():
    this = case()
    fields = np.concatenate([np.full_like(this.coarse, 250.0), this.coarse], axis=1)
    fields[1, 1, 2, 1] = -0.01
    got = consistent(replace(this, channels=["t500", "tp"], coarse=fields), "hard")(rain(), 1)
    expected = np.maximum(fields[1, 1, 1:4, :3], 0)
    np.testing.assert_allclose(cells(got), expected, rtol=1e-5, atol=1e-6)
    assert got.min() == 0


def test_a_cell_that_factors_can_bring_what_it_lacks_stays_dry_where_it_was():
    # Its neighbour wants so much that the smooth factor would pass the limit here too.
    grid = Grid(np.arange(10.0), np.arange(20.0), projected=True)
    coarse = Grid(np.arange(4.5, 15, 10), np.arange(4.5, 20, 10), projected=True)
    field = np.ones((10, 20), np.float32)
    field[::2, :10] = 0
    amounts = np.array([[1.8, 30.0], [1.0, 1.0]], np.float32)[None, None]
    this = replace(case(), fine_grid=grid, coarse_grid=coarse, coarse=amounts)
    got = consistent(this, "hard")(field, 0)
    np.testing.assert_allclose([got[:, :10].mean(), got[:, 10:].mean()], [1.8, 30], rtol=1e-6)
    assert (got[::2, :10] == 0).all()
    assert got[:, :10].max() <= MOST_FACTOR * (1 + 1e-6)


def test_just_as_much_as_the_limit_gives_is_not_negative():
    for seed in range(300):
        field = np.random.default_rng(seed).gamma(0.2, 4.0, (2, 2)).astype(np.float32)
        field[0, 0] = 0
        whole = np.array([[MOST_FACTOR * field.astype(np.float64).mean()]])
        got = adjusted(field, whole * (1 + 1e-16 * (seed % 9)), *_stepwise([2], [2]))
        assert (got >= 0).all()
        np.testing.assert_allclose(got, MOST_FACTOR * field, rtol=1e-6)


def test_a_dry_cell_takes_nothing_from_its_neighbours():
    grid = Grid(np.arange(10.0), np.arange(30.0), projected=True)
    coarse = Grid(np.arange(4.5, 15, 10), np.arange(4.5, 30, 10), projected=True)
    amounts = np.array([[2.0, 0.0, 3.0], [9.0, 9.0, 9.0]], np.float32)[None, None]
    this = replace(case(), fine_grid=grid, coarse_grid=coarse, coarse=amounts)
    got = consistent(this, "hard")(np.ones((10, 30), np.float32), 0)
    np.testing.assert_allclose(got, np.repeat([[2.0, 0.0, 3.0]], 10, axis=1).repeat(10, axis=0))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["soft", "hard"]))
def test_rain_is_never_negative_and_agreeing_rain_stays(seed, name):
    adjust = consistent(case(seed), name)
    field = adjust(rain(seed + 1), 0)
    assert field.dtype == np.float32
    assert (field >= 0).all()
    assert np.isfinite(field).all()
    before, lies = rain(seed + 1), field[INNER].reshape(3, 5, 3, 5).min((1, 3)) > 0
    spread = np.zeros(FINE.shape, bool)
    spread[INNER] = lies.repeat(5, axis=0).repeat(5, axis=1)  # where all may be laid on
    assert (field <= MOST_FACTOR * before * (1 + 1e-6))[~spread].all()
    if name == "hard":
        np.testing.assert_allclose(adjust(field, 0), field, rtol=1e-5, atol=1e-6)


def test_missing_points_stay_and_cells_without_a_goal_keep_their_mean():
    this, field = case(), rain()
    field[3, 1] = np.nan
    this.coarse[0, 0, 2, 1] = np.nan
    got = consistent(this, "hard")(field, 0)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(field))
    for part in (np.s_[2:7, :5], np.s_[7:12, 5:10]):
        assert np.nanmean(got[part]) == pytest.approx(np.nanmean(field[part]), rel=1e-5)
    np.testing.assert_allclose(cells(got)[2], this.coarse[0, 0, 3, :3], rtol=1e-5)


def test_without_coarse_rain_there_is_nothing_to_agree_with():
    with pytest.raises(InputError, match=r"consistency=soft: the predictors \(t500\) hold no rain"):
        consistent(replace(case(), channels=["t500"]), "soft")


@pytest.mark.parametrize(("y", "x"), [([7.0], FINE.x), ([7.0], [4.0]), (FINE.y[::9], FINE.x[::9])])
def test_where_no_cell_is_whole_or_has_points_nothing_is_held_there(y, x):
    fine = Grid(np.array(y), np.array(x), projected=True)
    field = np.arange(1.0, 1 + fine.y.size * fine.x.size).reshape(fine.shape).astype(np.float32)
    found = consistent(replace(case(), fine_grid=fine), "hard")(field, 0)
    assert np.isfinite(found).all()
    if 1 in fine.shape:
        np.testing.assert_array_equal(found, field)


def test_a_case_without_a_whole_cell_is_told():
    small = replace(case(), fine_grid=FINE.window(0, 0, 4, 4))
    (line,) = nothing_held(small, "hard")
    assert "holds no coarse cell whole: consistency=hard changes nothing" in line
    assert nothing_held(small, "off") == nothing_held(case(), "hard") == []
