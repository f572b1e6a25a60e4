import numpy as np
import pytest

from jaxrain.grids.grid import Grid
from jaxrain.pairs.steering import Drift, drift_of, shifts

HOURS = np.array(["2022-06-01T03", "2022-06-01T04", "2022-06-01T05"], "datetime64[s]")
CHANNELS = ["u850", "u500", "v850", "v500", "tp"]
COARSE = Grid(np.array([26.0, 25.0, 24.0, 23.0]), np.array([110.0, 111.0, 112.0]))
FINE = Grid(np.linspace(25.5, 23.5, 201), np.linspace(110.5, 111.5, 101))


def wind(u, v):
    """Outside the fine grid there blows another."""
    fields = np.full((3, 5, 4, 3), 99.0)
    fields[:, [0, 2], 1:3, 1:2] = np.stack([u, v], -1)[..., None, None]
    return fields


def test_wind_is_the_areas_mean_at_the_nearest_level_in_pixels():
    kilometres = np.pi / 180 * 6371 * 0.01  # between rows
    drift = drift_of(HOURS, wind([10, 20, 30], [5, -5, 0]), CHANNELS, COARSE, FINE)
    np.testing.assert_array_equal(drift.hours, HOURS)
    # Rows run southwards: what blows north goes to smaller ones.
    np.testing.assert_allclose(drift.pixels[:, 0], np.array([-5, 5, 0]) * 3.6 / kilometres)
    east = np.array([10, 20, 30]) * 3.6 / (kilometres * np.cos(np.radians(24.5)))
    np.testing.assert_allclose(drift.pixels[:, 1], east)


def test_on_a_projection_axes_are_km():
    fine = Grid(np.arange(0.0, 4, 2), np.arange(3.0), projected=True)
    drift = drift_of(HOURS, wind([10, 10, 10], [5, 5, 5]), CHANNELS, COARSE, fine)
    assert drift.pixels.shape == (3, 2)
    field = np.stack([np.full((4, 3), value) for value in (10.0, 0.0, 5.0, 0.0, 0.0)])
    drift = drift_of(HOURS[:1], field[None], CHANNELS, COARSE, fine)
    np.testing.assert_allclose(drift.pixels, [[5 * 3.6 / 2, 10 * 3.6]])


def test_missing_wind_is_left_out_and_no_wind_is_no_drift():
    fields = wind([10, 20, 30], [5, 5, 5])
    fields[1, 0] = np.nan
    fields[2, 0, 1, 1] = np.nan
    drift = drift_of(HOURS, fields, CHANNELS, COARSE, FINE)
    np.testing.assert_array_equal(drift.hours, HOURS[[0, 2]])
    np.testing.assert_allclose(drift.pixels[1] / drift.pixels[0], [1, 3])
    assert drift_of(HOURS, fields, ["u850", "t850", "v500", "r1", "tp"], COARSE, FINE) is None
    assert drift_of(HOURS, np.full_like(fields, np.nan), CHANNELS, COARSE, FINE) is None


def test_shifts_add_up_the_way_from_hour_to_hour():
    drift = Drift(HOURS, np.array([[1.4, 10], [2.0, 20.6], [-3.0, 30]]))
    way = shifts(drift, HOURS, 3)
    assert way.dtype == np.int32
    # To 04:00 with the wind of 03:00; before 03:00 none is known, so that of 03:00 too.
    np.testing.assert_array_equal(way[1], [[0, 0], [1, 10], [2, 20]])
    np.testing.assert_array_equal(way[2], [[0, 0], [2, 21], [3, 31]])
    np.testing.assert_array_equal(way[2, 1:] - way[2, 1], way[1, :2])  # what both share
    np.testing.assert_array_equal(shifts(drift, HOURS[2:], 3)[0], way[2])


@pytest.mark.parametrize(("drift", "back"), [(None, 4), (Drift(HOURS, np.ones((3, 2))), 1)])
def test_without_wind_or_memory_nothing_moves(drift, back):
    np.testing.assert_array_equal(shifts(drift, HOURS, back), np.zeros((3, back, 2)))
