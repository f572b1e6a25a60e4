"""A weather forecast's GRIB, of another model than the one that training saw, to rain at 1 km."""

import numpy as np
import pytest
import xarray as xr

from jaxrain import sample
from jaxrain.config import load_config
from jaxrain.weather.cf import write_netcdf

HOURS = np.arange("2020-07-01T00", "2020-07-01T04", dtype="datetime64[h]")
CONFIG = """
data:
  root: {root}
  store: {root}/store
  fine: ["rain.nc"]
  coarse: ["era5.nc"]
  variables: [u, v, t]
  levels: [850, 200]
  target: direct
  splits: {{train: ["2020-07-01T00/2020-07-01T03"]}}
  rain_scaling: log1p
  patch: 16
model: {{inner_channel: 4, channel_mults: [1], res_blocks: 1, norm_groups: 2, attn_res: []}}
diffusion: {{steps: 50, prediction: x0}}
train: {{run: {root}/run}}
sample: {{members: 2, steps: 2, batch: 4, tile: 16, overlap: 0, sampler: dpmpp_2m}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, untrained):
    """A run that was never trained, on 2.5 degree winds and temperatures like ERA5's."""
    root = tmp_path_factory.mktemp("forecast")
    rng = np.random.default_rng(0)
    times = HOURS.astype("datetime64[ns]")
    fine = {
        "time": times,
        "latitude": 30 - 0.05 * np.arange(24),
        "longitude": 110 + 0.05 * np.arange(40),
    }
    rain = rng.gamma(0.3, 3.0, (4, 24, 40)).astype(np.float32)
    write_netcdf(xr.Dataset({"rain": (tuple(fine), rain, {"units": "mm"})}, fine), root / "rain.nc")
    coarse = {
        "time": times,
        "level": ("level", [850, 200], {"units": "hPa"}),
        "latitude": np.arange(35, 24, -2.5),
        "longitude": np.arange(105, 116, 2.5),
    }

    def made(mean, spread, units):
        field = rng.normal(mean, spread, (4, 2, 5, 5)).astype(np.float32)
        return tuple(coarse), field, {"units": units}

    weather = {
        "u": made(0, 20, "m s-1"),
        "v": made(0, 20, "m s-1"),
        "t": made(260, 30, "K"),
    }
    write_netcdf(xr.Dataset(weather, coarse), root / "era5.nc")
    (root / "config.yaml").write_text(CONFIG.format(root=root))
    return untrained(load_config(root / "config.yaml"), root / "run")


def test_a_gfs_file_of_hundreds_of_fields_becomes_an_ensemble(run, shared_data):
    path = shared_data / "grib" / "gfs_other" / "gfs.grb"
    output = run.parent / "gfs.nc"
    assert sample.main([str(run), "--output", str(output), "--input", str(path)]) == 0
    with xr.open_dataset(output) as made:
        rain = made["precipitation"].load()
        assert made.attrs["jaxrain_input"] == "gfs.grb"
    assert dict(rain.sizes) == {"time": 1, "member": 2, "latitude": 24, "longitude": 40}
    assert np.isfinite(rain).all()
    assert rain["time"].values[0] == np.datetime64("2011-10-11T00")
    np.testing.assert_allclose(rain["latitude"], 30 - 0.05 * np.arange(24))


def test_a_forecast_without_one_of_the_variables_is_one_line(run, shared_data, capsys):
    path = shared_data / "grib" / "packing" / "aifs-single-t500.grib2"
    output = run.parent / "aifs.nc"
    assert sample.main([str(run), "--output", str(output), "--input", str(path)]) == 2
    told = capsys.readouterr().err
    assert "aifs-single-t500.grib2" in told
    assert told.count("\n") == 1
    assert not output.exists()
