import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from jaxrain.pairs.audit.table import audit_table
from jaxrain.pairs.build import prepare
from jaxrain.pairs.conftest import OFFSETS, hours
from jaxrain.pairs.store import open_store


def _summary(world):
    prepare(world.config(), say=lambda line: None)
    return json.loads((Path(world.config().store) / "prepare_report.json").read_text())


@pytest.mark.usefixtures("undrawn")
def test_ranges_beyond_what_the_atmosphere_shows_are_warned_of(world, monkeypatch):
    monkeypatch.setitem(OFFSETS, "t", 20.0)
    world.fill()
    summary = _summary(world)
    warned = [line for line in summary["warnings"] if "plausible is" in line]
    # The made-up geopotential is that of 850 hPa at both levels.
    assert [line.split()[0] for line in warned] == ["t850", "t500", "z500"]
    assert "plausible is 208.678 to 338.678" in warned[0]


def test_ranges_are_those_of_all_hours(filled):
    summary = json.loads((Path(filled.config().store) / "prepare_report.json").read_text())
    rain = np.concatenate(
        [
            filled.write_fine("../again.nc", hours(3, 9)),
            filled.write_fine("../again.nc", hours(11, 22), 1),
        ]
    )
    kept = np.delete(rain, [12, 13], axis=0)  # hours 16 and 17 are in no split
    assert summary["ranges"]["fine_rain"]["max"] == np.nanmax(kept)
    np.testing.assert_allclose(summary["ranges"]["fine_rain"]["mean"], np.nanmean(kept), rtol=1e-5)


def test_the_report_is_complete(filled):
    summary = json.loads((Path(filled.config().store) / "prepare_report.json").read_text())
    assert set(summary) == {
        "made_from", "hours", "coverage", "left_out", "reissued", "units_found", "windows_found",
        "time_sources", "ranges", "missing_share", "target_beyond_share", "rain", "lag", "areas",
        "pair_shown", "bytes", "files", "warnings",
    }  # fmt: skip
    assert summary["coverage"]["hours"] == {
        "absent": 0, "in_no_split": 2, "missing": 0, "no_fine_rain": 5, "no_predictors": 0,
        "train": 9, "validation": 3, "test": 5,
    }  # fmt: skip
    for file in summary["files"]:
        content = (filled.root / file["role"] / file["name"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["bytes"] == len(content)
    assert summary["ranges"]["u500"]["missing_share"] == 0
    assert summary["ranges"]["fine_rain"]["missing_share"] == pytest.approx(3 / (40 * 48))
    assert summary["lag"]["reason"] == "17 hours are too few, it takes 48"


def test_rain_by_amount_is_that_of_the_arrays(filled):
    summary = json.loads((Path(filled.config().store) / "prepare_report.json").read_text())
    store = open_store(filled.config().store)
    (area,) = store.areas
    for split in ("train", "test"):
        rain = np.stack([area.fine(i) for i in area.indices(split)])
        rain, found = rain[np.isfinite(rain)], summary["rain"][split]
        assert found["points"] == rain.size
        assert found["most_mm"] == rain.max()
        for name, share in (("p50_mm", 0.5), ("p99_mm", 0.99), ("p99.9_mm", 0.999)):
            quantile = np.quantile(rain, share, method="inverted_cdf")
            assert found[name] == pytest.approx(quantile, abs=0.0051)
        expected = np.histogram(np.round(rain, 2), [0, *summary["rain"]["class_edges_mm"], 1e3])[0]
        np.testing.assert_allclose(found["class_counts"], expected, atol=30)
        assert sum(found["class_counts"]) == rain.size
    coarse = np.stack([area.coarse(i)[-1] for i in range(len(area.hours))])
    assert summary["rain"]["coarse"]["points"] == coarse.size
    assert summary["rain"]["coarse"]["most_mm"] == coarse.max()


def test_the_table_says_what_a_user_looks_for(filled):
    summary = json.loads((Path(filled.config().store) / "prepare_report.json").read_text())
    table = audit_table(summary)
    for words in (
        "9 train, 3 validation, 5 test",
        "2 hours: in no split",
        "5 hours: no fine rain at this hour",
        "not compared: 17 hours are too few",
        "prepare_report.html",
        "11 x 12 -> 40 x 48 points",
        "units found    u m s-1, v m s-1, t K",
        "missing points 0.16 % train",
        "target beyond the training range",
    ):
        assert words in table
