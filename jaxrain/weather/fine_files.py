"""One door for files of fine rain: what a file is decides who reads it."""

from pathlib import Path

import xarray as xr

from jaxrain.weather.cmpa import is_cmpa_name, read_fine
from jaxrain.weather.netcdf import file_kind, open_netcdf
from jaxrain.weather.radar import read_radar
from jaxrain.weather.region import Box


def read_fine_file(
    path: str | Path, *, variable: str | None = None, region: Box | None = None
) -> xr.Dataset:
    """Reads fine rain of any kind we know: CMPA in GRIB2 or NetCDF, radar in NetCDF.

    NetCDF that isn't called as CMPA's is read as radar where it is on a projected grid or says the
    bounds of its hours.

    Args and errors as in `jaxrain.weather.cmpa.read_fine`.

    Returns:
      A canonical Dataset, see `jaxrain.weather.fine_rain`.
    """
    path = Path(path)
    if file_kind(path) == "netcdf" and not is_cmpa_name(path.name):
        with open_netcdf(path) as dataset:
            projected = {"y", "x"} <= set(dataset.dims)
            bounded = "time" in dataset.coords and "bounds" in dataset["time"].attrs
        if projected or bounded:
            return read_radar(path, variable=variable, region=region)
    return read_fine(path, variable=variable, region=region)
