import json
from pathlib import Path

import numpy as np

from jaxrain.pairs.audit import audit_table
from jaxrain.pairs.build import prepare
from jaxrain.pairs.conftest import OFFSETS, hours


def _summary(world):
    prepare(world.config(), say=lambda line: None)
    return json.loads((Path(world.config().store) / "audit.json").read_text())


def test_ranges_beyond_what_the_atmosphere_shows_are_warned_of(world, monkeypatch):
    monkeypatch.setitem(OFFSETS, "t", 20.0)
    world.fill()
    summary = _summary(world)
    warned = [line for line in summary["warnings"] if "plausible is 150 to 340" in line]
    assert [line.split()[0] for line in warned] == ["t850", "t500"]


def test_ranges_are_those_of_all_hours(filled):
    summary = json.loads((Path(filled.config().store) / "audit.json").read_text())
    rain = np.concatenate(
        [
            filled.write_fine("../again.nc", hours(3, 9)),
            filled.write_fine("../again.nc", hours(11, 22), 1),
        ]
    )
    kept = np.delete(rain, [12, 13], axis=0)  # hours 16 and 17 are in no split
    assert summary["ranges"]["fine_rain"]["max"] == np.nanmax(kept)
    np.testing.assert_allclose(summary["ranges"]["fine_rain"]["mean"], np.nanmean(kept), rtol=1e-5)


def test_the_table_says_what_a_user_looks_for(filled):
    summary = json.loads((Path(filled.config().store) / "audit.json").read_text())
    table = audit_table(summary)
    for words in (
        "9 train, 3 validation, 5 test",
        "2 hours: in no split",
        "11 x 12 -> 40 x 48 points",
        "units found    u m s-1, v m s-1, t K",
        "missing points 0.16 % train",
        "target beyond the training range",
    ):
        assert words in table
