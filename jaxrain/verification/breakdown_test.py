import dataclasses

import numpy as np
import pytest

from jaxrain.verification.baselines import baselines
from jaxrain.verification.bias_maps import BiasMap, cases_to_map
from jaxrain.verification.breakdown import KINDS, OF_A_PART, crps_intervals, parts_of
from jaxrain.verification.forecast import open_forecast
from jaxrain.verification.forecast_test import HOURS, example, stored_rain
from jaxrain.verification.intervals import blocks, draw
from jaxrain.verification.score_tables import by_part
from jaxrain.verification.scoring import DRAWS, MODEL, SEED, verify
from jaxrain.verification.truth import store_of, truth_from_store


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with open_forecast(example(tmp_path_factory.mktemp("parts"), windows=True)) as forecast:
        store = store_of(forecast)
        yield verify(forecast, truth_from_store(forecast, store), baselines(forecast, store))


@pytest.mark.parametrize("kind", ["area", "time", "hour of the day"])
def test_parts_weighted_with_their_points_add_up_to_the_whole(found, kind):
    assert kind in KINDS
    parts = parts_of(found.parts, kind)
    assert sum(part.points for part in parts) == found.points
    for system, scores in found.systems.items():
        crps = np.average(
            [part.crps_mm[system] for part in parts], weights=[part.points for part in parts]
        )
        assert crps == pytest.approx(scores["crps_mm"]["value"])
        bias = np.average(
            [part.mean_mm[system] - part.mean_mm["truth"] for part in parts],
            weights=[part.points for part in parts],
        )
        assert bias == pytest.approx(scores["bias_mm"]["value"])


def test_what_does_not_add_up_is_each_parts_own(found, tmp_path):
    with open_forecast(example(tmp_path, windows=True)) as forecast:
        store = store_of(forecast)
        for number, part in enumerate(parts_of(found.parts, "area")):
            alone = dataclasses.replace(forecast, cases=forecast.cases[number : number + 1])
            there = verify(alone, truth_from_store(alone, store), baselines(alone, store))
            assert {*part.scores} == {*found.systems}
            for system, scores in part.scores.items():
                assert [*scores] == [*OF_A_PART]
                for name, value in scores.items():
                    expected = there.systems[system][name]["value"]
                    # Points of cases at different latitudes resolve waves a little differently.
                    rel = 0.01 if name in ("spectrum_max_db", "effective_resolution_km") else 1e-6
                    assert value == (expected and pytest.approx(expected, rel=rel))
    assert parts_of(found.parts, "area")[0].scores[MODEL]["spread_skill"] > 0
    assert parts_of(found.parts, "area")[0].scores["bilinear"]["spread_skill"] is None


def test_wet_and_dry_fields_have_intervals_of_the_wholes_draws(tmp_path, monkeypatch):
    with open_forecast(example(tmp_path)) as forecast:
        store = store_of(forecast)
        of = forecast, truth_from_store(forecast, store), baselines(forecast, store)
        hours = parts_of(verify(*of).parts, "time")
        shares = [part.wet["truth"] for part in hours]
        monkeypatch.setattr("jaxrain.verification.breakdown.WET_SHARE", sorted(shares)[2])
        found = verify(*of)
    assert (found.blocks.count, len(hours)) == (2, 5)
    wet, dry = parts_of(found.parts, "wetness")
    assert (wet.hours, dry.hours) == (3, 2)
    # What each draw finds of the hours that are wet, hour by hour.
    told = []
    for weights in draw(found.blocks, draws=DRAWS, seed=SEED):
        counted = [
            (weight * part.points, part.crps_mm)
            for weight, part, share in zip(weights, hours, shares, strict=True)
            if share >= sorted(shares)[2]
        ]
        points = sum(count for count, _ in counted)
        if points:
            crps = {s: sum(n * c[s] for n, c in counted) / points for s in (MODEL, "bilinear")}
            told.append((crps[MODEL], 1 - crps[MODEL] / crps["bilinear"]))
    low, high = np.percentile(told, (2.5, 97.5), 0)
    for interval, end in ((wet.crps_interval[MODEL], 0), (wet.skill["bilinear"], 1)):
        assert interval["low"] == pytest.approx(low[end])
        assert interval["high"] == pytest.approx(high[end])
        assert interval["low"] < interval["value"] < interval["high"]
    assert wet.crps_interval[MODEL]["value"] == pytest.approx(wet.crps_mm[MODEL])


def test_the_interval_of_a_parts_mean_is_the_normal_one():
    rng = np.random.default_rng(0)
    days = 300
    times = np.datetime64("2022-06-01T01", "ns") + np.arange(24 * days) * np.timedelta64(1, "h")
    wet = np.flatnonzero(np.arange(24 * days) % 24 < 6)  # a quarter of each day
    of_day = rng.normal(5, 1, days)
    crps = np.where(np.arange(24 * days) % 24 < 6, np.repeat(of_day, 24), 1e3)
    sums = {
        "model": {"crps": crps * 7, "points": np.full(len(crps), 7.0)},
        "twice": {"crps": crps * 14, "points": np.full(len(crps), 7.0)},
    }
    grouped = blocks(times)
    drawn = grouped, draw(grouped, draws=2000, seed=0)
    of_system, skill = crps_intervals(wet, sums, drawn)
    assert of_system["model"]["value"] == pytest.approx(of_day.mean())
    half = 1.96 * of_day.std() / np.sqrt(days)
    width = of_system["model"]["high"] - of_system["model"]["low"]
    assert width == pytest.approx(2 * half, rel=0.1)
    # Drawn together, they are sure of how they compare.
    assert skill == {"twice": pytest.approx({"value": 0.5, "low": 0.5, "high": 0.5})}


def test_a_part_of_one_block_has_no_interval(found):
    for part in parts_of(found.parts, "area"):
        assert found.blocks.count == 2
        for each in (*part.crps_interval.values(), *part.skill.values()):
            assert each["value"] is not None
            assert (each["low"], each["high"]) == (None, None)


def test_parts_are_named_for_what_they_hold(found):
    assert [(part.name, part.hours) for part in parts_of(found.parts, "area")] == [
        ("early", 3), ("late", 2),
    ]  # fmt: skip
    hours = [part.name for part in parts_of(found.parts, "hour of the day")]
    assert hours == ["00 to 01", "01 to 02", "02 to 03", "03 to 04", "04 to 05"]
    assert parts_of(found.parts, "time")[0].name == "2022-06-01 01:00"
    assert parts_of(found.parts, "wetness") == []  # all are wet: one part tells nothing


def test_a_bias_map_is_the_mean_error_of_the_mean(found, tmp_path):
    (early, _) = found.bias_maps
    assert (early.case, early.hours) == (0, 3)
    with open_forecast(example(tmp_path, windows=True)) as forecast:
        means = np.stack([forecast.cases[0].members(h).mean(0) for h in range(3)])
    expected = (means - stored_rain(tmp_path)[:3, 8:40, :32]).mean(0)
    np.testing.assert_allclose(early.mean(), expected, atol=1e-5)
    assert found.systems[MODEL]["bias_mm"]["value"] == pytest.approx(
        np.average([m.mean().mean() for m in found.bias_maps], weights=[3, 2]), rel=1e-4
    )


def test_points_never_known_stay_unknown_and_maps_are_few():
    one = BiasMap(0, (1, 2))
    for _ in HOURS:
        one.add(np.array([[[2.0, 2.0]], [[4.0, 4.0]]]), np.array([[1.0, np.nan]]))
    np.testing.assert_array_equal(one.mean(), [[2.0, np.nan]])
    assert cases_to_map([1, 5, 1, 1, 1, 1, 1, 9]) == [0, 1, 2, 3, 4, 7]


def test_a_table_of_parts_says_whose_score_each_column_is(found):
    table = by_part(found, "area")
    assert table is not None
    ((_, (row, *_)),) = table.groups
    part = parts_of(found.parts, "area")[0]
    told = dict(zip(table.columns, row.cells, strict=True))
    assert told["spread_skill model"] == part.scores[MODEL]["spread_skill"]
    assert told["CRPS bilinear [mm]"]["value"] == pytest.approx(part.crps_mm["bilinear"])
    skill = 1 - part.crps_mm[MODEL] / part.crps_mm["bilinear"]
    assert told["crpss model"]["value"] == pytest.approx(skill)
    assert by_part(found, "wetness") is None
