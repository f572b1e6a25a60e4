import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.pairs.cases import cases
from jaxrain.pairs.recipe import Window
from jaxrain.pairs.store import open_store


def _window(**changes):
    keys = {"file": "b.nc", "time": "2020-01-01T19", "y": 3, "x": 5, "size": 20}
    return Window(**(keys | changes))


def test_without_windows_an_areas_hours_are_one_case(filled):
    store = open_store(filled.config().store)
    (case,) = cases(store, filled.config(), "test")
    (area,) = store.areas
    assert case.origin == (0, 0)
    assert case.fine_grid.shape == (40, 48)
    np.testing.assert_array_equal(case.hours, area.hours[area.indices("test")])
    np.testing.assert_array_equal(case.truth[1], area.fine(area.indices("test")[1]))
    np.testing.assert_array_equal(case.coarse[1], area.coarse(area.indices("test")[1]))


def test_a_window_is_a_piece_of_one_hour_with_the_whole_coarse_field(filled):
    config = filled.config(windows=[_window(), _window(y=20, x=28)])
    store = open_store(config.store)
    first, second = cases(store, config, "test")
    assert first.name == "area0_20200101T1900_y3_x5"
    assert (first.origin, second.origin) == ((3, 5), (20, 28))
    (area,) = store.areas
    index = list(area.hours).index(np.datetime64("2020-01-01T19"))
    np.testing.assert_array_equal(first.truth[0], area.fine(index)[3:23, 5:25])
    np.testing.assert_array_equal(first.fine_grid.y, area.fine_grid.y[3:23])
    assert first.coarse.shape == (1, 11, 11, 12)
    assert first.hours.shape == (1,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": 21}, "leave the area of 40 x 48"),
        ({"time": "2020-01-01T05"}, "no such hour in the split 'test'"),
        ({"file": "c.nc"}, "no such hour"),
    ],
)
def test_a_window_that_is_not_there_is_refused(filled, changes, message):
    config = filled.config(windows=[_window(**changes)])
    with pytest.raises(InputError, match=message):
        cases(open_store(config.store), config, "test")
