import numpy as np
import pytest
import xarray as xr
from scores.categorical import ThresholdEventOperator
from scores.probability import crps_for_ensemble

from jaxrain.verification import metrics
from jaxrain.verification.fractions import WINDOWS_KM
from jaxrain.verification.metrics import hour_sums, scores
from jaxrain.verification.points import THRESHOLDS_MM
from jaxrain.verification.spectra import wavelengths

WAVES = wavelengths([64.0], [1.0])


def rain(rng, *shape):
    return (rng.gamma(0.4, 6, shape) * (rng.random(shape) < 0.6)).astype(np.float32)


def scored(members, truth):
    return scores(hour_sums(members, truth, 1.0, WAVES), WAVES)


@pytest.fixture(scope="module")
def exchangeable():
    fields = rain(np.random.default_rng(0), 9, 64, 64)
    return fields[1:], fields[0]


def test_each_score_has_a_meaning(exchangeable):
    names = set(scored(*exchangeable))
    by_threshold = {f"{n}_{t:g}mm" for n in metrics.THRESHOLD_MEANINGS for t in THRESHOLDS_MM}
    by_window = {
        f"{n}_{t:g}mm_{w}km"
        for n in metrics.FRACTION_MEANINGS
        for t in THRESHOLDS_MM
        for w in WINDOWS_KM
    }
    assert names == set(metrics.MEANINGS) | by_threshold | by_window


def test_a_perfect_forecast(exchangeable):
    _, truth = exchangeable
    found = scored(truth[None], truth)
    for name in ("crps_mm", "mae_mm", "rmse_mm", "bias_mm", "brier_1mm", "spectrum_max_db"):
        assert found[name] == pytest.approx(0, abs=1e-6), name
    perfect = ("csi_1mm", "frequency_bias_5mm", "member_csi_10mm", "wet_area_ratio", "p99_ratio")
    for name in (*perfect, "p99.9_ratio", "fss_1mm_1km", "member_fss_5mm_31km"):
        assert found[name] == pytest.approx(1), name
    for name in ("roc_area_5mm", "brier_skill_1mm", "skilful_scale_km_1mm"):
        assert found[name] == pytest.approx(1), name
    assert np.isnan(found["spread_skill"])
    assert np.isnan(found["rank_flatness"])


def test_members_drawn_as_the_truth_is_have_its_spread_spectrum_and_extremes(exchangeable):
    found = scored(*exchangeable)
    assert found["spread_skill"] == pytest.approx(1, abs=0.05)
    assert found["wet_area_ratio"] == pytest.approx(1, abs=0.03)
    assert found["p99_ratio"] == pytest.approx(1, abs=0.1)
    assert found["rank_flatness"] < 0.03
    # Points don't know of each other, so that all that their probabilities differ by is chance.
    often = (exchangeable[1] >= 1).mean()
    assert found["brier_reliability_1mm"] == pytest.approx(often * (1 - often) / 8, rel=0.2)
    assert found["roc_area_1mm"] == pytest.approx(0.5, abs=0.02)
    assert found["log_spectral_distance_db"] < 2
    assert found["effective_resolution_km"] == pytest.approx(WAVES[-1])


def test_a_constant_error_is_bias_and_root_mean_square():
    truth = np.full((64, 64), 2.0)
    found = scored(np.full((3, 64, 64), 5.0), truth)
    assert found["bias_mm"] == pytest.approx(3)
    assert found["rmse_mm"] == pytest.approx(3)
    assert found["crps_mm"] == pytest.approx(3)
    assert found["frequency_bias_1mm"] == pytest.approx(1)
    assert found["spread_skill"] == pytest.approx(0)


def test_a_factor_is_seen_in_extremes_and_spectrum(exchangeable):
    _, truth = exchangeable
    louder = scored(truth[None] * np.float32(2**0.5), truth)
    assert louder["spectrum_max_db"] == pytest.approx(10 * np.log10(2), rel=1e-4)
    assert louder["log_spectral_distance_db"] == pytest.approx(10 * np.log10(2), rel=1e-4)
    assert louder["p99_ratio"] == pytest.approx(2**0.5, rel=0.01)
    assert louder["p99.9_ratio"] == pytest.approx(2**0.5, rel=0.01)
    assert louder["maximum_ratio"] == pytest.approx(2**0.5, rel=0.02)
    assert louder["maximum_mm"] == pytest.approx(2**0.5 * truth.max(), rel=0.02)
    assert louder["effective_resolution_km"] == pytest.approx(WAVES[-1])
    # A power of 0.36 of the truth's at every wavelength: nothing is resolved.
    assert scored(truth[None] * 0.6, truth)["effective_resolution_km"] >= WAVES[0] / 4 - 1


def test_one_members_flood_is_the_maximum_but_not_what_members_have(exchangeable):
    members, truth = exchangeable
    flooded = members.copy()
    flooded[0, 5, 5] = 900.0
    calm, found = scored(members, truth), scored(flooded, truth)
    assert found["maximum_mm"] == pytest.approx(900, rel=0.02)
    assert found["maximum_ratio"] == pytest.approx(calm["maximum_ratio"], rel=0.05)
    flooded[:, 5:7, 5] = 900.0
    every = scored(flooded, truth)["maximum_ratio"]
    assert every == pytest.approx(900 / np.sort(truth, None)[-2], rel=0.05)


def test_both_crps_agree_with_the_scores_library(exchangeable):
    members, truth = exchangeable
    found = scored(members, truth)
    forecast = xr.DataArray(members, dims=("member", "y", "x"))
    observed = xr.DataArray(truth, dims=("y", "x"))
    for name, method in (("crps_mm", "fair"), ("plain_crps_mm", "ecdf")):
        theirs = crps_for_ensemble(forecast, observed, "member", method=method)
        assert found[name] == pytest.approx(float(theirs), rel=1e-6), name
    alone = scored(members[:1], truth)
    assert alone["plain_crps_mm"] == pytest.approx(float(alone["crps_mm"]), rel=1e-6)


def test_yes_and_no_agree_with_the_scores_library(exchangeable):
    members, truth = exchangeable
    found = scored(members, truth)
    for threshold in THRESHOLDS_MM:
        operator = ThresholdEventOperator(default_event_threshold=threshold)
        table = operator.make_contingency_manager(
            xr.DataArray(members.mean(0, dtype=np.float64)), xr.DataArray(truth)
        ).transform()
        for ours, theirs in (
            (f"csi_{threshold:g}mm", table.critical_success_index()),
            (f"frequency_bias_{threshold:g}mm", table.frequency_bias()),
        ):
            np.testing.assert_allclose(found[ours], theirs, rtol=1e-6)
        pooled = operator.make_contingency_manager(
            xr.DataArray(members), xr.DataArray(np.broadcast_to(truth, members.shape))
        ).transform()
        ours = found[f"member_csi_{threshold:g}mm"]
        np.testing.assert_allclose(ours, pooled.critical_success_index(), rtol=1e-6)


def test_sums_of_hours_score_as_one_long_hour():
    rng = np.random.default_rng(1)
    members, truth = rain(rng, 2, 4, 64, 64), rain(rng, 2, 64, 64)
    hours = [hour_sums(m, t, 1.0, WAVES) for m, t in zip(members, truth, strict=True)]
    both = scores({name: sum(hour[name] for hour in hours) for name in hours[0]}, WAVES)
    long = np.concatenate(list(members), 1), np.concatenate(list(truth), 0)
    for name in ("crps_mm", "rmse_mm", "csi_1mm", "brier_5mm", "spread_skill", "p99_ratio"):
        assert both[name] == pytest.approx(scored(*long)[name]), name
    batch = scores({name: np.stack([hour[name] for hour in hours]) for name in hours[0]}, WAVES)
    one = scored(members[0], truth[0])
    for name, value in batch.items():
        np.testing.assert_allclose(value[0], one[name], err_msg=name)


def test_a_dry_hour_is_scored_without_a_warning():
    found = scored(np.zeros((2, 64, 64), np.float32), np.zeros((64, 64)))
    assert found["crps_mm"] == 0
    for name in ("csi_1mm", "fss_1mm_7km", "p99_ratio", "spectrum_max_db", "wet_area_ratio"):
        assert np.isnan(found[name]), name
