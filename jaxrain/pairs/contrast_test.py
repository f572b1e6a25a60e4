import numpy as np
import pytest

from jaxrain.grids.regrid import block_mean
from jaxrain.pairs.contrast import bent, bent_patch


def _rain():
    rain = np.random.default_rng(0).gamma(0.3, 3, (30, 40)).astype(np.float32)
    rain[:5] = 0
    rain[7, 9] = np.nan
    return rain


@pytest.mark.parametrize("exponent", [0.7, 1.4])
def test_bent_rain_keeps_its_mean_its_order_and_where_it_is_dry_or_missing(exponent):
    rain = _rain()
    found = bent(rain, exponent)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.nanmean(found), np.nanmean(rain), rtol=1e-5)
    np.testing.assert_array_equal(np.argsort(found.ravel()), np.argsort(rain.ravel()))
    np.testing.assert_array_equal(found == 0, rain == 0)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(rain))
    assert (np.nanstd(found) > np.nanstd(rain)) == (exponent > 1)
    # A straight line in logarithms, of that slope.
    wet = rain > 0
    slope, _ = np.polyfit(np.log(rain[wet]), np.log(found[wet]), 1)
    assert slope == pytest.approx(exponent, rel=1e-5)


def test_the_power_one_and_a_dry_field_stay():
    np.testing.assert_allclose(bent(_rain(), 1.0), _rain(), rtol=1e-6)
    assert not bent(np.zeros((3, 3), np.float32), 1.4).any()


def test_coarse_cells_are_means_of_the_bent_rain_that_the_patch_is_cut_from():
    rain = _rain()
    cells = (slice(1, 4), slice(2, 5))  # rows 10 to 39, of which 30 are there; columns 20 to 49
    patch, coarse = bent_patch(rain, cells, 10, (12, 21), 15, 1.4)
    whole = bent(rain[10:30, 20:40], 1.4)
    np.testing.assert_array_equal(patch, whole[2:17, 1:16])
    np.testing.assert_array_equal(coarse, block_mean(whole, 10)[None])
    assert coarse.shape == (1, 2, 2)
