import numpy as np

from jaxrain.pairs.audit.coverage import coverage, months, runs, summarise
from jaxrain.pairs.pairing import IN_NO_SPLIT, NO_FINE_RAIN
from jaxrain.pairs.recipe import Selection, Splits


def at(text):
    return np.datetime64(text, "s")


SPLITS = Splits(
    train=[Selection(period="2020-01-01T00/2020-01-01T09")],
    test=[Selection(files="event*.nc")],
)


def found():
    paired = [(at(f"2020-01-01T0{hour}"), "train") for hour in (2, 3, 7)]
    paired.append((at("2020-02-28T10:50"), "test"))
    left_out = [
        (at("2020-01-01T04"), "fine.nc", "no u, tp at this hour"),
        (at("2020-01-01T05"), "coarse.nc", NO_FINE_RAIN),
        (at("2020-01-01T12"), "fine.nc", IN_NO_SPLIT),
        (at("2020-01-01T13"), "coarse.nc", NO_FINE_RAIN),  # nobody asked for it
    ]
    return coverage(paired, left_out, SPLITS)


def test_every_hour_from_the_first_to_the_last_has_one_state():
    covered = found()
    counts = summarise(covered)["hours"]
    assert counts["train"] == 3
    assert counts["test"] == 1
    assert counts["no_predictors"] == counts["no_fine_rain"] == 1
    assert counts["in_no_split"] == 2
    assert counts["missing"] == 3  # 06, 08 and 09; 00 and 01 lie before the first
    assert sum(counts.values()) == len(covered.hours) == 58 * 24 + 10 - 2 + 1


def test_missing_hours_come_in_runs():
    assert runs(found(), "missing") == [
        {"first": "2020-01-01T06", "last": "2020-01-01T06", "hours": 1},
        {"first": "2020-01-01T08", "last": "2020-01-01T09", "hours": 2},
    ]


def test_what_a_split_asks_for_beyond_all_files_is_counted():
    assert found().asked_beyond == 2
    later = Splits(train=[Selection(period="2020-01-01T02/2020-02-29T10")])
    assert coverage([(at("2020-01-01T02"), "train")], [], later).asked_beyond == 59 * 24 + 8


def test_months_without_an_hour_are_not_shown():
    paired = [(at("2019-11-05T02"), "train"), (at("2020-02-01T02"), "train")]
    covered = coverage(paired, [], Splits(train=[Selection()]))
    np.testing.assert_array_equal(months(covered), np.array(["2019-11", "2020-02"], "M8[M]"))
    counts = summarise(covered)
    assert counts["months"]["2019-11"]["missing"] == 25 * 24 + 21
    assert counts["hours"]["missing"] == len(covered.hours) - 2


def test_an_hour_of_two_areas_has_the_better_state():
    time = at("2020-01-01T03")
    covered = coverage([(time, "train")], [(time, "x.nc", "no u at this hour")], SPLITS)
    assert summarise(covered)["hours"]["train"] == 1
