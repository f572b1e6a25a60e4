"""GRIB of other models than ERA5, and what a file may hold beside one analysis."""

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.era5 import inventory, read_coarse
from jaxrain.weather.humidity import relative_humidity
from jaxrain.weather.made_grib_test import joined, message, pressure_message
from jaxrain.weather.variables import STANDARD_GRAVITY

_RNG = np.random.default_rng(0)
_SHAPE = (9, 9)


def _file(tmp_path, *parts, name="a.grib"):
    path = tmp_path / name
    path.write_bytes(b"".join(parts))
    return path


def _ncep(name, values, **keys):
    return pressure_message(name, 500, values, centre="kwbc", packingType="grid_complex", **keys)


def test_wind_of_one_message_and_height_of_the_geopotential(tmp_path):
    u, v, height = (_RNG.normal(mean, 10, _SHAPE) for mean in (5, -3, 5500))
    path = _file(
        tmp_path, joined(_ncep("u", u), _ncep("v", v), shared=4), _ncep("gh", height), name="gfs"
    )
    dataset = read_coarse(path, variables=["u", "v", "z"], levels=[500])
    np.testing.assert_allclose(dataset.u[0, 0], u, atol=1e-4)
    np.testing.assert_allclose(dataset.v[0, 0], v, atol=1e-4)
    np.testing.assert_allclose(dataset.z[0, 0], STANDARD_GRAVITY * height, atol=0.01)
    assert dataset.z.attrs["file_units"] == "gpm"


def test_geopotential_goes_before_its_height_field_by_field(tmp_path):
    z, height = np.full(_SHAPE, 50_000.0), np.full(_SHAPE, 5000.0)
    path = _file(
        tmp_path,
        pressure_message("gh", 500, height),
        pressure_message("z", 500, z),
        pressure_message("gh", 850, height),
    )
    dataset = read_coarse(path, variables=["z"], levels=[500, 850])
    np.testing.assert_allclose(dataset.z[0, 0], z)
    np.testing.assert_allclose(dataset.z[0, 1], STANDARD_GRAVITY * height)


def test_real_gfs_file_keeps_both_winds_and_refuses_six_hours_of_rain(shared_data):
    path = shared_data / "grib" / "gfs_other" / "gfs.grb"
    has = inventory(path)
    assert has.levels["u"] == has.levels["v"]
    with pytest.raises(InputError, match=r"message 200: tp is a sum over 6 hours that ends at"):
        read_coarse(path, variables=["tp"], levels=[])
    dataset = read_coarse(path, variables=["r", "z", "v"], levels=[850, 500])
    assert 0 <= float(dataset.r.min()) < float(dataset.r.max()) <= 100
    assert dataset.v.notnull().all()


def test_humidity_is_made_from_specific_humidity_where_the_config_says_so(tmp_path):
    q, t = _RNG.uniform(0, 0.01, _SHAPE), _RNG.uniform(240, 300, _SHAPE)
    path = _file(
        tmp_path,
        pressure_message("q", 850, q, bitsPerValue=24),
        pressure_message("t", 850, t),
        pressure_message("t", 850, t, dataTime=700),
    )
    with pytest.raises(InputError, match=r"lacks r; .*make r .* with data\.derive_humidity=true"):
        read_coarse(path, variables=["r"], levels=[850])
    for partial in (False, True):
        dataset = read_coarse(
            path, variables=["r"], levels=[850], derive_humidity=True, partial=partial
        )
        assert list(dataset) == ["r"]
        assert dataset.sizes["time"] == 1
        np.testing.assert_allclose(dataset.r[0, 0], relative_humidity(q, t, 850.0), rtol=1e-4)
        assert dataset.r.attrs["units"] == "%"
        assert dataset.r.attrs["derived_from"] == "q [kg kg**-1], t"
    both = read_coarse(path, variables=["r", "t"], levels=[850], derive_humidity=True)
    assert both.attrs["incomplete_hours"] == "2022-06-01T07:00"
    alone = _file(tmp_path, pressure_message("q", 850, q), name="q.grib")
    with pytest.raises(InputError, match="holds q without t"):
        read_coarse(alone, variables=["r", "t"], levels=[850], derive_humidity=True, partial=True)


def test_humidity_of_the_file_goes_before_a_made_one(tmp_path):
    path = _file(
        tmp_path,
        *(
            pressure_message(name, 850, np.full(_SHAPE, value))
            for name, value in (("q", 0.01), ("t", 280.0), ("r", 55.0))
        ),
    )
    dataset = read_coarse(path, variables=["r"], levels=[850], derive_humidity=True)
    np.testing.assert_allclose(dataset.r, 55.0)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"stream": "moda"}, r"message 1: t is a mean over a month \(stream 'moda'"),
        ({"type": "es"}, r"message 1: t is a spread \(stream '\w+', type 'es'\)"),
        ({"type": "pf", "perturbationNumber": 3}, "message 1: t is member 3 of an ensemble"),
    ],
)
def test_what_is_no_weather_of_an_hour_is_refused(tmp_path, keys, words):
    field = pressure_message(
        "t",
        850,
        np.full(_SHAPE, 280.0),
        edition=1,
        setLocalDefinition=1,
        localDefinitionNumber=1,
        **keys,
    )
    with pytest.raises(InputError, match=words):
        read_coarse(_file(tmp_path, field), variables=["t"], levels=[850])


def test_means_over_a_time_and_other_levels_are_named_as_no_predictors(tmp_path):
    field = np.full(_SHAPE, 280.0)
    mean = pressure_message(
        "u", 850, field, productDefinitionTemplateNumber=8, typeOfStatisticalProcessing=0
    )
    at_two_metres = message(field, typeOfLevel="heightAboveGround", level=80, shortName="t")
    path = _file(tmp_path, pressure_message("t", 850, field), mean, at_two_metres)
    has = inventory(path)
    assert list(has.levels) == ["t"]
    assert len(has.others) == 2
    with pytest.raises(InputError, match=r"lacks u; it holds t on 850 hPa; .*no predictors"):
        read_coarse(path, variables=["u"], levels=[850])


def test_hour_that_lacks_a_level_is_left_out_and_told(tmp_path):
    field = np.full(_SHAPE, 280.0)
    path = _file(
        tmp_path,
        pressure_message("t", 850, field, dataTime=600),
        pressure_message("t", 500, field, dataTime=600),
        pressure_message("t", 850, field, dataTime=700),
    )
    for partial in (False, True):
        dataset = read_coarse(path, variables=["t"], levels=[850, 500], partial=partial)
        assert dataset.sizes["time"] == 1
        assert dataset.attrs["incomplete_hours"] == "2022-06-01T07:00"


def test_levels_in_pascals_are_those_in_hectopascals(tmp_path):
    fields = _RNG.normal(280, 5, (2, *_SHAPE))
    path = _file(
        tmp_path,
        pressure_message("t", 500, fields[0]),
        message(
            fields[1],
            typeOfFirstFixedSurface=100,
            scaleFactorOfFirstFixedSurface=0,
            scaledValueOfFirstFixedSurface=85000,
            parameterCategory=0,
            parameterNumber=0,
            dataDate=20220601,
            dataTime=600,
        ),
    )
    dataset = read_coarse(path, variables=["t"], levels=[500, 850])
    np.testing.assert_allclose(dataset.t[0], fields, atol=1e-4)


class _Box:
    def __init__(self, south, north, west, east):
        self.south, self.north, self.west, self.east = south, north, west, east


@pytest.mark.parametrize(("west", "east"), [(-15, 15), (345, 15), (165, -165), (165, 195)])
@pytest.mark.parametrize("first", [0, 180, -180])
@pytest.mark.parametrize("upward", [False, True])
def test_region_lies_across_any_seam_of_the_globe(tmp_path, west, east, first, upward):
    latitude, longitude = np.linspace(40, -40, 9), first + np.arange(0, 360, 15.0)
    if upward:
        latitude = latitude[::-1]
    field = 1000 * latitude[:, None] + longitude[None, :] % 360
    path = _file(
        tmp_path,
        pressure_message(
            "t",
            850,
            field,
            latitude=(latitude[0], latitude[-1]),
            longitude=(longitude[0], longitude[-1]),
        ),
    )
    dataset = read_coarse(path, variables=["t"], levels=[850], region=_Box(-10, 10, west, east))
    # One cell of margin on every side.
    np.testing.assert_allclose(dataset.latitude, [20, 10, 0, -10, -20])
    np.testing.assert_allclose(np.diff(dataset.longitude), 15)
    np.testing.assert_allclose(dataset.longitude % 360, (west - 15 + 15 * np.arange(5)) % 360)
    expected = 1000 * dataset.latitude.values[:, None] + dataset.longitude.values[None, :] % 360
    np.testing.assert_allclose(dataset.t[0, 0], expected, atol=0.01)
