import numpy as np
import pytest

from jaxrain.grids.regrid import block_mean
from jaxrain.verification.conservation import Cells, coarse_rain, conservation_sums
from jaxrain.verification.forecast import open_forecast
from jaxrain.verification.forecast_test import example
from jaxrain.verification.truth import store_of, truth_from_store


def cells(rain_mm, block=4):
    rows, columns = (np.repeat(np.eye(n), block, 0) for n in rain_mm.shape)
    return Cells(rows, columns, rain_mm)


def test_block_means_are_conserved_and_a_surplus_is_its_own_error():
    members = np.random.default_rng(0).gamma(0.5, 4, (3, 12, 8))
    coarse = block_mean(members[0], 4)
    one = conservation_sums(members[:1], members[0], cells(coarse))
    assert one["cells"] == 6
    assert one["cell_error"] == pytest.approx(0, abs=1e-12)
    assert one["cell_rain"] == pytest.approx(coarse.sum())
    more = conservation_sums(members[:1] + 0.5, members[0], cells(coarse))
    assert more["cell_error"] / more["cells"] == pytest.approx(0.5)
    assert more["cell_truth_error"] == pytest.approx(0, abs=1e-12)
    both = conservation_sums(np.stack([members[0] + 1, members[0] - 1]), members[0], cells(coarse))
    assert both["cell_error"] / both["cells"] == pytest.approx(1)  # each member counts, no mean


def test_cells_with_an_unknown_point_or_unknown_rain_are_left_out():
    truth = np.ones((8, 8))
    truth[0, 0] = np.nan
    coarse = np.full((2, 2), 3.0)
    coarse[1, 1] = np.nan
    sums = conservation_sums(np.ones((2, 8, 8)), truth, cells(coarse))
    assert sums["cells"] == 2
    assert sums["cell_error"] == pytest.approx(4)
    assert conservation_sums(np.ones((2, 8, 8)), truth, None)["cells"] == 0


@pytest.mark.parametrize("windows", [False, True])
def test_the_stores_truth_is_conserved_where_its_means_were_the_input(tmp_path, windows):
    with open_forecast(example(tmp_path, windows=windows)) as forecast:
        store = store_of(forecast)
        truth, coarse = truth_from_store(forecast, store), coarse_rain(forecast, store)
        case = forecast.cases[0]
        sums = conservation_sums(case.members(0), truth(case, 0), coarse(case, 0))
        assert sums["cells"] == (16 if windows else 30)
        assert sums["cell_truth_error"] / sums["cells"] < 1e-6
        assert sums["cell_error"] / sums["cells"] > 0.1
        assert coarse_rain(forecast, None) is None
