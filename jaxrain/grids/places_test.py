import numpy as np
import pytest

from jaxrain.grids.grid import Grid
from jaxrain.grids.places import places_on, values_at


def stereographic(y_km, x_km):
    """Latitude and longitude of a north polar stereographic plane (sphere, true at 60 N)."""
    scale = 6371.0 * (1 + np.sin(np.radians(60)))
    latitude = 90 - 2 * np.degrees(np.arctan(np.hypot(y_km, x_km) / scale))
    return latitude, 10 + np.degrees(np.arctan2(x_km, -y_km))


@pytest.fixture(scope="module")
def plane():
    y, x = np.arange(-4200.0, -4270, -1), np.arange(-60.0, 30)
    latitude, longitude = stereographic(y[:, None], x[None, :])
    return Grid(y, x, True, latitude, longitude)


def test_places_between_points_either_way_round():
    grid = Grid(np.array([23.0, 22, 21]), np.array([358.0, 359, 360, 361]))
    found = places_on(grid, np.array([-0.5, 0.25, 359.0]), np.array([22.25, 21, 23]))
    np.testing.assert_allclose(found, [[0.75, 1.5], [2, 2.25], [0, 1]])


def test_outside_is_unknown_and_the_rim_is_inside():
    grid = Grid(np.array([20.0, 21]), np.array([110.0, 111]))
    found = places_on(grid, np.array([111.0, 111.01, 110.5]), np.array([20.0, 20.5, 21.2]))
    np.testing.assert_array_equal(found[0], [0, 1])
    assert np.isnan(found[1:]).all()


def test_places_on_a_projection_are_found_to_a_metre(plane):
    rng = np.random.default_rng(0)
    y, x = rng.uniform(-4269, -4200, 300), rng.uniform(-60, 29, 300)
    latitude, longitude = stereographic(y, x)
    found = places_on(plane, longitude, latitude)
    expected = np.stack([-4200 - y, x + 60], -1)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_outside_a_projection_is_unknown(plane):
    latitude, longitude = stereographic(np.array([-4100.0, -4230]), np.array([0.0, 40]))
    assert np.isnan(places_on(plane, longitude, latitude)).all()
    with pytest.raises(ValueError, match="without latitudes"):
        places_on(Grid(plane.y, plane.x, True), longitude, latitude)


def test_values_of_a_plane_are_exact_and_the_unknown_stays_where_it_has_weight():
    rows, columns = np.mgrid[:5, :6] * 1.0
    field = np.stack([2 * rows - columns, rows * 0 + 7])
    places = np.array([[1.5, 2.25], [4, 5], [0, 0.5]])
    expected = [2 * places[:, 0] - places[:, 1], np.full(3, 7)]
    np.testing.assert_allclose(values_at(field, places), expected)
    field[0, 1, 0] = np.nan
    found = values_at(field[0], np.array([[0, 0.5], [0.5, 0], [0, 0]]))
    np.testing.assert_array_equal(np.isnan(found), [False, True, False])
