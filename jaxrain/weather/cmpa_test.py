import logging
from pathlib import Path

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.cmpa import check_hourly, is_cmpa_name, newest, parse_name

_NAME = "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-2022060101.GRB2"


def test_name_comes_apart():
    name = parse_name("Z_SURF_C_BABJ_20220101001916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-2022010100.GRB2")
    assert name.produced == np.datetime64("2022-01-01T00:19:16")
    assert name.valid == np.datetime64("2022-01-01T00")
    assert (name.stream, name.region, name.resolution) == ("RT", "BCGZ", "0P01")
    assert (name.product, name.number, name.suffix) == ("HOR", None, "GRB2")


@pytest.mark.parametrize("stream", ["RT", "NRT", "FRT", "FAST"])
@pytest.mark.parametrize("product", ["HOR", "3HOR", "DAY"])
@pytest.mark.parametrize("tail", ["", "-2022010312", "-2022010312_001", "_001"])
def test_every_form_of_name_is_known(stream, product, tail):
    text = f"Z_SURF_C_BABJ_20220105123000_P_CMPA_{stream}_CHN_0P05_{product}-PRE{tail}.nc"
    name = parse_name(text)
    assert (name.stream, name.product) == (stream, product)
    assert (name.valid is None) == ("-2022" not in tail)
    assert name.hour == np.datetime64("2022-01-03T12" if name.valid else "2022-01-05T12")
    assert name.number == ("001" if tail.endswith("_001") else None)


@pytest.mark.parametrize(
    "name", ["rain.nc", _NAME.replace("0P01", "0P02"), _NAME + ".idx", _NAME[:-1], "x" + _NAME]
)
def test_other_names_are_refused(name):
    assert not is_cmpa_name(name)
    with pytest.raises(InputError, match="is no CMPA name, expected Z_SURF_C_BABJ_"):
        parse_name(name)


def test_name_with_an_impossible_time_is_refused():
    with pytest.raises(InputError, match="20221301011916 is no time"):
        parse_name(_NAME.replace("20220601011916", "20221301011916"))


def test_newest_issue_of_an_hour_wins_whatever_the_order(caplog):
    first, second, third = (
        _NAME.replace("20220601011916_P_CMPA_RT", f"{produced}_P_CMPA_{stream}")
        for produced, stream in (
            ("20220601011916", "RT"),
            ("20220603120000", "NRT"),
            ("20220602000000", "FRT"),
        )
    )
    other = _NAME.replace("2022060101.", "2022060102.")
    chn = _NAME.replace("BCGZ", "CHN")
    with caplog.at_level(logging.INFO):
        taken, passed = newest(["a/rain.nc", f"a/{third}", f"b/{first}", second, other, chn])
    assert {path.name for path in taken} == {second, other, chn, "rain.nc"}
    assert {(loser.name, winner.name) for loser, winner in passed} == {
        (first, second),
        (third, second),
    }
    assert first in caplog.text
    with pytest.raises(InputError, match="produced at the same time"):
        newest([f"a/{first}", f"b/{first}"])


@pytest.mark.parametrize(
    ("product", "window"), [("3HOR", "3 hours"), ("DAY", "a day"), ("HOR", None)]
)
@pytest.mark.parametrize("name", [_NAME, f"cropped_{_NAME}.nc"])
def test_a_longer_product_is_known_by_any_name_that_holds_its_own(product, window, name):
    path = Path(name.replace("HOR-PRE", f"{product}-PRE"))
    if window is None:
        check_hourly(path)
    else:
        with pytest.raises(InputError, match=f"is a sum over {window}, expected hourly rain"):
            check_hourly(path)
