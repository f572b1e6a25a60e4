import base64

import numpy as np
import pytest
from matplotlib.image import imread

from jaxrain.pages.palette import RAIN_EDGES_MM
from jaxrain.verification import browser
from jaxrain.verification.baselines import baselines
from jaxrain.verification.breakdown import Field
from jaxrain.verification.browser import limits, make_reel
from jaxrain.verification.forecast import open_forecast
from jaxrain.verification.forecast_test import example, stored_rain
from jaxrain.verification.points import THRESHOLDS_MM
from jaxrain.verification.scoring import verify as score
from jaxrain.verification.truth import store_of, truth_from_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("browser")
    example(made)
    return made


@pytest.fixture(scope="module")
def parts(folder):
    with open_forecast(folder / "OUT.nc") as forecast:
        store = store_of(forecast)
        truth, against = truth_from_store(forecast, store), baselines(forecast, store)
        yield forecast, truth, against, score(forecast, truth, against).fields


def layers(picture, tmp_path):
    """Classes of all layers [layers, H, W], as an independent reader finds them in the PNG."""
    path = tmp_path / "layers.png"
    path.write_bytes(base64.b64decode(picture["png"]))
    grey = np.round(imread(path) * 255 / browser._LEVELS).astype(int)
    return grey.reshape(-1, picture["height"], picture["width"])


def test_layers_are_the_classes_of_the_fields(parts, folder, tmp_path):
    reel = make_reel(*parts)
    assert (reel.shown, reel.of, reel.members, reel.every) == (5, 5, (4, 4), 1)
    picture = reel.content["fields"][4]
    found = layers(picture, tmp_path)
    assert len(found) == 1 + 3 + 1 + 4 + len(THRESHOLDS_MM)
    truth, members = stored_rain(folder)[4], parts[0].cases[0].members(4)
    up = slice(None, None, 1 if parts[0].cases[0].grid.y[0] > parts[0].cases[0].grid.y[-1] else -1)
    for layer, rain in ((0, truth), (4, members.mean(0)), (5, members[0]), (8, members[3])):
        for number, edge in enumerate(RAIN_EDGES_MM):
            np.testing.assert_array_equal(found[layer] >= number + 2, (rain >= edge)[up])
        np.testing.assert_array_equal(found[layer] == 0, np.isnan(rain)[up])
    share = np.mean(members >= THRESHOLDS_MM[1], 0)[up]
    np.testing.assert_array_equal(found[10] >= 7, share >= 0.5)


def test_consecutive_hours_follow_and_thresholds_are_edges(parts):
    fields = make_reel(*parts).content["fields"]
    assert [field["follows"] for field in fields] == [False, True, True, True, True]
    assert set(THRESHOLDS_MM) <= set(RAIN_EDGES_MM)


def test_hours_members_points_and_bytes_are_bounded_and_told(parts, monkeypatch):
    monkeypatch.setattr(browser, "MOST_FIELDS", 3)
    monkeypatch.setattr(browser, "MOST_MEMBERS", 2)
    monkeypatch.setattr(browser, "MOST_SIDE", 20)
    reel = make_reel(*parts)
    assert (reel.shown, reel.of, reel.members, reel.every) == (3, 5, (2, 4), 3)
    assert [(f["height"], f["width"]) for f in reel.content["fields"]] == [(14, 16)] * 3
    for words in ("3 of 5 fields", "first 2 of 4 members", "one point in 3"):
        assert words in limits(reel)
    monkeypatch.setattr(browser, "MOST_BYTES", 1)
    assert make_reel(*parts).shown == 1


def test_the_wettest_hours_neighbours_come_first_then_the_wettest_elsewhere():
    def field(case, hour, rain):
        return Field(case, hour, np.datetime64("2022-01-01T00", "s"), rain, 0.0)

    fields = [field(0, 0, 3), field(0, 1, 1), field(1, 0, 2), field(1, 1, 9), field(1, 2, 0)]
    chosen = [(f.case, f.hour) for f in browser._by_interest(fields)]
    assert chosen == [(1, 1), (1, 0), (1, 2), (0, 0), (0, 1)]
