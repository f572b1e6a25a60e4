"""One door for files of fine rain: what a file is says who reads it, its name which hour it is."""

import logging
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.cmpa import CmpaName, check_hourly, is_cmpa_name, parse_name
from jaxrain.weather.fine_grib import read_grib
from jaxrain.weather.fine_netcdf import read_netcdf
from jaxrain.weather.netcdf import file_kind
from jaxrain.weather.region import Box

_log = logging.getLogger(__name__)


def read_fine_file(
    path: str | Path,
    *,
    variable: str | None = None,
    region: Box | None = None,
    utc_offset_hours: float = 0.0,
) -> xr.Dataset:
    """Reads hourly rain on a fine grid: CMPA or MRMS in GRIB2, NetCDF made from them, radar.

    Args:
      path: GRIB or NetCDF.
      variable: the rain's name in the file; None takes the only one (ecCodes calls CMPA's
        `unknown`).
      region: box to crop to, its edges included.
      utc_offset_hours: how far the file's times run ahead of UTC: 8 for Beijing time. Where a
        name says it, the content may be in either.

    Returns:
      A canonical Dataset, see `jaxrain.weather.fine_rain`; the attribute `time_source` says
      whether the time came from the name, the file, or the produced time as a last resort.

    Raises:
      InputError: the file is not whole, holds no rain or several candidates, isn't a sum of one
        hour, or its name and its content disagree about the hour.
    """
    path = Path(path)
    name = parse_name(path.name) if is_cmpa_name(path.name) else None
    check_hourly(path)
    kind = file_kind(path)
    if kind == "npy":
        raise InputError(
            f"{path}: is a .npy array, which knows no grid; say it as data.npy.fine, or give GRIB "
            "or NetCDF"
        )
    read = read_grib if kind == "grib" else read_netcdf
    dataset = read(path, variable, region)
    return _timed(dataset, name, path, utc_offset_hours)


def _timed(
    dataset: xr.Dataset, name: CmpaName | None, path: Path, utc_offset_hours: float
) -> xr.Dataset:
    ahead = np.timedelta64(round(utc_offset_hours * 60), "m")
    times = dataset["time"].values
    known = not np.isnat(times).any()
    if name is None and not known:
        raise InputError(
            f"{path}: says no time, neither in the file nor in its name; add a time coordinate"
        )
    if name is None or (name.valid is None and known):
        if ahead:
            dataset = dataset.assign_coords(time=times - ahead)
        return dataset.assign_attrs(time_source="file")
    local = name.hour.astype("datetime64[ns]")
    if times.size != 1:
        raise InputError(f"{path}: holds {times.size} hours, its name speaks of one")
    if name.valid is None:
        _log.warning(
            "%s: no valid time in name or file; took the produced time's hour, %s", path, name.hour
        )
    elif known and times[0] not in (local, local - ahead):
        zone = "UTC" if not utc_offset_hours else f"UTC{utc_offset_hours:+g}"
        raise InputError(
            f"{path}: the name says {name.valid} {zone}, the content "
            f"{np.datetime_as_string(times[0], unit='m')}; expected the end of the same hour: "
            "rename the file or exclude it"
        )
    source = "produced" if name.valid is None else "name"
    if times[0] != local - ahead:
        dataset = dataset.assign_coords(time=np.array([local - ahead]))
    return dataset.assign_attrs(time_source=source)
