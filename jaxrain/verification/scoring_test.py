import numpy as np
import pytest

from jaxrain.verification.baselines import baselines
from jaxrain.verification.conservation import coarse_rain
from jaxrain.verification.forecast import open_forecast
from jaxrain.verification.forecast_test import example
from jaxrain.verification.scoring import MODEL, shared_truth, verify
from jaxrain.verification.truth import store_of, truth_from_store


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with open_forecast(example(tmp_path_factory.mktemp("ensemble"))) as forecast:
        store = store_of(forecast)
        yield forecast, truth_from_store(forecast, store), baselines(forecast, store)


@pytest.fixture(scope="module")
def found(opened):
    return verify(*opened)


def test_it_counts_hours_and_known_points(found):
    assert (found.hours, len(found.fields), found.members) == (5, 5, 4)
    assert found.points == 5 * 40 * 48 - 100
    assert found.unforecast == 0
    assert set(found.systems) == {MODEL, "bilinear", "nearest", "quantile-mapped"}


def test_a_baselines_crps_is_its_mean_absolute_error(opened, found):
    forecast, truth, against = opened
    case = forecast.cases[0]
    for name, field in against.items():
        errors = [np.abs(field(case, h) - truth(case, h)).ravel() for h in range(5)]
        expected = np.nanmean(np.concatenate(errors))
        assert found.systems[name]["crps_mm"]["value"] == pytest.approx(expected, rel=1e-5)
        assert found.systems[name]["mae_mm"]["value"] == pytest.approx(expected, rel=1e-5)


def test_nearest_takes_the_cell_it_lies_in(opened):
    forecast, _, against = opened
    rain = against["nearest"](forecast.cases[0], 0)
    blocks = rain.reshape(5, 8, 6, 8)
    np.testing.assert_array_equal(blocks, blocks[:, :1, :, :1] + np.zeros_like(blocks))


def test_members_drawn_as_the_truth_beat_interpolation(found):
    skill = found.skill["bilinear"]
    model, bilinear = (found.systems[name]["crps_mm"]["value"] for name in (MODEL, "bilinear"))
    assert skill["value"] == pytest.approx(1 - model / bilinear)
    assert 0 < skill["low"] <= skill["value"] <= skill["high"]
    assert found.systems[MODEL]["wet_area_ratio"]["value"] == pytest.approx(1, abs=0.05)


def test_every_system_has_its_skill_against_bilinear(found):
    assert found.systems[MODEL]["crpss"] == found.skill["bilinear"]
    assert found.systems["bilinear"]["crpss"] == {"value": 0, "low": 0, "high": 0}


def test_rain_goes_from_hour_to_hour_as_the_truths(found):
    # Each hour is drawn anew, so that neither members nor truth remember, but the same cells
    # are dry or wet by chance.
    pairs = found.sums[MODEL]["lag_pairs"]
    assert pairs == 4
    ours = found.systems[MODEL]["lag1_autocorrelation"]["value"]
    truth = found.truth["lag1_autocorrelation"]
    assert ours == pytest.approx(truth, abs=0.15)
    difference = found.systems[MODEL]["lag1_difference"]["value"]
    assert difference == pytest.approx(ours - truth)


def test_conservation_is_scored_where_the_coarse_rain_is_known(opened, found):
    forecast = opened[0]
    with_cells = verify(*opened, coarse=coarse_rain(forecast, store_of(forecast)))
    assert with_cells.truth["conservation_mm"] < 1e-6
    assert with_cells.systems["nearest"]["conservation_mm"]["value"] < 1e-6
    assert with_cells.systems[MODEL]["conservation_mm"]["value"] > 0.1
    assert found.systems[MODEL]["conservation_mm"]["value"] is None


def test_gain_of_hours_adds_up_to_the_difference(found):
    points = np.array([40 * 48.0] * 4 + [40 * 48 - 100])
    gain = np.average([field.gain_mm for field in found.fields], weights=points)
    scores = found.systems
    difference = scores["bilinear"]["crps_mm"]["value"] - scores[MODEL]["crps_mm"]["value"]
    assert gain == pytest.approx(difference)


def test_windows_of_different_cases_are_scored_together(tmp_path):
    with open_forecast(example(tmp_path, windows=True)) as forecast:
        store = store_of(forecast)
        found = verify(forecast, truth_from_store(forecast, store), baselines(forecast, store))
    assert (found.hours, len(found.fields)) == (5, 5)
    assert found.points == 5 * 32 * 32  # the unknown corner lies outside the late window
    assert {field.case for field in found.fields} == {0, 1}


def test_points_that_a_system_does_not_forecast_are_left_out_of_all():
    truth = np.array([[1.0, 2.0, np.nan]])
    systems = {MODEL: np.array([[[1.0, np.nan, 1.0]]]), "bilinear": np.ones((1, 1, 3))}
    known, lost = shared_truth(truth, systems)
    np.testing.assert_array_equal(known, [[1.0, np.nan, np.nan]])
    assert lost == 1
