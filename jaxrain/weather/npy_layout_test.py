import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from jaxrain.weather.npy_layout import Arrays, Axis, NpyFolders, channel_of, hour_pattern

_AXIS = {"first": 24.0, "step": -0.5, "size": 5}


def _arrays(**keys):
    grid = {"latitude": _AXIS, "longitude": {"first": 110.0, "last": 112.0, "size": 5}}
    return {**grid, "channels": ["rain"], **keys}


@pytest.mark.parametrize(
    "said",
    [
        {"step": -0.01, "last": 20.0},
        {"step": -0.01, "size": 401},
        {"last": 20.0, "size": 401},
        {"step": -0.01, "last": 20.0, "size": 401},
    ],
)
def test_two_of_three_say_an_axis(said):
    np.testing.assert_allclose(Axis(first=24.0, **said).values, 24.0 - 0.01 * np.arange(401))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"step": 0.1}, "expected two of step, last and size"),
        ({"step": 0.1, "last": 20.0}, "-40 steps of 0.1, expected a whole number"),
        ({"step": -0.3, "last": 20.0}, "13.3333 steps of -0.3"),
        ({"step": -1.0, "last": 20.0, "size": 4}, "are 5 points, size says 4"),
        ({"step": 0.0, "size": 4}, "expected a length"),
        ({"step": 1e-9, "last": 25.0}, "expected a whole number below 100000"),
        ({"step": 0.1, "last": float("inf")}, "inf steps of 0.1"),
        ({"last": 24.0, "size": 4}, "expected a length"),
        ({"last": 20.0, "size": 1}, "greater than or equal to 2"),
    ],
)
def test_an_axis_that_is_none_is_refused(said, message):
    with pytest.raises(ValidationError, match=message):
        Axis(first=24.0, **said)


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("u850", ("u", 850)),
        ("v_500", ("v", 500)),
        ("relative_humidity_850", ("r", 850)),
        ("gh1000", ("z", 1000)),
        ("tp", ("tp", None)),
        ("total_precipitation", ("tp", None)),
        ("rain", ("rain", None)),
    ],
)
def test_channels_are_variables_and_levels(name, channel):
    assert channel_of(name) == channel


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("u", "expected a level in hPa, as in u850"),
        ("tp850", "expected no level, tp"),
        ("snow", "expected one of u, v, t"),
        ("850", "expected one of"),
        ("", "expected one of"),
    ],
)
def test_a_channel_that_is_none_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        channel_of(name)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({"fine": _arrays(channels=["tp"])}, "expected one of them to be rain"),
        ({"fine": _arrays(latitude=None)}, "expected both or none"),
        ({"fine": _arrays(latitude=None, longitude=None)}, "fine: expected latitude"),
        ({"fine": _arrays(utc_offset_hours=8)}, "say data.fine_utc_offset_hours instead"),
        ({"coarse": _arrays()}, "coarse rain is called tp"),
        ({"coarse": {"channels": ["tp"]}}, "coarse: expected latitude and longitude"),
        ({"coarse": _arrays(channels=["u850", "u_850"])}, "name something twice"),
        ({"coarse": _arrays(channels=[])}, "at least 1 item"),
        ({"fine": _arrays(units={"tp": "m"})}, "units of 'tp': no channel holds it"),
        ({"fine": _arrays(units={"rain": "cm"})}, "units 'cm' of rain: expected mm"),
        ({"fine": _arrays(scaled={"signed": ["u850"]})}, "scaled.signed names 'u850'"),
        ({"fine": _arrays(names="rain_%Y%m%d.npy")}, "expected %Y, %m, %d and %H once each"),
        ({"fine": _arrays(names="%Y%m%d%H%d.npy")}, "once each"),
        ({"fine": _arrays(names="%y%m%d%H.npy")}, "once each"),
        ({"fine": _arrays(latitud={})}, "latitud"),
    ],
)
def test_what_cannot_be_meant_is_refused(folders, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(NpyFolders).validate_python(folders)


def test_predictors_that_were_interpolated_have_the_fine_grid():
    coarse = {"channels": ["-", "tp"], "units": {"tp": "m"}}
    folders = TypeAdapter(NpyFolders).validate_python({"fine": _arrays(), "coarse": coarse})
    for ours, fine in zip(folders.grid("coarse"), folders.grid("fine"), strict=True):
        np.testing.assert_array_equal(ours, fine)
    assert folders.coarse == Arrays(**coarse)
    assert folders.coarse.held == [("tp", None)]


def test_patterns_take_names_literally_but_for_their_marks():
    pattern = hour_pattern("era5.(1)_%Y-%m-%dT%H%M*.npy")
    match = pattern.fullmatch("era5.(1)_2020-01-02T0330_b.npy")
    assert match.groupdict() == {
        "year": "2020",
        "month": "01",
        "day": "02",
        "hour": "03",
        "minute": "30",
    }
    assert pattern.fullmatch("era5x(1)_2020-01-02T0330.npy") is None
