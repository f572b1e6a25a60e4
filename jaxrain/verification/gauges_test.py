import dataclasses

import numpy as np
import pytest
import xarray as xr
from scores.categorical import ThresholdEventOperator

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.gauge_scores import THRESHOLDS_MM, gauge_sums, scores_at_gauges
from jaxrain.verification.gauges import verify_gauges, without_gauges
from jaxrain.verification.stations import Report

START = np.datetime64("2022-06-01T01", "s")
HOUR = np.timedelta64(3600, "s")
ROWS, COLUMNS = 6, 7


def forecast(hours=24, members=3, projected=False):
    """Members whose rain is a plane in rows and columns, so that bilinear values are exact."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS] * 1.0
    plane = 0.1 * rows + 0.3 * columns
    rain = plane * np.arange(1, members + 1)[:, None, None] * np.ones((hours, 1, 1, 1))
    grid = Grid(23 - 0.01 * np.arange(ROWS), 113 + 0.01 * np.arange(COLUMNS), projected)
    dataset = xr.Dataset({"precipitation": (("time", "member", "latitude", "longitude"), rain)})
    case = Case("all", grid, START + HOUR * np.arange(hours), None, (0, 0), dataset)
    return Forecast("OUT.nc", {}, [case])


def report(station="A", hour=1, hours=1, rain=1.0, row=1.5, column=2.5):
    end = START + HOUR * (hour - 1)
    return Report(station, 113 + 0.01 * column, 23 - 0.01 * row, end, hours, rain)


def truth(case, hour):
    return case.members(hour)[0]


def test_threat_score_and_bias_agree_with_the_scores_library():
    rng = np.random.default_rng(0)
    rain, gauge = rng.gamma(0.4, 12, (4, 900)), rng.gamma(0.4, 12, 900)
    for thresholds in THRESHOLDS_MM.values():
        found = scores_at_gauges(gauge_sums(rain, gauge, thresholds), thresholds)
        for threshold in thresholds:
            operator = ThresholdEventOperator(default_event_threshold=threshold)
            for prefix, said, came in (
                ("", rain.mean(0), gauge),
                ("member_", rain, np.broadcast_to(gauge, rain.shape)),
            ):
                table = operator.make_contingency_manager(
                    xr.DataArray(said), xr.DataArray(came)
                ).transform()
                np.testing.assert_allclose(
                    (found[f"{prefix}ts_{threshold:g}mm"],
                     found[f"{prefix}frequency_bias_{threshold:g}mm"]),
                    (table.threat_score(), table.frequency_bias()),
                )  # fmt: skip


def test_rain_is_bilinear_at_the_station():
    # 0.1 x 1.5 + 0.3 x 2.5 = 0.9 mm in the first member, 2.7 mm in the third.
    (hourly,) = verify_gauges(forecast(), truth, {}, [report(rain=2.0)])
    assert (hourly.hours, hourly.sums, hourly.stations, hourly.ends) == (1, 1, 1, 1)
    assert hourly.systems["model"]["bias_mm"]["value"] == pytest.approx(1.8 - 2)
    assert hourly.systems["truth"]["mae_mm"]["value"] == pytest.approx(1.1)
    assert hourly.systems["model"]["ts_2mm"]["value"] == 0
    assert hourly.systems["model"]["member_ts_2mm"]["value"] == pytest.approx(1 / 3)


def test_hourly_reports_are_summed_to_six_hours_and_a_day():
    reports = [report(hour=hour, rain=1.0) for hour in range(1, 25)]
    hourly, six, day = verify_gauges(forecast(), truth, {}, reports)
    assert [found.sums for found in (hourly, six, day)] == [24, 4, 1]
    assert six.systems["model"]["bias_mm"]["value"] == pytest.approx(6 * (1.8 - 1))
    assert day.systems["model"]["bias_mm"]["value"] == pytest.approx(24 * (1.8 - 1))
    assert day.systems["model"]["ts_10mm"]["value"] == 1
    without_one = [each for each in reports if each.end != START + 3 * HOUR]
    assert [found.sums for found in verify_gauges(forecast(), truth, {}, without_one)] == [23, 3]


def test_a_reported_sum_goes_before_one_of_hours_and_may_end_anywhere():
    reports = [report(hour=hour, rain=1.0) for hour in range(1, 7)]
    own = [report(hour=6, hours=6, rain=9.0), report(hour=11, hours=6, rain=9.0)]
    _, six = verify_gauges(forecast(), truth, {}, [*reports, *own])
    assert six.sums == 2
    assert six.systems["model"]["bias_mm"]["value"] == pytest.approx(6 * 1.8 - 9)


def test_sums_whose_hours_are_not_all_forecast_do_not_count():
    assert verify_gauges(forecast(24), truth, {}, [report(hour=6, hours=6)])
    with pytest.raises(InputError, match="none of the 1 reports"):
        verify_gauges(forecast(24), truth, {}, [report(hour=5, hours=6)])


def test_a_station_in_two_cases_counts_once_and_points_unknown_to_one_are_out_for_all():
    twice = forecast()
    twice = dataclasses.replace(twice, cases=twice.cases * 2)
    (hourly,) = verify_gauges(twice, truth, {}, [report(), report("B", row=4, column=4)])
    assert hourly.sums == 2
    hole = np.ones((1, ROWS, COLUMNS))
    hole[0, 4, 4] = np.nan
    (hourly,) = verify_gauges(
        twice, truth, {"holed": lambda case, hour: hole}, [report(), report("B", row=4, column=4)]
    )
    assert {scores["bias_mm"]["value"] is None for scores in hourly.systems.values()} == {False}
    assert hourly.sums == 1


def test_reports_that_contradict_each_other_are_refused_and_repeats_count_once():
    first, other = report(rain=2.0), dataclasses.replace(report(rain=2.5), origin="b.csv, line 3")
    with pytest.raises(InputError) as caught:
        verify_gauges(forecast(), truth, {}, [first, report(hour=2), other])
    assert str(caught.value) == (
        "--stations: station A has two reports of the 1 h that end at 2022-06-01T01:00:00, 2 mm "
        "and 2.5 mm (b.csv, line 3); expected one amount: remove what is wrong"
    )
    (hourly,) = verify_gauges(forecast(), truth, {}, [first, first])
    assert hourly.sums == 1
    beside = [first, report(hour=6, hours=6, rain=2.5), report("B", rain=2.5)]
    assert len(verify_gauges(forecast(), truth, {}, beside)) == 2


def test_reports_elsewhere_or_at_other_times_are_told():
    for each in (report(row=-3), report(hour=99)):
        with pytest.raises(InputError, match=r"none of the 1 reports .* inside its area"):
            verify_gauges(forecast(), truth, {}, [each])


def test_projections_without_degrees_are_left_out_and_told():
    with pytest.raises(InputError, match="projections without latitudes"):
        verify_gauges(forecast(projected=True), truth, {}, [report()])
    both = forecast()
    both = dataclasses.replace(both, cases=[*forecast(projected=True).cases, *both.cases])
    assert "no gauges in 1 of 2 cases" in without_gauges(both)[0]
    assert verify_gauges(both, truth, {}, [report()])[0].sums == 1
    assert without_gauges(forecast()) == []
