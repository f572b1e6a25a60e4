import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.variables import (
    ERA5_LEVELS,
    PREDICTORS,
    STANDARD_GRAVITY,
    VARIABLES,
    canonical_name,
    cf_attributes,
    channel_names,
    check_predictors,
    to_canonical,
)


def test_no_name_means_two_predictors():
    names = [name for each in PREDICTORS for name in (each, *VARIABLES[each].aliases)]
    assert len(names) == len(set(names))
    assert canonical_name("u_component_of_wind") == "u"
    assert canonical_name("relative_humidity") == "r"
    assert canonical_name("total_precipitation") == "tp"
    assert canonical_name("2t") is None


def test_only_winds_are_signed():
    assert {name for name in PREDICTORS if VARIABLES[name].signed} == {"u", "v"}


@pytest.mark.parametrize(
    ("name", "units", "value", "expected"),
    [
        ("tp", "m", 0.00125, 1.25),
        ("tp", "kg m**-2", 1.25, 1.25),
        ("u", "m s**-1", -3.5, -3.5),
        ("r", "1", 0.5, 50.0),
        ("z", "m**2 s**-2", 54000.0, 54000.0),
        ("z", "gpm", 5500.0, 5500.0 * STANDARD_GRAVITY),
        ("rain", "unknown", 7.5, 7.5),
    ],
)
def test_units_become_canonical(name, units, value, expected):
    result = to_canonical(name, np.array([value]), units, "file")
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.float32(expected), rtol=1e-7)


def test_unknown_units_are_refused_by_name():
    with pytest.raises(InputError, match=r"a\.grib: t has units 'degC', expected K"):
        to_canonical("t", np.zeros(1), "degC", "a.grib")


def test_canonical_units_are_among_those_that_come_in():
    for variable in VARIABLES.values():
        values = np.array([1.5], np.float32)
        np.testing.assert_array_equal(
            to_canonical(variable.name, values, variable.units, ""), values
        )


def test_channels_are_variables_over_levels():
    assert channel_names(["v", "tp", "z"], [850, 500]) == ["v850", "v500", "tp", "z850", "z500"]


def test_unknown_predictor_names_the_known():
    with pytest.raises(
        InputError, match="'w' is no predictor, expected some of u, v, t, r, q, z, tp"
    ):
        check_predictors(["u", "w"])


def test_era5_has_37_levels_without_580():
    assert len(set(ERA5_LEVELS)) == 37
    assert 580 not in ERA5_LEVELS


def test_rain_is_a_sum_and_wind_a_point_in_time():
    assert cf_attributes("tp")["cell_methods"] == "time: sum"
    assert cf_attributes("u")["cell_methods"] == "time: point"
