"""What pictures show is what was found: their curves are read back from the figures."""

import numpy as np
import pytest

from jaxrain.verification import figures, part_figures, probability_figures, spectra
from jaxrain.verification.baselines import baselines
from jaxrain.verification.breakdown import parts_of
from jaxrain.verification.forecast import open_forecast
from jaxrain.verification.forecast_test import example
from jaxrain.verification.fractions import WINDOWS_KM
from jaxrain.verification.points import THRESHOLDS_MM
from jaxrain.verification.probabilities import roc_curve
from jaxrain.verification.scoring import MODEL, verify
from jaxrain.verification.truth import store_of, truth_from_store


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with open_forecast(example(tmp_path_factory.mktemp("figures"))) as forecast:
        store = store_of(forecast)
        return verify(forecast, truth_from_store(forecast, store), baselines(forecast, store))


def curve(ax, label):
    """x and y of the one line of that label."""
    (line,) = (line for line in ax.lines if line.get_label() == label)
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def test_spectra_are_of_a_square_and_their_distance_is_from_the_truth(found):
    power, distance = figures.spectrum_figure(found).axes
    sums = found.sums[MODEL]
    count = sums["spectrum_squares"]
    lines = {"truth": sums["truth_spectrum"], "members": sums["spectrum"]}
    lines |= {
        "ensemble mean": sums["mean_spectrum"],
        "nearest": found.sums["nearest"]["spectrum"],
    }
    for name, line in lines.items():
        waves, shown = curve(power, name)
        np.testing.assert_array_equal(waves, found.wavelengths_km)
        np.testing.assert_allclose(shown, line / count)
        if name != "truth":
            expected = spectra.decibels(line, sums["truth_spectrum"])
            np.testing.assert_allclose(curve(distance, name)[1], expected)
    assert max(abs(curve(distance, "members")[1])) > 0.01


def test_ranks_are_relative_to_a_perfect_ensemble(found):
    (ax,) = figures.rank_figure(found).axes
    heights = [bar.get_height() for bar in ax.patches]
    ranks = found.sums[MODEL]["ranks"]
    np.testing.assert_allclose(heights, ranks / ranks.mean())


def test_bias_and_skill_are_drawn_with_their_intervals(found):
    bias, *skill = figures.skill_figure(found).axes
    for label, system, prefix in (
        ("members", MODEL, "member_"),
        ("ensemble mean", MODEL, ""),
        ("nearest", "nearest", ""),
    ):
        of = [found.systems[system][f"{prefix}frequency_bias_{t:g}mm"] for t in THRESHOLDS_MM]
        places, shown = curve(bias, label)
        np.testing.assert_array_equal(places, THRESHOLDS_MM)
        np.testing.assert_allclose(shown, [each["value"] for each in of])
        bars = [
            (segment[0, 1], segment[-1, 1])
            for lines in bias.collections
            for segment in lines.get_segments()
        ]
        assert (of[0]["low"], of[0]["high"]) in bars
    for ax, threshold in zip(skill, (1.0, 5.0), strict=True):
        for label, system in (("ensemble's probability", MODEL), ("bilinear", "bilinear")):
            of = [found.systems[system][f"fss_{threshold:g}mm_{w}km"]["value"] for w in WINDOWS_KM]
            places, shown = curve(ax, label)
            np.testing.assert_array_equal(places, WINDOWS_KM)
            np.testing.assert_allclose(shown, np.array(of, float))


def test_reliability_is_how_often_it_came_and_roc_what_was_told(found):
    axes = probability_figures.probability_figure(found).axes
    drawn = found.sums[MODEL]["forecasts"], found.sums[MODEL]["events"]
    for t, threshold in enumerate(THRESHOLDS_MM):
        forecasts, events = (each[t] for each in drawn)
        enough = forecasts >= 50
        diagonal, shown, _ = axes[t].lines
        np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
        np.testing.assert_allclose(shown.get_xdata(), np.flatnonzero(enough) / found.members)
        np.testing.assert_allclose(shown.get_ydata(), events[enough] / forecasts[enough])
        roc = axes[len(THRESHOLDS_MM) + t]
        area = found.systems[MODEL][f"roc_area_{threshold:g}mm"]["value"]
        false_alarms, hits = curve(roc, f"{MODEL} {area:.2f}")
        np.testing.assert_allclose([false_alarms, hits], roc_curve(forecasts, events))
        # Counts from yes to all down to none are a curve whose area is the score's.
        assert abs(np.trapezoid(hits, false_alarms)) == pytest.approx(area, abs=1e-9)


def test_the_days_course_is_of_its_hours(found):
    rain, wet = part_figures.diurnal_figure(found).axes
    parts = {int(part.name[:2]): part for part in parts_of(found.parts, "hour of the day")}
    for name in ("truth", MODEL, "bilinear"):
        for ax, of in ((rain, "mean_mm"), (wet, "wet")):
            hours, shown = curve(ax, name)
            np.testing.assert_array_equal(hours, np.arange(24) + 0.5)
            expected = [getattr(parts[h], of)[name] if h in parts else np.nan for h in range(24)]
            np.testing.assert_allclose(shown, expected)
