import numpy as np

from jaxrain.grids.cells import points_across, whole_cells
from jaxrain.grids.regrid import block_axis


def test_points_belong_to_the_cell_they_lie_in_and_cut_cells_are_left_out():
    members, chosen = whole_cells(np.array([0.0, 4.0, 8.0, 12.0]), np.arange(0.5, 11.0))
    np.testing.assert_array_equal(chosen, [1, 2])  # from 2 to 6 and 6 to 10; 0 to 2 is a half
    np.testing.assert_array_equal(members.sum(0), [4, 4])
    np.testing.assert_array_equal(np.flatnonzero(members[:, 0]), [2, 3, 4, 5])


def test_the_direction_of_the_axes_does_not_matter():
    down = np.array([12.0, 8.0, 4.0, 0.0])
    members, chosen = whole_cells(down, np.arange(0.5, 11.0))
    upward, _ = whole_cells(down[::-1], np.arange(0.5, 11.0))
    np.testing.assert_array_equal(chosen, [1, 2])
    np.testing.assert_array_equal(members, upward[:, ::-1])


def test_cells_of_blocks_are_whole_and_those_a_window_cuts_are_not():
    fine = np.arange(40.0)
    coarse = block_axis(fine, 8)
    members, chosen = whole_cells(coarse, fine[4:30])
    np.testing.assert_array_equal(chosen, [1, 2])
    np.testing.assert_array_equal(members.sum(0), [8, 8])
    members, chosen = whole_cells(coarse[::-1], fine)
    np.testing.assert_array_equal(chosen, np.arange(5))
    assert members[0, 4] == 1


def test_no_cell_is_whole_of_one_point_and_none_without_points():
    for coarse, fine in (([0.0, 25], [3.0]), ([3.0], [0.0, 1, 2])):
        member, chosen = whole_cells(np.array(coarse), np.array(fine))
        assert member.shape == (len(fine), 0)
        assert chosen.size == 0
    member, chosen = whole_cells(np.arange(0.0, 4, 0.5), np.arange(4.0))
    assert (member.sum(0) > 0).all()
    assert 0 < chosen.size < 8


def test_a_cell_is_so_many_points_wide_whatever_the_axes_direction():
    latitude = np.arange(30, 20, -0.01)
    assert points_across(np.arange(20, 30.1, 0.25), latitude) == 25
    assert points_across(np.arange(20, 30.1, 0.105), latitude) == 10  # as near as points allow
    assert points_across(latitude, latitude[::10]) == 1  # finer than the points
    assert points_across(np.array([5.0]), latitude) == 1
