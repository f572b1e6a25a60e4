import numpy as np
import pytest

from jaxrain.verification.intervals import blocks, draw, interval, total


def hours(count, start="2022-06-01T01"):
    return np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(1, "h")


@pytest.mark.parametrize(
    ("count", "start", "expected"),
    [
        (24 * 12, "2022-06-01T01", (24, "days", 12)),
        (24, "2022-06-01T01", (3, "stretches of 3 hours", 8)),
        (24 * 4 + 1, "2022-06-01T01", (24, "days", 5)),
        (24 * 4, "2022-06-01T01", (3, "stretches of 3 hours", 32)),
        (2, "2022-06-01T01", (1, "hours", 2)),
        (2, "2022-05-31T23:50", (3, "stretches of 3 hours", 2)),  # either side of midnight
    ],
)
def test_blocks_are_days_or_what_there_is_enough_of(count, start, expected):
    grouped = blocks(hours(count, start))
    assert (grouped.hours, grouped.kind, grouped.count) == expected
    assert len(grouped.of) == count


def test_windows_of_a_single_hour_are_blocks_themselves():
    grouped = blocks(np.repeat(hours(1), 3))
    assert (grouped.kind, grouped.count) == ("windows", 3)
    np.testing.assert_array_equal(grouped.of, [0, 1, 2])


def test_windows_of_one_hour_are_drawn_together():
    grouped = blocks(np.repeat(hours(4), 3))
    assert grouped.count == 2
    weights = draw(grouped, draws=50, seed=0)
    for same in (weights[:, :9], weights[:, 9:]):
        np.testing.assert_array_equal(same, same[:, :1].repeat(same.shape[1], 1))
    np.testing.assert_array_equal(weights[:, 0] + weights[:, -1], 2)


def test_draws_are_a_function_of_the_seed():
    grouped = blocks(hours(30))
    np.testing.assert_array_equal(draw(grouped, draws=9, seed=1), draw(grouped, draws=9, seed=1))
    assert (draw(grouped, draws=9, seed=1) != draw(grouped, draws=9, seed=2)).any()


def test_interval_of_a_mean_of_independent_blocks_is_the_normal_one():
    rng = np.random.default_rng(0)
    times = hours(24 * 200)
    day_means = rng.normal(5, 2, 200)
    sums = {"x": np.repeat(day_means, 24), "n": np.ones(len(times))}
    grouped = blocks(times)
    weights = draw(grouped, draws=2000, seed=0)
    drawn, whole = total(sums, weights), total(sums, np.ones(len(times)))
    found = interval(whole["x"] / whole["n"], drawn["x"] / drawn["n"], grouped)
    half = 1.96 * day_means.std() / np.sqrt(200)
    assert found["value"] == pytest.approx(day_means.mean())
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.1)


def test_one_block_has_no_interval_and_the_unknown_is_none():
    single = blocks(hours(1))
    assert interval(np.array(1.0), np.ones(5), single) == {"value": 1.0, "low": None, "high": None}
    several = blocks(hours(20))
    unknown = interval(np.array(np.nan), np.full(5, np.nan), several)
    assert unknown == {"value": None, "low": None, "high": None}
    partly = interval(np.array(2.0), np.array([1.0, np.nan, 3.0]), several)
    assert 1 <= partly["low"] <= partly["high"] <= 3


def test_beyond_the_scale_there_is_no_end():
    several = blocks(hours(20))
    draws = np.concatenate([np.full(50, 7.0), np.full(50, np.inf)])
    assert interval(np.array(7.0), draws, several) == {"value": 7.0, "low": 7.0, "high": None}
    beyond = interval(np.array(np.inf), draws, several)
    assert beyond == {"value": None, "low": None, "high": None}
