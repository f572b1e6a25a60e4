import pytest

from jaxrain.errors import InputError
from jaxrain.verification.fine_reading import (
    FineReading,
    offset_told,
    reading_asked,
    reading_of_run,
)


@pytest.mark.parametrize(
    "section",
    [
        None,
        "data",
        {},
        {"fine_utc_offset_hours": "eight"},
        {"fine_utc_offset_hours": float("nan")},
        {"fine_utc_offset_hours": 800},
        {"fine_utc_offset_hours": 8, "fine_variable": ["rain"]},
    ],
)
def test_what_makes_no_sense_is_passed_over(section):
    assert reading_of_run([section]) == FineReading()
    other = {"fine_utc_offset_hours": 8, "fine_variable": "rain"}
    assert reading_of_run([section, other]) == FineReading("rain", 8.0)


@pytest.mark.parametrize("npy", [{"fine": {"channels": ["rain"]}}, ["fine"], 5])
def test_what_makes_no_sense_of_npy_takes_nothing_else_with_it(npy):
    section = {"fine_utc_offset_hours": 8, "fine_variable": "pre", "npy": npy}
    assert reading_of_run([section]) == FineReading("pre", 8.0)


def test_what_verify_is_told_goes_before_what_the_run_says():
    of_run = FineReading("rain", 8.0)
    assert reading_asked(of_run, None, None) == of_run
    assert reading_asked(of_run, "tp", 0.0) == FineReading("tp", 0.0)
    for hours in (15.0, float("nan")):
        with pytest.raises(InputError, match=r"--truth-utc-offset .*: expected hours from -14 to"):
            reading_asked(of_run, None, hours)


def test_a_run_of_npy_hours_says_their_grid():
    axis = {"first": 20.0, "step": 0.01, "size": 5}
    npy = {"fine": {"channels": ["rain"], "latitude": axis, "longitude": axis}, "coarse": None}
    said = reading_of_run([{"fine_utc_offset_hours": 8.0, "npy": npy}])
    assert said.npy is not None
    assert said.npy.grid("fine")[0][-1] == 20.04
    assert reading_asked(said, None, 0.0) == said._replace(utc_offset_hours=0.0)
    assert reading_of_run([{"fine_utc_offset_hours": 8.0, "npy": {"fine": None}}]).npy is None


def test_an_offset_is_told_where_there_is_one():
    assert offset_told(FineReading()) == []
    (line,) = offset_told(FineReading(utc_offset_hours=5.5))
    assert "UTC+5.5" in line
