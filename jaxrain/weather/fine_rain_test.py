from pathlib import Path

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.fine_rain import choose_variable, fine_dataset, without_fill

_PATH = Path("a.nc")


def test_fill_values_are_missing_and_rain_is_not():
    values = [0.0, 0.01, 12.5, 305.0, 9999.0, 999.9, -9999.0, -1.0, -0.1, np.nan, np.inf, -1e-5]
    missing = [False] * 4 + [True] * 7 + [False]
    rain = without_fill(np.array(values))
    np.testing.assert_array_equal(np.isnan(rain), missing)
    np.testing.assert_array_equal(rain[:4], np.float32(values[:4]))
    assert rain[-1] == 0.0
    assert rain.dtype == np.float32


@pytest.mark.parametrize("name", ["unknown", "rain", "tp", "PRE", "PRE_1h", "anything"])
def test_the_only_variable_is_the_rain(name):
    assert choose_variable([name], None, _PATH) == name


def test_of_several_the_one_called_so_or_the_one_named():
    assert choose_variable(["quality", "PRE_1h"], None, _PATH) == "PRE_1h"
    assert choose_variable(["quality", "PRE_1h"], "quality", _PATH) == "quality"
    with pytest.raises(InputError, match="holds quality, flag, expected one variable of rain"):
        choose_variable(["quality", "flag"], None, _PATH)
    with pytest.raises(InputError, match="holds rain, tp, expected one"):
        choose_variable(["rain", "tp"], None, _PATH)
    with pytest.raises(InputError, match="no variable 'pre'; it holds rain, tp"):
        choose_variable(["rain", "tp"], "pre", _PATH)


def test_times_that_missed_the_minute_are_whole():
    time = np.array(["2022-10-18T00:49:59.999999"], "datetime64[ns]")
    axes = {"y": ("y", np.arange(2.0)), "x": ("x", np.arange(3.0))}
    dataset = fine_dataset(np.zeros((1, 2, 3)), time, axes, ("y", "x"))
    assert dataset.time.values[0] == np.datetime64("2022-10-18T00:50", "ns")
