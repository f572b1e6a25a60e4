import numpy as np
import pytest

from jaxrain.grids.grid import Grid


def _grid(**changes):
    axes = {"y": np.linspace(24.0, 20.0, 9), "x": np.linspace(110.0, 113.0, 7)}
    return Grid(**(axes | changes))


def test_a_window_holds_the_points_that_it_names():
    two_d = np.arange(63.0).reshape(9, 7)
    window = _grid(projected=True, latitude=two_d, longitude=-two_d).window(2, 1, 4, 3)
    assert window.shape == (4, 3)
    assert window.projected
    np.testing.assert_array_equal(window.y, [23.0, 22.5, 22.0, 21.5])
    np.testing.assert_array_equal(window.latitude, two_d[2:6, 1:4])
    np.testing.assert_array_equal(window.longitude, -two_d[2:6, 1:4])


@pytest.mark.parametrize("place", [(-1, 0, 2, 2), (8, 0, 2, 2), (0, 6, 1, 2)])
def test_a_window_outside_is_refused(place):
    with pytest.raises(ValueError, match="leaves a grid of 9 x 7"):
        _grid().window(*place)


def test_a_padded_grid_goes_on_as_it_is():
    rows, columns = np.mgrid[0.0:9, 0:7]
    places = {"projected": True, "latitude": rows + 0.1 * columns, "longitude": columns - rows}
    grid = _grid(**places)
    inner = grid.window(3, 2, 4, 3)
    again = inner.padded((3, 2), grid.shape)
    for name in ("y", "x", "latitude", "longitude"):
        np.testing.assert_allclose(getattr(again, name), getattr(grid, name), atol=1e-12)
    assert inner.padded((0, 0), inner.shape).same_as(inner)
    far = inner.padded((0, 0), (40, 3)).y
    np.testing.assert_allclose(np.diff(far), inner.y[1] - inner.y[0])


def test_grids_are_the_same_up_to_rounding_alone():
    grid = _grid()
    assert grid.same_as(_grid(y=grid.y + 1e-5))
    assert not grid.same_as(_grid(y=grid.y + 0.01))
    assert not grid.same_as(_grid(y=grid.y[:-1]))
    assert not grid.same_as(_grid(projected=True))


def test_the_extent_names_both_axes():
    assert _grid().extent() == "20.00..24.00 N, 110.00..113.00 E"
