import numpy as np
import xarray as xr

from jaxrain.grids.grid import Grid
from jaxrain.verification.baselines import baselines, without_regression
from jaxrain.verification.forecast import Case, Forecast


def forecast(*names, attributes=()):
    """Two cases of two hours; the field called names[k] is k + 1 mm in the second hour."""
    grid = Grid(23 - 0.01 * np.arange(3), 113 + 0.01 * np.arange(4))
    dims = ("time", "latitude", "longitude")
    hours = np.array(["2022-06-01T01", "2022-06-01T02"], "datetime64[s]")
    fields = {
        name: (dims, (number + 1) * np.stack([np.zeros((3, 4)), np.ones((3, 4))]))
        for number, name in enumerate(names)
    }
    dataset = xr.Dataset(fields)
    cases = [Case(name, grid, hours, None, (0, 0), dataset) for name in ("a", "b")]
    return Forecast("OUT.nc", dict(attributes), cases)


def test_what_the_files_regression_expects_is_a_baseline():
    both = forecast("coarse_precipitation", "regression_precipitation")
    found = baselines(both, None)
    assert list(found) == ["bilinear", "regression"]
    for number, name in enumerate(found, 1):
        np.testing.assert_array_equal(found[name](both.cases[1], 1), np.full((1, 3, 4), number))
    assert without_regression(both, found) == []


def test_where_no_network_stands_beside_it_is_said():
    alone = forecast("coarse_precipitation")
    found = baselines(alone, None)
    assert list(found) == ["bilinear"]
    (note,) = without_regression(alone, found)
    assert "data.target=regression" in note
    assert "--beside" in note
    assert without_regression(alone, found | {"unet": found["bilinear"]}) == []
    itself = forecast(
        "coarse_precipitation", attributes={"jaxrain_objective": "regression"}.items()
    )
    assert without_regression(itself, found) == []


def test_a_regression_in_some_cases_alone_is_none():
    some = forecast("coarse_precipitation", "regression_precipitation")
    some.cases[0] = forecast("coarse_precipitation").cases[0]
    assert "regression" not in baselines(some, None)
