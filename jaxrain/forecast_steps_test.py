"""A forecast in steps of three hours, its rain summed from the start, to rain at 1 km."""

import numpy as np
import pytest
import xarray as xr

from jaxrain import sample
from jaxrain.config import load_config
from jaxrain.downscaler import load
from jaxrain.fingerprint import fingerprint
from jaxrain.weather.cf import write_netcdf
from jaxrain.weather.made_grib_test import message, pressure_message

HOURS = np.arange("2020-07-01T00", "2020-07-01T04", dtype="datetime64[h]")
CONFIG = """
data:
  root: {root}
  store: {root}/store
  fine: ["rain.nc"]
  coarse: ["era5.nc"]
  variables: [t, tp]
  levels: [850]
  splits: {{train: ["2020-07-01T00/2020-07-01T03"]}}
  rain_scaling: log1p
  patch: 16
model: {{inner_channel: 4, channel_mults: [1], res_blocks: 1, norm_groups: 2, attn_res: []}}
diffusion: {{steps: 50, prediction: x0}}
train: {{run: {root}/run}}
sample: {{members: 2, steps: 2, batch: 4, tile: 16, overlap: 0, sampler: dpmpp_2m}}
"""
_RNG = np.random.default_rng(0)
_LATITUDE, _LONGITUDE = np.arange(31, 28.4, -0.25), np.arange(109.5, 112.6, 0.25)
_SHAPE = (len(_LATITUDE), len(_LONGITUDE))


@pytest.fixture(scope="module")
def run(tmp_path_factory, untrained):
    """A run that was never trained, on temperature and hourly rain of a quarter of a degree."""
    root = tmp_path_factory.mktemp("steps")
    fine = {
        "time": HOURS.astype("datetime64[ns]"),
        "latitude": 30 - 0.05 * np.arange(16),
        "longitude": 110 + 0.05 * np.arange(24),
    }
    rain = _RNG.gamma(0.3, 3.0, (4, 16, 24)).astype(np.float32)
    write_netcdf(xr.Dataset({"rain": (tuple(fine), rain, {"units": "mm"})}, fine), root / "rain.nc")
    coarse = {
        "time": fine["time"],
        "level": ("level", [850], {"units": "hPa"}),
        "latitude": _LATITUDE,
        "longitude": _LONGITUDE,
    }
    flat = ("time", "latitude", "longitude")
    t = _RNG.normal(280, 10, (4, 1, *_SHAPE)).astype(np.float32)
    tp = _RNG.gamma(0.3, 3.0, (4, *_SHAPE)).astype(np.float32)
    weather = {"t": (tuple(coarse), t, {"units": "K"}), "tp": (flat, tp, {"units": "mm"})}
    write_netcdf(xr.Dataset(weather, coarse), root / "era5.nc")
    (root / "config.yaml").write_text(CONFIG.format(root=root))
    return untrained(load_config(root / "config.yaml"), root / "run")


@pytest.fixture(scope="module")
def steps(run):
    """Files of the steps 3, 6 and 9 as ECMWF's open data has them, and the rain of each, mm."""
    rain = _RNG.gamma(0.5, 3.0, (3, *_SHAPE))
    place = {
        "latitude": (_LATITUDE[0], _LATITUDE[-1]),
        "longitude": (_LONGITUDE[0], _LONGITUDE[-1]),
        "packingType": "grid_ccsds",
        "dataDate": 20200702,
        "dataTime": 0,
    }
    summed = {"centre": "ecmf", "productDefinitionTemplateNumber": 8, "shortName": "tp"}
    paths = []
    for number, end in enumerate((3, 6, 9)):
        t = pressure_message("t", 850, _RNG.normal(280, 5, _SHAPE), **place, stepRange=end)
        running = rain[: number + 1].sum(axis=0) / 1000
        tp = message(running, **summed, **place, stepRange=f"0-{end}")
        paths.append(run.parent / f"20200702000000-{end}h-oper-fc.grib2")
        paths[-1].write_bytes(t + tp)
    return list(map(str, paths)), rain


def test_only_who_asks_for_it_gets_rain_of_means_and_is_told(run, steps, capsys):
    paths, rain = steps
    output = run.parent / "ifs.nc"
    command = [str(run), "--output", str(output), "--input", *paths]
    assert sample.main(command) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "3h-oper-fc.grib2: message 2: tp is a sum over 3 hours" in told
    assert told.endswith("let `sample` take means over up to 3 hours with --spread-sums 3\n")
    assert not output.exists()
    assert sample.main([*command, "--spread-sums", "3"]) == 0
    told = capsys.readouterr().err
    assert "warning: the coarse rain of 3 of 3 hours is a mean over 3 hours" in told
    assert "6 of 9 hours are left out, for the input does not hold all of t then" in told
    with xr.open_dataset(output) as made:
        made = made.load()
    hours = np.array(["2020-07-02T03", "2020-07-02T06", "2020-07-02T09"], "datetime64[ns]")
    np.testing.assert_array_equal(made["time"], hours)
    assert made.attrs["jaxrain_spread_sums"] == (
        "3 hours: 2020-07-02T03:00 2020-07-02T06:00 2020-07-02T09:00"
    )
    assert "spread_sums_hours: 3" in made.attrs["jaxrain_config"]
    assert np.isfinite(made["precipitation"]).all()
    coarse = made["coarse_precipitation"]
    at = {"latitude": 29.5, "longitude": 110.5}  # a point of both grids
    row, column = ((abs(axis - at[n])).argmin() for axis, n in
                   ((_LATITUDE, "latitude"), (_LONGITUDE, "longitude")))  # fmt: skip
    np.testing.assert_allclose(
        coarse.sel(at, method="nearest"), rain[:, row, column] / 3, atol=1e-3
    )


def test_other_steps_than_forecasts_have_and_stores_are_refused(run, steps, capsys):
    output = str(run.parent / "none.nc")
    command = [str(run), "--output", output, "--spread-sums"]
    assert sample.main([*command, "4", "--input", *steps[0]]) == 2
    assert "4 hours: expected a step of forecasts, 1, 3, 6" in capsys.readouterr().err
    assert sample.main([*command, "3", "--split", "train"]) == 2
    told = capsys.readouterr().err
    assert "--spread-sums 3: a store holds the rain of single hours alone" in told
    assert told.count("\n") == 1


def test_parts_of_an_ensemble_are_told_apart_by_it(run):
    plain, spread = (load(run, [f"sample.spread_sums_hours={hours}"]) for hours in (1, 3))
    kept, other = (fingerprint(each, [], each.config.sample) for each in (plain, spread))
    assert "spread_sums_hours" not in kept  # as before there was such a setting
    assert other == kept | {"spread_sums_hours": "3"}
