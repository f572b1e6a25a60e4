"""Rain of the CMPA analysis: names parsed as fields, GRIB2 with local parameters, NetCDF.

The China Meteorological Administration's merged precipitation analysis: hourly sums in mm at 0.01
or 0.05 degree. ecCodes has no name for its parameter (a local table of centre 38): `unknown`.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.fine_rain import choose_variable, fine_dataset
from jaxrain.weather.grib import Header, decode, read_headers
from jaxrain.weather.netcdf import file_kind, open_netcdf, whole_minutes
from jaxrain.weather.region import Box, crop, upright
from jaxrain.weather.variables import to_canonical

_log = logging.getLogger(__name__)
_NAME = re.compile(
    r"Z_SURF_C_BABJ_(?P<produced>\d{14})_P_CMPA_(?P<stream>[A-Za-z]+)_(?P<region>[A-Za-z0-9]+)"
    r"_(?P<resolution>0P01|0P05)_(?P<product>3HOR|HOR|DAY)-PRE(?:-(?P<valid>\d{10}))?"
    r"(?:_(?P<number>\d{3}))?\.(?P<suffix>GRB2|nc|npy)"
)
_BEIJING = ("babj", "38")  # ecCodes' name of centre 38, and its number
_DIMENSIONS = {"lat": "latitude", "lon": "longitude", "valid_time": "time"}


@dataclass(frozen=True)
class CmpaName:
    """A file's name, taken apart.

    Attributes:
      produced: when the file was made, UTC, datetime64[s]; a re-issue may be days later.
      stream: RT, NRT, FRT or FAST.
      region: CHN, BCGZ, ...
      resolution: '0P01' or '0P05' (degrees).
      product: 'HOR', '3HOR' or 'DAY': the window of the sum.
      valid: end of the window, UTC, datetime64[h]; None where the name doesn't say.
      number: the trailing counter, or None.
      suffix: 'GRB2', 'nc' or 'npy'.
    """

    produced: np.datetime64
    stream: str
    region: str
    resolution: str
    product: str
    valid: np.datetime64 | None
    number: str | None
    suffix: str

    @property
    def hour(self) -> np.datetime64:
        """The end of the window; where the name doesn't say, the produced time's hour."""
        return self.produced.astype("datetime64[h]") if self.valid is None else self.valid


def parse_name(name: str) -> CmpaName:
    """Takes a CMPA file's name apart.

    Raises:
      InputError: it is no such name, or a time in it is none.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(
            f"'{name}' is no CMPA name, expected Z_SURF_C_BABJ_YYYYMMDDhhmmss_P_CMPA_STREAM_REGION"
            "_0P01_HOR-PRE-YYYYMMDDhh.GRB2; rename the file"
        )
    part = match.groupdict()
    valid = part["valid"]
    return CmpaName(
        produced=_time(part["produced"], name),
        stream=part["stream"],
        region=part["region"],
        resolution=part["resolution"],
        product=part["product"],
        valid=None if valid is None else _time(valid, name).astype("datetime64[h]"),
        number=part["number"],
        suffix=part["suffix"],
    )


def is_cmpa_name(name: str) -> bool:
    """Whether a file is called as CMPA's are."""
    return _NAME.fullmatch(name) is not None


def _time(digits: str, name: str) -> np.datetime64:
    digits = digits.ljust(14, "0")
    day, clock = digits[:8], digits[8:]
    try:
        return np.datetime64(
            f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}", "s"
        )
    except ValueError as error:
        raise InputError(f"'{name}': {digits} is no time, expected YYYYMMDDhhmmss") from error


def newest(paths: Iterable[str | Path]) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """Of the files of one valid hour, the one produced last.

    Files that aren't called as CMPA's are all taken: nothing in their names says that one replaces
    another.

    Returns:
      The files taken, sorted by name, and pairs (file passed over, file taken in its place).

    Raises:
      InputError: two files of one hour were produced at the same time.
    """
    taken: dict[tuple[str, str, str, np.datetime64], Path] = {}
    others: list[Path] = []
    replaced: list[tuple[Path, tuple[str, str, str, np.datetime64]]] = []
    for path in sorted(map(Path, paths), key=lambda each: (each.name, str(each))):
        if not is_cmpa_name(path.name):
            others.append(path)
            continue
        name = parse_name(path.name)
        key = (name.region, name.resolution, name.product, name.hour)
        rival = taken.get(key)
        if rival is None:
            taken[key] = path
            continue
        produced = parse_name(rival.name).produced
        if produced == name.produced:
            raise InputError(
                f"{path} and {rival} hold the same hour and were produced at the same time; "
                "exclude one of them"
            )
        loser = rival if produced < name.produced else path
        taken[key] = path if loser is rival else rival
        replaced.append((loser, key))
    for loser, key in replaced:
        _log.info("%s passed over: %s was produced later", loser.name, taken[key].name)
    return sorted([*taken.values(), *others]), [(loser, taken[key]) for loser, key in replaced]


def read_fine(
    path: str | Path, *, variable: str | None = None, region: Box | None = None
) -> xr.Dataset:
    """Reads hourly rain on a fine latitude-longitude grid.

    Args:
      path: GRIB2 or NetCDF.
      variable: the rain's name in the file; None takes the only one (ecCodes calls CMPA's
        `unknown`).
      region: box to crop to, its edges included.

    Returns:
      A canonical Dataset, see `jaxrain.weather.fine_rain`; the attribute `time_source` says
      whether the time came from the name, the file, or the produced time as a last resort.

    Raises:
      InputError: the file is not whole, holds no rain or several candidates, isn't a sum of one
        hour, or its name and its content disagree about the hour.
    """
    path = Path(path)
    name = parse_name(path.name) if is_cmpa_name(path.name) else None
    if name is not None and name.product != "HOR":
        raise InputError(
            f"{path}: is a sum over {'3 hours' if name.product == '3HOR' else 'a day'}, expected "
            "hourly rain (HOR); leave it out with data.exclude"
        )
    kind = file_kind(path)
    if kind == "npy":
        raise InputError(f"{path}: is a .npy array without a grid, expected GRIB2 or NetCDF")
    if kind == "grib":
        dataset = _read_grib(path, variable, region, cmpa=name is not None)
    else:
        dataset = _read_netcdf(path, variable, region)
    return _timed(dataset, name, path)


def _read_grib(path: Path, variable: str | None, region: Box | None, *, cmpa: bool) -> xr.Dataset:
    headers = read_headers(path)
    names = list(dict.fromkeys(header.name for header in headers))
    wanted = choose_variable(names, variable, path)
    found: dict[np.datetime64, xr.Dataset] = {}
    for header in headers:
        if header.name != wanted:
            continue
        where = f"{path}: message {header.number}"
        _check_hour(header, where, cmpa=cmpa or header.centre in _BEIJING)
        if header.valid in found:
            raise InputError(f"{where}: holds {wanted} for {header.valid} again; keep one of them")
        values = to_canonical("rain", decode(path, header), header.units, where)
        field = fine_dataset(
            values[None],
            np.array([header.valid]),
            {
                "latitude": ("latitude", header.latitude),
                "longitude": ("longitude", header.longitude),
            },
            ("latitude", "longitude"),
        )
        found[header.valid] = crop(upright(field, where), region, str(path))
    stacked = _stacked([found[time] for time in sorted(found)], path)
    return stacked.assign_attrs(file_units=next(h.units for h in headers if h.name == wanted))


def _check_hour(header: Header, where: str, *, cmpa: bool) -> None:
    # CMPA's local templates may call the sum a state; its name or centre then vouches for it.
    if header.start_hours is not None:
        length = header.end_hours - header.start_hours
        if length != 1.0:
            raise InputError(
                f"{where}: {header.name} is a sum over {length:g} hours, expected one hour"
            )
    elif not cmpa:
        raise InputError(
            f"{where}: {header.name} holds no window of an hour (step {header.end_hours:g} h), and "
            "neither the file's name nor its centre is CMPA's; expected an hourly sum"
        )


def _stacked(parts: list[xr.Dataset], path: Path) -> xr.Dataset:
    for part in parts[1:]:
        if part.sizes != parts[0].sizes:
            raise InputError(f"{path}: messages are on different grids; split the file")
    return xr.concat(parts, dim="time", join="override", combine_attrs="override")


def _read_netcdf(path: Path, variable: str | None, region: Box | None) -> xr.Dataset:
    with open_netcdf(path) as dataset:
        names = [str(name) for name, each in dataset.data_vars.items() if each.ndim >= 2]
        array = dataset[choose_variable(names, variable, path)]
        array = array.rename(
            {k: v for k, v in _DIMENSIONS.items() if k in (*array.dims, *array.coords)}
        )
        for dimension in array.dims:
            if dimension not in ("time", "latitude", "longitude") and array.sizes[dimension] == 1:
                array = array.isel({dimension: 0}, drop=True)
        if not {"latitude", "longitude"} <= set(array.dims) <= {"time", "latitude", "longitude"}:
            raise InputError(
                f"{path}: {array.name} has dimensions {tuple(map(str, array.dims))}, expected "
                "time, latitude, longitude; rename or select them"
            )
        if "time" not in array.dims:
            array = array.expand_dims("time")
        array = array.transpose("time", "latitude", "longitude")
        boxed = crop(upright(array.to_dataset(name="rain"), str(path)), region, str(path))
        units = str(array.attrs.get("units", ""))
        values = to_canonical("rain", boxed["rain"].values, units, str(path))
        times = np.full(boxed.sizes["time"], np.datetime64("NaT", "ns"))
        if "time" in boxed.coords and np.issubdtype(boxed["time"].dtype, np.datetime64):
            times = boxed["time"].values
        axes = {axis: (axis, boxed[axis].values) for axis in ("latitude", "longitude")}
    canonical = fine_dataset(values, times, axes, ("latitude", "longitude"))
    return canonical.assign_attrs(file_units=units)


def _timed(dataset: xr.Dataset, name: CmpaName | None, path: Path) -> xr.Dataset:
    times = dataset["time"].values
    known = not np.isnat(times).any()
    if name is None:
        if not known:
            raise InputError(
                f"{path}: says no time, neither in the file nor in its name; add a time coordinate"
            )
        return dataset.assign_attrs(time_source="file")
    if name.valid is not None:
        valid = name.valid.astype("datetime64[ns]")
        if known and not (times.size == 1 and times[0] == valid):
            held = np.datetime_as_string(times[0], unit="m")
            raise InputError(
                f"{path}: the name says {name.valid} UTC, the content {held} UTC; expected the end "
                "of the same hour: rename the file or exclude it"
            )
        source = "name"
    elif known:
        return dataset.assign_attrs(time_source="file")
    else:
        valid = name.hour.astype("datetime64[ns]")
        source = "produced"
        _log.warning(
            "%s: no valid time in name or file; took the produced time's hour, %s", path, name.hour
        )
    if times.size != 1:
        raise InputError(f"{path}: holds {times.size} hours, its name speaks of one")
    return dataset.assign_coords(time=whole_minutes(np.array([valid]))).assign_attrs(
        time_source=source
    )
