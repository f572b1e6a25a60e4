from dataclasses import fields

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather import grib
from jaxrain.weather.demo import write_demo
from jaxrain.weather.grib import read_headers
from jaxrain.weather.grib_kinds import signature
from jaxrain.weather.grib_messages import messages
from jaxrain.weather.made_grib_test import cmpa_message, pressure_message


def _told(header):
    """A header without its message, comparable."""
    return [
        value.tolist() if isinstance(value, np.ndarray) else value
        for name in (field.name for field in fields(header))
        if name != "message"
        for value in [getattr(header, name)]
    ]


def _both_ways(path):
    """Headers with what is remembered, twice, and with ecCodes asked for each."""
    grib._of_kind.clear()
    first, again = read_headers(path), read_headers(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grib, "signature", lambda message: None)
        return first, again, read_headers(path)


def test_what_is_remembered_is_what_eccodes_says_of_every_real_message(shared_data):
    files = [path for path in sorted((shared_data / "grib").rglob("*")) if path.is_file()]
    signed = 0
    for path in files:
        try:
            first, again, asked = _both_ways(path)
        except InputError:
            continue
        for one, other, truth in zip(first, again, asked, strict=True):
            assert _told(one) == _told(other) == _told(truth), f"{path} message {truth.number}"
        signed += sum(signature(header.message) is not None for header in asked)
    assert signed > 100


def test_what_is_remembered_is_refused_as_eccodes_refuses_it(shared_data):
    for path in sorted((shared_data / "grib" / "hostile").iterdir()):
        said = []
        for remembers in (True, True, False):
            with pytest.MonkeyPatch.context() as patch:
                if not remembers:
                    patch.setattr(grib, "signature", lambda message: None)
                try:
                    read_headers(path)
                    said.append("")
                except InputError as error:
                    said.append(str(error))
        assert len(set(said)) == 1, path


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, size=32, train_days=1, validation_days=0, test_days=0)
    return folder


def test_messages_of_other_hours_are_of_one_kind(demo):
    levels = [message for _, message in messages(next((demo / "era5").glob("era5_pl_*")))]
    assert len({signature(message).kind for message in levels}) == 5 * 4
    rain = [message for path in (demo / "cmpa").glob("*.GRB2") for _, message in messages(path)]
    assert len(rain) > 20
    assert len({signature(message).kind for message in rain}) == 1


def test_times_are_eccodes_own_over_the_ends_of_months_and_centuries(tmp_path):
    field = np.zeros((3, 3))
    days = ("19991231", "20000101", "20000229", "20001231", "20010101", "20240228", "21000101")
    path = tmp_path / "a.grib"
    path.write_bytes(
        b"".join(
            [
                pressure_message(
                    "t", 850, field, dataDate=int(day), dataTime=1800, stepRange=9, edition=edition
                )
                for day in days
                for edition in (1, 2)
            ]
            + [cmpa_message(field, start=f"{day}23") for day in days]
        )
    )
    first, again, asked = _both_ways(path)
    assert [_told(header) for header in first] == [_told(header) for header in asked]
    assert [_told(header) for header in again] == [_told(header) for header in asked]
    assert len(grib._of_kind) == 3


@pytest.mark.parametrize("units", [3, 4])  # months, years: not so many seconds each
def test_steps_in_months_are_of_no_kind(units):
    of_kind = pressure_message("t", 850, np.zeros((3, 3)), edition=1)
    position = 8 + 17
    assert signature(of_kind) is not None
    changed = of_kind[:position] + bytes([units]) + of_kind[position + 1 :]
    assert signature(changed) is None


def test_other_levels_grids_members_and_windows_are_other_kinds():
    field = np.zeros((3, 3))
    one = pressure_message("t", 850, field)
    others = [
        pressure_message("t", 700, field),
        pressure_message("u", 850, field),
        pressure_message("t", 850, field, latitude=(25.0, 23.0)),
        pressure_message("t", 850, field, stepRange=1),
        pressure_message("t", 850, field, edition=1),
        pressure_message("t", 850, np.zeros((3, 4))),
        pressure_message("t", 850, field, packingType="grid_png"),
        cmpa_message(field),
        cmpa_message(field, stepRange="0-3"),
    ]
    kinds = [signature(message).kind for message in [one, *others]]
    assert len(set(kinds)) == len(kinds)
    assert signature(pressure_message("t", 850, field + 1, dataDate=20230101)).kind == kinds[0]
