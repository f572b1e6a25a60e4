import numpy as np
import pytest
import xarray as xr

from jaxrain.weather.projections import RADOLAN, grid_mapping, polar_stereographic, with_mapping


def test_the_standard_parallel_is_true_and_the_central_meridian_upright():
    # Along 60 N a degree of longitude is as long as on the sphere; 10 E runs straight south.
    latitude, longitude = np.array([60.0, 60.0]), np.array([10.0, 10.0 + 1e-4])
    x, y = polar_stereographic(RADOLAN, latitude, longitude)
    assert x[0] == 0
    assert y[0] < 0
    assert x[1] == pytest.approx(6370.04 * np.cos(np.pi / 3) * np.radians(1e-4), rel=1e-6)


def test_radolans_corner_is_where_its_format_says():
    # The 900 x 900 grid begins at 46.9526 N, 3.5889 E, x = -523.4622 km, y = -4658.645 km.
    x, y = polar_stereographic(RADOLAN, np.array([46.9526]), np.array([3.5889]))
    np.testing.assert_allclose([x[0], y[0]], [-523.4622, -4658.645], atol=0.02)


def grid(shift=0.0):
    x, y = np.arange(-20.0, 20.0), np.arange(-4000.0, -4030.0, -1.0)
    plane_x, plane_y = np.meshgrid(x, y)
    # The inverse of the projection in closed form.
    rho = np.hypot(plane_x, plane_y) / 6370.04 / (1 + np.sin(np.pi / 3))
    latitude = np.degrees(np.pi / 2 - 2 * np.arctan(rho))
    longitude = 10 + np.degrees(np.arctan2(plane_x, -plane_y)) + shift
    return xr.Dataset(
        {"rain": (("y", "x"), np.zeros((30, 40)))},
        {"x": x, "y": y, "latitude": (("y", "x"), latitude), "longitude": (("y", "x"), longitude)},
    )


def test_radolan_is_known_by_its_points_and_nothing_else_is():
    assert grid_mapping(grid(), "rain") == RADOLAN
    assert grid_mapping(grid(shift=0.1), "rain") is None
    assert grid_mapping(grid().drop_vars(["latitude", "longitude"]), "rain") is None


def test_a_files_own_mapping_comes_first_and_goes_round():
    lambert = {"grid_mapping_name": "lambert_conformal_conic", "standard_parallel": 48.0}
    dataset = with_mapping(grid(), lambert)
    assert dataset["rain"].attrs["grid_mapping"] == "crs"
    assert grid_mapping(dataset, "rain") == lambert
    assert with_mapping(grid(), None).identical(grid())
