import numpy as np
import pytest

from jaxrain.pairs.placement import BLOCK, WET_MM, WET_SHARE, cover, draw, places

PATCH = 16


def _field(height=60, width=75, seed=0):
    rng = np.random.default_rng(seed)
    rain = np.zeros((height, width), np.float32)
    rain[30:45, 40:60] = rng.gamma(2.0, 2.0, (15, 20)) + WET_MM
    rain[:20, :30] = np.nan
    return rain


def _share_missing(rain, y, x):
    return np.isnan(rain[y : y + PATCH, x : x + PATCH]).mean()


def test_counts_are_those_of_each_block_with_the_rim_cut():
    rain = _field()
    counts = cover(rain)
    assert counts.shape == (2, 8, 10)
    for i in range(8):
        for j in range(10):
            block = rain[8 * i : 8 * i + 8, 8 * j : 8 * j + 8]
            assert counts[0, i, j] == np.isfinite(block).sum()
            assert counts[1, i, j] == (np.nan_to_num(block) >= np.float32(WET_MM)).sum()


@pytest.mark.parametrize("max_missing", [0.0, 0.3])
def test_places_are_all_that_are_covered_and_wet_by_brute_force(max_missing):
    rain = _field()
    found = places(cover(rain), rain.shape, PATCH, max_missing)
    covered, wet = set(), set()
    for y in range(0, 60 - PATCH + 1, BLOCK):
        for x in range(0, 75 - PATCH + 1, BLOCK):
            if _share_missing(rain, y, x) <= max_missing:
                covered.add((y // BLOCK, x // BLOCK))
                patch = rain[y : y + PATCH, x : x + PATCH]
                share = (np.nan_to_num(patch) >= WET_MM).sum() / np.isfinite(patch).sum()
                if share >= WET_SHARE:
                    wet.add((y // BLOCK, x // BLOCK))
    assert set(zip(*found.any, strict=True)) == covered
    assert set(zip(*found.wet, strict=True)) == wet
    assert 0 < len(wet) < len(covered)


def test_where_no_place_is_covered_the_best_is_taken():
    rain = np.full((32, 32), np.nan, np.float32)
    rain[10, 20] = 0.0
    found = places(cover(rain), rain.shape, PATCH, 0.3)
    rows, columns = found.any
    assert len(rows) > 0
    for row, column in zip(rows, columns, strict=True):
        patch = rain[row * BLOCK :, column * BLOCK :][:PATCH, :PATCH]
        assert np.isfinite(patch).sum() == 1


@pytest.mark.parametrize("wet_fraction", [0.0, 0.6, 1.0])
def test_draws_stay_inside_and_are_wet_as_often_as_asked(wet_fraction):
    rain = _field()
    found = places(cover(rain), rain.shape, PATCH, 0.3)
    wet_blocks = set(zip(*(axis.tolist() for axis in found.wet), strict=True))
    rng = np.random.default_rng(1)
    hits, starts = 0, set()
    for _ in range(2000):
        (y, x), (counted_y, counted_x) = draw(found, rain.shape, PATCH, wet_fraction, rng)
        assert 0 <= y <= 60 - PATCH
        assert 0 <= x <= 75 - PATCH
        assert _share_missing(rain, counted_y, counted_x) <= 0.3
        hits += (counted_y // BLOCK, counted_x // BLOCK) in wet_blocks
        starts.add(y % BLOCK)
    by_chance = len(wet_blocks) / len(found.any[0])
    expected = wet_fraction + (1 - wet_fraction) * by_chance
    assert hits / 2000 == pytest.approx(expected, abs=0.04)
    assert starts == set(range(BLOCK))


def test_a_dry_hour_is_drawn_from_all_places():
    rain = np.zeros((40, 40), np.float32)
    found = places(cover(rain), rain.shape, PATCH, 0.3)
    assert len(found.wet[0]) == 0
    assert draw(found, rain.shape, PATCH, 1.0, np.random.default_rng(0))[0][0] <= 24
