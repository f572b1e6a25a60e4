from contextlib import contextmanager

import numpy as np
import pytest

from jaxrain.weather import large_fields
from jaxrain.weather.fine_files import read_fine_file
from jaxrain.weather.large_fields import first_points, share_turns
from jaxrain.weather.made_grib_test import cmpa_message, message


@pytest.mark.parametrize("edition", [1, 2])
def test_the_header_says_how_many_points_there_are(tmp_path, edition):
    path = tmp_path / "a.grib"
    path.write_bytes(message(np.zeros((30, 41)), edition=edition))
    assert first_points(path) == 30 * 41


@pytest.mark.parametrize("content", [b"", b"CDF\x01" + bytes(40), b"GRIB\0\0\0\x02", b"GRIB" * 9])
def test_what_is_no_header_has_none(tmp_path, content):
    path = tmp_path / "a.grib"
    path.write_bytes(content)
    assert first_points(path) == 0


def test_a_turn_is_taken_for_large_fields_alone(tmp_path, monkeypatch):
    path = tmp_path / "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_CHN_0P01_HOR-PRE-2022060101.GRB2"
    path.write_bytes(cmpa_message(np.ones((30, 41))))
    seen = []

    @contextmanager
    def turn():
        seen.append("begins")
        yield
        seen.append("ends")

    monkeypatch.setattr(large_fields, "_turns", [])
    share_turns(turn())
    read_fine_file(path)
    assert seen == []
    monkeypatch.setattr(large_fields, "LARGE_POINTS", 30 * 41)
    read_fine_file(path)
    assert seen == ["begins", "ends"]
