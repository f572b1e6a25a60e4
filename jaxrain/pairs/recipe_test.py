import datetime

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from jaxrain.pairs.recipe import DataConfig, Selection, Window, parse_period

HOURS = np.arange("2022-10-17T20:50", "2022-10-19T05:50", 60, "datetime64[m]")


def _load(**keys):
    return TypeAdapter(DataConfig).validate_python(keys)


@pytest.mark.parametrize(
    ("period", "first", "count"),
    [
        ("2022-10-18T00/2022-10-18T15", "2022-10-18T00:50", 16),
        ("2022-10-18T20/2022-10-18T23", "2022-10-18T20:50", 4),
        ("2022-10-18", "2022-10-18T00:50", 24),
        ("2022-10", "2022-10-17T20:50", 33),
        ("2021", "", 0),
    ],
)
def test_a_period_holds_both_ends_to_their_precision(period, first, count):
    inside = HOURS[Selection(period=period).matches("a.nc", HOURS)]
    assert len(inside) == count
    assert count == 0 or inside[0] == np.datetime64(first)


def test_a_selection_takes_files_by_name():
    selection = Selection(files="radolan_*")
    assert selection.matches("radolan_2014.nc", HOURS).all()
    assert not selection.matches("mrms.nc", HOURS).any()


def test_splits_are_written_as_periods_or_as_files_and_periods():
    config = _load(
        splits={"train": ["2020-01/2020-02", 2021, datetime.date(2022, 1, 1), {"files": "a*"}]}
    )
    periods = [selection.period for selection in config.splits.train]
    assert periods == ["2020-01/2020-02", "2021", "2022-01-01", None]


@pytest.mark.parametrize("period", ["soon", "2020-02/2020-01", "2020-13", ""])
def test_a_period_that_is_none_is_refused(period):
    with pytest.raises(ValueError, match="expected"):
        parse_period(period)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"variables": ["u", "t"]}, "target=difference needs rain among the predictors"),
        ({"coarsen": 25}, "variables=\\[tp\\]"),
        ({"variables": []}, "at least one predictor"),
        ({"levels": [850, 850]}, "twice"),
        ({"augment": True}, "u, v, z would not turn"),
        ({"augment_amounts": 2}, "augment_amounts=2.0 multiplies rain"),
        ({"augment_contrast": 1.4}, "augment_contrast=1.4 makes the coarse rain anew"),
        ({"patch": "big"}, "patch"),
        ({"regoin": {}}, "regoin"),
        ({"region": {"north": 1, "south": 2, "west": 0, "east": 1}}, "south < north"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(keys, message):
    with pytest.raises(ValidationError, match=message):
        _load(**keys)


def test_a_target_without_rain_may_be_direct():
    assert _load(variables=["u"], target="direct").target == "direct"


def test_a_window_is_named_by_a_time_in_utc():
    place = {"file": "a.nc", "y": 0, "x": 0, "size": 8}
    assert Window(time="2022-10-18T16:00Z", **place).time == "2022-10-18T16:00"
    with pytest.raises(ValidationError, match=r"'.*\+08:00' names a zone: times are UTC"):
        Window(time="2022-10-18T16:00+08:00", **place)
