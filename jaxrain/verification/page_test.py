import numpy as np
import pytest

from jaxrain.verification.page import headline
from jaxrain.verification.tables import bounds, number


@pytest.mark.parametrize(
    ("skill", "expected"),
    [
        (
            (0.312, 0.28, 0.35),
            "31 % below the error of bilinear interpolation (95 %: 28 to 35 % below)",
        ),
        (
            (-0.1, -0.2, -0.05),
            "10 % above the error of bilinear interpolation (95 %: 5 to 20 % above)",
        ),
        ((0.1, -0.05, 0.2), "no clear difference (95 %: 5 % above to 20 % below)"),
        ((0.1, None, None), "too few hours for an interval"),
        ((None, None, None), "nothing to compare"),
    ],
)
def test_the_headline_says_no_more_than_the_interval_allows(skill, expected):
    assert expected in headline(interval(skill), "bilinear")
    assert expected.partition(" the error")[0] in headline(interval(skill), "unet")


def interval(values):
    return dict(zip(("value", "low", "high"), values, strict=True))


def test_the_headline_names_what_it_is_against():
    skill = interval((0.3, 0.2, 0.4))
    assert "30 % below the CRPS of climatology (95 %" in headline(skill, "climatology")
    assert "30 % below the CRPS of unet (95 %" in headline(skill, "unet")


def test_numbers_are_short_and_the_unknown_is_a_dash():
    assert [number(v) for v in (None, 0.0, 1e-9, -0.02841, 0.3, 12.345, 1234.5)] == [
        "–", "0", "0", "−0.0284", "0.300", "12.3", "1.23e+03",
    ]  # fmt: skip
    assert number(np.float64(0.9999)) == "1.00"
    assert bounds({"value": 1.0, "low": None, "high": None}) == ""
    assert bounds({"value": 1.0, "low": 0.5, "high": 2.0}) == "0.500 to 2.00"
