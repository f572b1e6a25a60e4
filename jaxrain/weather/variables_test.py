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
    plausible_range,
    split_channel,
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


def test_plausible_ranges_hold_the_standard_atmosphere_at_its_level():
    # ISO 2533, tables: geopotential height [gpm] and temperature [K].
    for level, height, temperature in ((850, 1457.3, 278.68), (500, 5574.4, 251.92),
                                       (100, 16179.7, 216.65), (10, 31054.6, 227.70)):  # fmt: skip
        low, high = plausible_range(f"z{level}")
        assert low < STANDARD_GRAVITY * height < high
        assert (low / STANDARD_GRAVITY, high / STANDARD_GRAVITY) == pytest.approx(
            (0.85 * height - 900, 1.12 * height + 800), abs=1
        )
        low, high = plausible_range(f"t{level}")
        assert low < temperature < high


@pytest.mark.parametrize(
    ("channel", "wrong"),
    [
        ("z850", 1457.0),  # metres taken for m2 s-2
        ("z500", 5574.0),
        ("z500", 14290.0),  # 850 hPa taken for 500
        ("z300", 54660.0),  # 500 taken for 300
        ("t850", 15.0),  # degrees Celsius
        ("t850", 340.0),
    ],
)
def test_a_unit_or_level_taken_for_another_is_implausible(channel, wrong):
    low, high = plausible_range(channel)
    assert not low <= wrong <= high


def test_channels_without_a_level_have_the_variables_range():
    assert plausible_range("tp") == plausible_range("tp850") == VARIABLES["tp"].plausible
    assert plausible_range("z5") == VARIABLES["z"].plausible
    assert split_channel("u850") == ("u", 850)
    assert split_channel("tp") == ("tp", None)
