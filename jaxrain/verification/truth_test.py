import json
from contextlib import contextmanager

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.pairs.digests import digest, seal_of
from jaxrain.verification.forecast import open_forecast
from jaxrain.verification.forecast_test import HOURS, example, stored_rain
from jaxrain.verification.truth import store_of, truth_from_files, truth_from_store
from jaxrain.weather.cf import write_netcdf


def fine_file(path, folder, hours=slice(None), shift=0.0, projected=False):
    """The store's rain as a file, with a rim of rows and columns that the ensemble lacks."""
    rain = np.pad(stored_rain(folder)[hours], ((0, 0), (2, 1), (3, 0)))
    names = ("y", "x") if projected else ("latitude", "longitude")
    step, y0, x0 = (1.0, -3959.0, -3.0) if projected else (0.01, 23.41, 112.97)
    y = y0 - step * np.arange(rain.shape[1]) + shift
    x = x0 + step * np.arange(rain.shape[2])
    coordinates = {"time": HOURS[hours].astype("datetime64[ns]"), names[0]: y, names[1]: x}
    dataset = xr.Dataset({"rain": (("time", *names), rain)}, coordinates)
    return write_netcdf(dataset, path)


def test_the_store_gives_each_window_its_rain(tmp_path):
    with open_forecast(example(tmp_path, windows=True)) as forecast:
        truth = truth_from_store(forecast, store_of(forecast))
        rain = stored_rain(tmp_path)
        np.testing.assert_array_equal(truth(forecast.cases[0], 1), rain[1, 8:40, :32])
        np.testing.assert_array_equal(truth(forecast.cases[1], 1), rain[4, :32, 10:42])


@pytest.mark.parametrize("projected", [False, True])
def test_files_give_the_same_as_the_store(tmp_path, projected):
    path = example(tmp_path, projected=projected)
    files = [
        fine_file(tmp_path / "b.nc", tmp_path, slice(3, 5), projected=projected),
        fine_file(tmp_path / "a.nc", tmp_path, slice(0, 3), projected=projected),
    ]
    with open_forecast(path) as forecast:
        truth = truth_from_files(forecast, files)
        for hour in range(5):
            found = truth(forecast.cases[0], hour)
            np.testing.assert_allclose(found, stored_rain(tmp_path)[hour], rtol=1e-6)


@contextmanager
def changed_manifest(folder):
    """The manifest of the store there, written back as another store's would be."""
    path = folder / "store" / "manifest.json"
    content = json.loads(path.read_text())
    yield content
    path.write_text(json.dumps(content | {"seal": seal_of(content)}))


def test_lacking_hours_are_named(tmp_path):
    path = example(tmp_path)
    file = fine_file(tmp_path / "a.nc", tmp_path, slice(0, 3))
    with (
        open_forecast(path) as forecast,
        pytest.raises(
            InputError,
            match=r"a\.nc lacks 2 of the 5 hours of .*: 2022-06-01T04:00:00, 2022-06-01T0",
        ),
    ):
        truth_from_files(forecast, [file])
    with changed_manifest(tmp_path) as content:
        content["hours"] = [hour for hour in content["hours"] if "T03" not in hour["time"]]
    with open_forecast(path) as forecast, pytest.raises(InputError, match="lacks 1 of the 5"):
        truth_from_store(forecast, store_of(forecast))


def test_another_grid_is_refused(tmp_path):
    path = example(tmp_path)
    file = fine_file(tmp_path / "a.nc", tmp_path, shift=0.004)
    with open_forecast(path) as forecast, pytest.raises(InputError, match="not part of that of"):
        truth_from_files(forecast, [file])
    (moved,) = (tmp_path / "store").glob("*/fine_y.npy")
    np.save(moved, np.load(moved) + 0.004)
    with changed_manifest(tmp_path) as content:
        content["areas"][0]["digests"]["fine_y"] = digest(np.load(moved))
    with open_forecast(path) as forecast, pytest.raises(InputError, match="40 x 48 points"):
        truth_from_store(forecast, store_of(forecast))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with open_forecast(example(tmp_path)) as forecast, pytest.raises(InputError, match=r"gone\.nc"):
        truth_from_files(forecast, [tmp_path / "gone.nc"])


def test_without_a_store_files_are_asked_for(tmp_path):
    path = example(tmp_path)
    with open_forecast(path) as forecast:
        del forecast.attributes["jaxrain_store"]
        with pytest.raises(InputError, match="--truth"):
            store_of(forecast)
