import numpy as np
import pytest

from jaxrain.verification.intervals import blocks, draw, interval, total


def hours(count, start="2022-06-01T01"):
    return np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(1, "h")


def test_few_hours_fall_into_blocks_of_three_and_many_into_days():
    few = blocks(hours(24))
    assert (few.hours, few.count) == (3, 8)
    np.testing.assert_array_equal(np.bincount(few.of), 3)
    many = blocks(hours(24 * 12))
    assert (many.hours, many.count) == (24, 12)
    np.testing.assert_array_equal(np.bincount(many.of), 24)


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
    single = blocks(hours(2))
    assert interval(np.array(1.0), np.ones(5), single) == {"value": 1.0, "low": None, "high": None}
    several = blocks(hours(20))
    unknown = interval(np.array(np.nan), np.full(5, np.nan), several)
    assert unknown == {"value": None, "low": None, "high": None}
    partly = interval(np.array(2.0), np.array([1.0, np.nan, 3.0]), several)
    assert 1 <= partly["low"] <= partly["high"] <= 3
