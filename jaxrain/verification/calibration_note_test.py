import json

import pytest

from jaxrain.verification.calibration_note import ATTRIBUTE, calibration_table
from jaxrain.verification.tables import csv_text, html

REPORT = {
    "windows": 6,
    "hours": 4,
    "points": 98304,
    "members": 8,
    "before": {"crps_mm": 0.25, "spread_skill": 0.5, "wet_area_ratio": 1.5, "p99.9_ratio": 0.5},
    "after": {"crps_mm": 0.2, "spread_skill": 1.0, "wet_area_ratio": 1.0},
}


def test_before_and_after_stand_one_below_the_other_with_what_they_rest_on():
    table = calibration_table({ATTRIBUTE: json.dumps(REPORT)})
    assert csv_text(table).splitlines() == [
        'group,row,CRPS [mm],spread/skill,"wet area, of truth\'s",'
        '"99.9th percentile, of truth\'s",hours',
        ",as they come,0.25,0.5,1.5,0.5,4",
        ",calibrated,0.2,1.0,1.0,,4",
    ]
    assert "4 hours, 6 windows, 98\u202f304 points, 8 members" in html(table)
    held_out = calibration_table({ATTRIBUTE: json.dumps(REPORT | {"held_out": {"crps_mm": 0.22}})})
    assert csv_text(held_out).splitlines()[-1] == ",held out,0.22,,,,4"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", json.dumps(REPORT | {"hours": "4"}), "[" * 100_000]
)
def test_what_cannot_be_read_is_no_table(text):
    assert calibration_table({ATTRIBUTE: text}) is None


def test_scores_that_are_no_numbers_are_dashes():
    hostile = REPORT | {"after": {"crps_mm": "<b>", "spread_skill": float("nan")}}
    text = html(calibration_table({ATTRIBUTE: json.dumps(hostile)}))
    assert "<b>" not in text
    assert text.count("<td>–</td>") == 4
    assert calibration_table({}) is None
