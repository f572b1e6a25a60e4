import numpy as np
import pytest

from jaxrain.ensembles import products as module
from jaxrain.ensembles.products import parse_products, summarize

NAMES = ("mean", "q10", "q50", "q99.5", "maximum", "exceedance")
THRESHOLDS = (0.1, 1.0, 5.0)


def members(count=7, shape=(13, 9), seed=0):
    rain = np.random.default_rng(seed).gamma(0.3, 4.0, (count, *shape)).astype(np.float32)
    return [np.where(field < 0.1, np.float32(0), field) for field in rain]


def test_products_are_numpys():
    rain = np.stack(members())
    mean, maximum, *rest = summarize(parse_products(NAMES, THRESHOLDS), members())
    np.testing.assert_allclose(mean, rain.mean(0), rtol=1e-6)
    np.testing.assert_array_equal(maximum, rain.max(0))
    np.testing.assert_allclose(rest[:3], np.quantile(rain, [0.1, 0.5, 0.995], axis=0), rtol=1e-5)
    expected = np.stack([(rain >= np.float32(limit)).mean(0) for limit in THRESHOLDS])
    np.testing.assert_allclose(rest[3:], expected, rtol=1e-6)


def test_a_band_at_a_time_is_the_whole(monkeypatch):
    products = parse_products(NAMES, THRESHOLDS)
    whole = summarize(products, members())
    monkeypatch.setattr(module, "_BAND_VALUES", 7 * 9 * 4)  # of 4 rows; the last has one
    np.testing.assert_array_equal(summarize(products, members()), whole)


def test_the_threshold_itself_counts_and_one_member_is_its_own_every_product():
    field = np.float32([[0.0, 0.1, 1.0, 7.0]])
    mean, maximum, low, middle, high, *chances = summarize(
        parse_products(NAMES, THRESHOLDS), [field]
    )
    for told in (mean, maximum, low, middle, high):
        np.testing.assert_array_equal(told, field)
    np.testing.assert_array_equal(
        np.stack(chances)[:, 0], [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]
    )


def test_where_a_member_is_missing_so_is_every_product():
    fields = members()
    fields[3][2, 5] = np.nan
    told = summarize(parse_products(NAMES, THRESHOLDS), fields)
    missing = np.isnan(told)
    assert missing[:, 2, 5].all()
    assert missing.sum() == len(told)


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
        products.part_name(7),
        products.part_name(8),
        products._replace(mean=False).part_name(7),
        products._replace(thresholds_mm=(0.1,)).part_name(7),
    }
    assert len(names) == 4
