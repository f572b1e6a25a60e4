from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.store import open_store
from jaxrain.verification.baselines import (
    baselines,
    left_out,
    reference,
    spread_sums,
    without_regression,
)
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.forecast_test import example


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


def test_means_that_stand_for_hours_are_told():
    assert spread_sums(forecast("coarse_precipitation")) == []
    told = "3 hours: " + " ".join(["2024-05-01T03:00"] * 40)
    (note,) = spread_sums(
        forecast("coarse_precipitation", attributes=[("jaxrain_spread_sums", told)])
    )
    assert "a mean over several" in note
    assert note.endswith(" ...")
    assert len(note) < 350


def test_without_coarse_rain_training_hours_of_the_same_points_are_to_beat(tmp_path):
    store = open_store(example(tmp_path, windows=True).parent / "store")
    hours = np.array(["2022-06-01T01"], "datetime64[s]")
    (area,) = store.areas
    case = Case(
        "late", area.fine_grid.window(0, 10, 32, 32), hours, area.name, (0, 10), xr.Dataset()
    )
    found = baselines(Forecast("OUT.nc", {}, [case]), store)
    assert list(found) == ["climatology"]
    (training,) = area.indices("train")  # one: as many as there are
    expected = area.fine(training)[None, :32, 10:42]
    np.testing.assert_array_equal(found["climatology"](case, 0), expected)
    (note,) = left_out(found, "")
    assert "holds no coarse rain" in note
    assert baselines(Forecast("OUT.nc", {}, [case]), None) == {}
    assert "climatology is left out: gone" in left_out({}, "gone")[1]


def test_climatology_takes_the_hours_that_know_most():
    rng = np.random.default_rng(0)
    rain = rng.random((40, 3, 4), np.float32)
    rain[::2, 1, 2] = np.nan
    rain[:30, 0, 0] = np.nan  # outside the window

    class Area:
        name = "a"

        def indices(self, split):
            return list(range(40))

        def fine(self, hour):
            return rain[hour]

    grid = Grid(23 - 0.01 * np.arange(2), 113 + 0.01 * np.arange(3))
    case = Case("a", grid, np.array(["2022-06-01T01"], "datetime64[s]"), "a", (1, 1), xr.Dataset())
    store = SimpleNamespace(areas=[Area()], channels=["t"])
    members = baselines(Forecast("OUT.nc", {}, [case]), store)["climatology"](case, 0)
    assert members.shape == (16, 2, 3)
    assert np.isfinite(members).all()
    assert len({tuple(member.ravel()) for member in members}) == 16


def test_skill_is_told_against_interpolation_climatology_or_the_first():
    this = forecast()
    assert reference(["unet", "bilinear", "climatology"], this) == "bilinear"
    assert reference(["unet", "climatology"], this) == "climatology"
    assert reference(["unet", "other"], this) == "unet"
    with pytest.raises(InputError, match=r"nothing to compare with.*--beside NAME=FILE\.nc"):
        reference([], this)


def test_a_regression_in_some_cases_alone_is_none():
    some = forecast("coarse_precipitation", "regression_precipitation")
    some.cases[0] = forecast("coarse_precipitation").cases[0]
    assert "regression" not in baselines(some, None)
