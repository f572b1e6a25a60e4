import numpy as np
import pytest

from jaxrain.grids.boxes import Box, boxed, overlaps
from jaxrain.grids.grid import Grid

WHOLE = Grid(y=30 - 0.1 * np.arange(21), x=110 + 0.1 * np.arange(31))  # 28..30 N, 110..113 E


@pytest.mark.parametrize("turn", [0, 360, -360])
def test_a_box_holds_its_edges_in_any_turn_of_the_globe(turn):
    piece = boxed(WHOLE, Box(29.5, 111.0 + turn, 28.7, 111.6 + turn))
    assert piece.origin == (5, 10)
    assert piece.beyond == 0
    np.testing.assert_array_equal(piece.grid.y, WHOLE.y[5:14])
    np.testing.assert_array_equal(piece.grid.x, WHOLE.x[10:17])


def test_rows_may_run_northwards():
    piece = boxed(Grid(y=WHOLE.y[::-1], x=WHOLE.x), Box(29.5, 111.0, 28.7, 111.6))
    assert piece.origin == (7, 10)
    np.testing.assert_array_equal(piece.grid.y, WHOLE.y[::-1][7:16])


def test_beyond_its_edges_the_grid_goes_on():
    piece = boxed(WHOLE, Box(30.35, 109.8, 29.75, 110.2))
    assert piece.origin == (-3, -2)
    np.testing.assert_allclose(piece.grid.y, [30.3, 30.2, 30.1, 30.0, 29.9, 29.8])
    np.testing.assert_allclose(piece.grid.x, [109.8, 109.9, 110.0, 110.1, 110.2])
    assert piece.beyond == 6 * 5 - 3 * 3


def test_a_box_may_cross_the_date_line():
    piece = boxed(Grid(y=WHOLE.y, x=178 + 0.5 * np.arange(9)), Box(30, 179.0, 28, -179.0))
    np.testing.assert_allclose(piece.grid.x, [179, 179.5, 180, 180.5, 181])
    assert piece.origin == (0, 2)


def test_a_wide_box_holds_all_that_lies_in_it_in_any_turn():
    over = Grid(y=WHOLE.y, x=170 + 0.5 * np.arange(41))  # 170..190 E
    for box in (Box(30, -180, 28, 180), Box(30, 0, 28, 360)):
        assert boxed(over, box).grid.shape == over.shape
        assert boxed(over, box).beyond == 0
    assert boxed(over, Box(30, -200, 28, -169)).beyond == 21 * 22  # 160..191 E
    assert str(Box(30, 175, 28, -175)) == "28..30 N, 175..-175 E over the date line"


def test_of_a_projected_grid_it_is_the_rectangle_around_its_points():
    y, x = np.mgrid[0.0:12, 0:15]
    turned = {"latitude": 50 + 0.1 * y + 0.03 * x, "longitude": 10 + 0.1 * x - 0.03 * y}
    whole = Grid(y[:, 0], x[0], projected=True, **turned)
    box = Box(50.8, 10.3, 50.4, 10.9)
    piece = boxed(whole, box)
    (row, column), (height, width) = piece.origin, piece.grid.shape
    inside = (turned["latitude"] >= 50.4) & (turned["latitude"] <= 50.8)
    inside &= (turned["longitude"] >= 10.3) & (turned["longitude"] <= 10.9)
    kept = np.zeros(whole.shape, bool)
    kept[row : row + height, column : column + width] = True
    assert inside.any()
    assert not (inside & ~kept).any()
    assert not piece.cut
    assert boxed(whole, Box(60, 10.3, 50.4, 10.9)).cut
    edges = inside[row, :], inside[row + height - 1, :], inside[:, column]
    assert all(edge.any() for edge in (*edges, inside[:, column + width - 1]))
    assert not overlaps(whole, Box(60, 10, 59, 11))
    with pytest.raises(ValueError, match="no latitude and longitude"):
        boxed(Grid(y[:, 0], x[0], projected=True), box)


def test_a_box_that_touches_no_point_does_not_overlap():
    assert overlaps(WHOLE, Box(40, 100, 29.95, 110.05))
    assert not overlaps(WHOLE, Box(40, 100, 31, 120))
    assert not overlaps(WHOLE, Box(29.58, 111, 29.52, 112))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((28, 111, 29, 112), "south 29 and north 28"),
        ((95, 111, 29, 112), "south 29 and north 95"),
        ((np.nan, 111, 29, 112), "north nan"),
        ((30, 111, 29, np.inf), "east inf"),
        ((30, 111, 29, 111), "expected two longitudes"),
        ((30, 111, 29, 1e6), "expected two longitudes"),
        ((29.72, 111, 29.66, 112), "holds 1 x 11 points, expected 2 x 2 or more"),
        ((29.58, 111, 29.52, 112), "no point lies between 29.52 and 29.58"),
    ],
)
def test_no_boxes_are_refused(box, message):
    with pytest.raises(ValueError, match=message):
        boxed(WHOLE, Box(*box))


def test_an_uneven_grid_is_known_where_its_points_are_alone():
    uneven = Grid(y=np.asarray([30.0, 29.9, 29.6, 29.5, 29.0]), x=WHOLE.x)
    piece = boxed(uneven, Box(29.95, 110, 29.5, 111))
    np.testing.assert_array_equal(piece.grid.y, [29.9, 29.6, 29.5])
    assert piece.origin == (1, 0)
    with pytest.raises(ValueError, match=r"uneven and ends between 29\.5 and 31"):
        boxed(uneven, Box(31, 110, 29.5, 111))
