import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.verification.baselines import baselines, left_out
from jaxrain.verification.beside import forecasts_beside, parse_beside
from jaxrain.verification.forecast import open_forecast
from jaxrain.verification.forecast_test import example
from jaxrain.verification.scoring import MODEL, verify
from jaxrain.verification.truth import (
    store_at_hand,
    store_of,
    truth_from_files,
    truth_from_store,
)
from jaxrain.verification.truth_test import fine_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An ensemble over the whole area, OUT.nc, and one over windows of it, windows/OUT.nc."""
    made = tmp_path_factory.mktemp("beside")
    (made / "windows").mkdir()
    example(made)
    example(made / "windows", windows=True)
    return made


def test_a_forecast_on_a_larger_grid_is_cut_to_the_points(folder):
    with (
        open_forecast(folder / "windows" / "OUT.nc") as forecast,
        forecasts_beside(forecast, {"whole": folder / "OUT.nc"}) as beside,
    ):
        for case in forecast.cases:
            for hour in range(len(case.hours)):
                np.testing.assert_array_equal(beside["whole"](case, hour), case.members(hour))


def test_a_deterministic_forecast_is_scored_as_a_baseline(folder):
    path = folder / "mean.nc"
    with xr.open_dataset(folder / "OUT.nc") as dataset:
        dataset[["precipitation"]].mean("member").to_netcdf(path)
    with (
        open_forecast(folder / "OUT.nc") as forecast,
        forecasts_beside(forecast, {"mean": path, "twin": folder / "OUT.nc"}) as beside,
    ):
        store = store_of(forecast)
        against = baselines(forecast, store) | beside
        found = verify(forecast, truth_from_store(forecast, store), against)
    model = found.systems[MODEL]
    assert found.systems["twin"] == model
    mean = found.systems["mean"]["crps_mm"]
    assert mean["value"] == pytest.approx(model["mae_mm"]["value"], rel=1e-5)
    assert found.skill["mean"]["value"] == pytest.approx(
        1 - model["crps_mm"]["value"] / mean["value"]
    )


def test_what_does_not_fit_is_one_line(folder):
    out, windows = folder / "OUT.nc", folder / "windows" / "OUT.nc"
    early = folder / "early.nc"
    with xr.open_dataset(out) as dataset:
        dataset.isel(time=slice(0, 2)).to_netcdf(early)
    with open_forecast(out) as forecast:
        for words, expected in (
            ([str(out)], "expected NAME=FILE.nc or NAME=RUN"),
            ([f"bilinear={out}"], "'bilinear' is taken"),
            ([f"a={out}", f"a={out}"], "'a' is taken"),
            ([f"a={windows}"], "no grid in it holds the points"),
            ([f"a={early}"], r"lacks 3 of the 5 hours of .*: 2022-06-01T03"),
            ([f"a={folder / 'gone.nc'}"], "no such file"),
        ):
            with (
                pytest.raises(InputError, match=expected),
                forecasts_beside(forecast, parse_beside(forecast, words)),
            ):
                pass


def test_the_runs_own_regression_keeps_its_name(folder):
    path = folder / "two_stages.nc"
    with xr.open_dataset(folder / "OUT.nc") as dataset:
        expected = dataset["precipitation"].mean("member")
        dataset.assign(regression_precipitation=expected).to_netcdf(path)
    words = [f"regression={folder / 'OUT.nc'}"]
    with open_forecast(folder / "OUT.nc") as plain:
        assert parse_beside(plain, words) == {"regression": folder / "OUT.nc"}
    with (
        open_forecast(path) as forecast,
        pytest.raises(InputError, match="'regression' is taken"),
    ):
        parse_beside(forecast, words)


def test_truth_from_files_keeps_the_stores_baselines_and_tells_what_it_lacks(folder):
    with open_forecast(folder / "OUT.nc") as forecast:
        truth = truth_from_files(forecast, [fine_file(folder / "truth.nc", folder)])
        store, why = store_at_hand(forecast)
        assert why == ""
        against = baselines(forecast, store)
        assert left_out(against, why) == []
        assert set(verify(forecast, truth, against).systems) == {MODEL, *against}
        forecast.attributes["jaxrain_store"] = str(folder / "gone")
        store, why = store_at_hand(forecast)
        notes = left_out(baselines(forecast, store), why)
        assert len(notes) == 2
        assert notes[1].startswith("the baseline quantile-mapped is left out: ")
        assert "gone holds no finished store" in notes[1]
