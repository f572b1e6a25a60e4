import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrain.errors import InputError
from jaxrain.weather.levels import level_weights


def test_levels_that_are_there_are_copied():
    weights = level_weights([500, 850], [850, 700, 500], interpolate=False, what="f: t")
    np.testing.assert_array_equal(weights, [[0, 0, 1], [1, 0, 0]])


def test_missing_level_names_the_nearest():
    with pytest.raises(InputError, match="no level 580 hPa, nearest are 550 and 600"):
        level_weights([580], [850, 600, 550, 300], interpolate=False, what="f: t")


@given(st.floats(301, 849))
def test_interpolation_is_exact_for_what_is_linear_in_log_pressure(level):
    have = np.array([850.0, 700.0, 500.0, 300.0])
    weights = level_weights([level], have, interpolate=True, what="f: t")
    np.testing.assert_allclose(weights.sum(), 1.0)
    np.testing.assert_allclose(weights @ np.log(have), np.log(level), rtol=1e-12)
    assert np.all(weights >= 0)


def test_nothing_is_extrapolated():
    with pytest.raises(InputError, match="expected one on either side"):
        level_weights([1000], [850, 700], interpolate=True, what="f: t")
