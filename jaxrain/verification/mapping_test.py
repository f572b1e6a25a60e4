import numpy as np
import pytest

from jaxrain.pairs.quantiles import rain_counts
from jaxrain.pairs.store import open_store
from jaxrain.verification.forecast_test import example
from jaxrain.verification.mapping import fit_map, training_map


def rain(seed, count=400_000):
    rng = np.random.default_rng(seed)
    return rng.gamma(0.5, 6, count) * (rng.random(count) < 0.4)


def test_twice_the_rain_is_mapped_to_twice_the_rain():
    values = rain(0)
    double = fit_map(rain_counts(values), rain_counts(2 * values))
    amounts = np.array([0.5, 1.0, 5.0, 20.0])
    np.testing.assert_allclose(double(amounts), 2 * amounts, rtol=0.01)


def test_beyond_what_was_fitted_the_last_correction_in_mm_stays():
    values = rain(0)
    double = fit_map(rain_counts(values), rain_counts(2 * values))
    added = double.target_mm[-1] - double.source_mm[-1]
    np.testing.assert_allclose(double(np.array([1000.0])), 1000 + added)
    # Hours that were all but dry say nothing of heavy rain.
    drizzle = fit_map(rain_counts(np.minimum(values, 0.05)), rain_counts(np.zeros(values.size)))
    np.testing.assert_allclose(drizzle(np.array([0.04, 30.0])), [0, 30], atol=0.1)


def test_mapped_rain_has_the_targets_quantiles_and_wet_area():
    # Smoothed rain is wet too often and never heavy.
    source, target = rain(1).reshape(-1, 4).mean(1), rain(2, 100_000)
    mapped = fit_map(rain_counts(source), rain_counts(target))(source)
    for p in (0.7, 0.9, 0.99, 0.999):
        assert np.quantile(mapped, p) == pytest.approx(np.quantile(target, p), rel=0.05, abs=0.02)
    assert (mapped >= 0.1).mean() == pytest.approx((target >= 0.1).mean(), abs=0.005)


def test_dry_stays_dry_unknown_unknown_and_order_is_kept():
    fitted = fit_map(rain_counts(rain(3)), rain_counts(rain(4) + 1))
    found = fitted(np.array([0.0, np.nan, 0.5, 3.0, 90.0, 4000.0], np.float32))
    assert found[0] == 0
    assert np.isnan(found[1])
    assert found.dtype == np.float32
    assert (np.diff(found[2:]) > 0).all()


def test_too_little_rain_changes_nothing():
    dry = fit_map(rain_counts(np.zeros(1000)), rain_counts(np.zeros(1000)))
    np.testing.assert_array_equal(dry(np.array([0.0, 2.0])), [0.0, 2.0])
    few = fit_map(rain_counts(np.array([1.0])), rain_counts(np.array([5.0])))
    np.testing.assert_array_equal(few(np.array([0.0, 2.0])), [0.0, 2.0])


def test_the_stores_training_hours_are_fitted(tmp_path):
    example(tmp_path)
    store = open_store(tmp_path / "store")
    fitted = training_map(store)
    assert fitted.hours == 1  # the store's training is one hour of 0 to 1 mm
    assert 0 < fitted.target_mm[-1] <= 1
    assert (np.diff(fitted.source_mm) > 0).all()
