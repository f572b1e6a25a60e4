import weakref
from functools import partial

import numpy as np
import pytest

from jaxrain.ensembles import products as module
from jaxrain.ensembles.products import parse_products, summarize

NAMES = ("mean", "q10", "q50", "q99.5", "maximum", "exceedance")
THRESHOLDS = (0.1, 1.0, 5.0)


def members(count=7, shape=(13, 9), seed=0):
    rain = np.random.default_rng(seed).gamma(0.3, 4.0, (count, *shape)).astype(np.float32)
    return [np.where(field < 0.1, np.float32(0), field) for field in rain]


def told(products, fields):
    return summarize(products, [field.view for field in fields])


def test_products_are_numpys():
    rain = np.stack(members())
    mean, maximum, *rest = told(parse_products(NAMES, THRESHOLDS), members())
    np.testing.assert_allclose(mean, rain.mean(0), rtol=1e-6)
    np.testing.assert_array_equal(maximum, rain.max(0))
    np.testing.assert_allclose(rest[:3], np.quantile(rain, [0.1, 0.5, 0.995], axis=0), rtol=1e-5)
    expected = np.stack([(rain >= np.float32(limit)).mean(0) for limit in THRESHOLDS])
    np.testing.assert_allclose(rest[3:], expected, rtol=1e-6)


def test_a_band_at_a_time_is_the_whole(monkeypatch):
    products = parse_products(NAMES, THRESHOLDS)
    whole = told(products, members())
    monkeypatch.setattr(module, "_BAND_VALUES", 7 * 9 * 4)  # of 4 rows; the last has one
    np.testing.assert_array_equal(told(products, members()), whole)


def test_maps_of_members_are_let_go_between_bands(tmp_path, monkeypatch):
    """Pages of a map stay with the process: those of 64 whole members would be a GiB."""
    fields = members()
    for number, field in enumerate(fields):
        np.save(tmp_path / f"{number}.npy", field)
    maps, most = [], 0

    def load(number):
        nonlocal most
        found = np.load(tmp_path / f"{number}.npy", mmap_mode="r")
        maps.append(weakref.ref(found))
        most = max(most, sum(each() is not None for each in maps))
        return found

    monkeypatch.setattr(module, "_BAND_VALUES", 7 * 9 * 4)
    products = parse_products(NAMES, THRESHOLDS)
    result = summarize(products, [partial(load, number) for number in range(len(fields))])
    np.testing.assert_array_equal(result, told(products, fields))
    assert most <= 2  # the one at hand, and the one before it


def test_the_threshold_itself_counts_and_one_member_is_its_own_every_product():
    field = np.float32([[0.0, 0.1, 1.0, 7.0]])
    mean, maximum, low, middle, high, *chances = told(parse_products(NAMES, THRESHOLDS), [field])
    for each in (mean, maximum, low, middle, high):
        np.testing.assert_array_equal(each, field)
    np.testing.assert_array_equal(
        np.stack(chances)[:, 0], [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]
    )


def test_where_a_member_is_missing_so_is_every_product():
    fields = members()
    fields[3][2, 5] = np.nan
    missing = np.isnan(told(parse_products(NAMES, THRESHOLDS), fields))
    assert missing[:, 2, 5].all()
    assert missing.sum() == len(missing)


def test_levels_are_sorted_and_no_exceedance_needs_no_thresholds():
    products = parse_products(["q90", "q5"], [])
    assert products.quantiles == (0.05, 0.9)
    assert products.layers == 2
    assert parse_products([], THRESHOLDS).layers == 0


@pytest.mark.parametrize("name", ["median", "q101", "q", "p90"])
def test_unknown_products_name_those_that_there_are(name):
    with pytest.raises(ValueError, match=f"'{name}'; there are mean, maximum, exceedance"):
        parse_products([name], [])


@pytest.mark.parametrize("thresholds", [(1.0, 1.0), (0.0, 1.0), (5.0, 1.0)])
def test_thresholds_are_positive_and_increase(thresholds):
    with pytest.raises(ValueError, match="expected positive, increasing"):
        parse_products(["exceedance"], thresholds)


def test_parts_of_other_products_have_other_names():
    products = parse_products(NAMES, THRESHOLDS)
    names = {
        products.part_name(range(7)),
        products.part_name(range(8)),
        products.part_name(range(1, 8)),
        products._replace(mean=False).part_name(range(7)),
        products._replace(thresholds_mm=(0.1,)).part_name(range(7)),
    }
    assert len(names) == 5
