import numpy as np
import pytest

from jaxrain.weather.humidity import (
    ALL_ICE_K,
    EPSILON,
    TRIPLE_POINT_K,
    relative_humidity,
    saturation_pressure,
)

_ZERO_C = 273.15


@pytest.mark.parametrize(
    ("celsius", "hectopascal"),
    # Smithsonian Meteorological Tables (6th edition, tables 94 and 96), over water and over ice.
    [(0, 6.1078), (10, 12.272), (20, 23.373), (30, 42.430), (-30, 0.3798), (-40, 0.1283)],
)
def test_saturation_is_that_of_the_published_tables(celsius, hectopascal):
    pressure = saturation_pressure(np.array(celsius + _ZERO_C)) / 100
    np.testing.assert_allclose(pressure, hectopascal, rtol=3e-3)


def test_phases_meet_without_a_jump():
    for edge in (TRIPLE_POINT_K, ALL_ICE_K):
        below, above = saturation_pressure(np.array([edge - 1e-6, edge + 1e-6]))
        np.testing.assert_allclose(below, above, rtol=1e-6)
    t = np.linspace(180, 330, 500)
    assert np.all(np.diff(saturation_pressure(t)) > 0)


def test_humidity_inverts_the_mixing_of_vapour_into_air():
    # Air with vapour at a share of saturation: q = epsilon e / (p - (1 - epsilon) e).
    t = np.array([[250.0], [270.0], [300.0]])
    pressure = np.array([300.0, 850.0])
    share = np.array([0.0, 0.7])
    e = share * saturation_pressure(t)
    q = EPSILON * e / (100 * pressure - (1 - EPSILON) * e)
    got = relative_humidity(q, t, pressure)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.broadcast_to(100 * share, (3, 2)), rtol=1e-6)


def test_humidity_of_warm_air_is_that_of_metpys_documentation():
    # relative_humidity_from_specific_humidity(1013.25 hPa, 30 degC, 18/1000), after WMO no. 8.
    got = relative_humidity(np.array(0.018), np.array(30 + _ZERO_C), np.array(1013.25))
    np.testing.assert_allclose(got, 68.4991531, rtol=2e-3)
