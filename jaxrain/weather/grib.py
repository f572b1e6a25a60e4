"""Fields of GRIB files: what each says of itself, and its values, by ecCodes."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import eccodes
import numpy as np

from jaxrain.errors import InputError
from jaxrain.weather.grib_kinds import signature
from jaxrain.weather.grib_messages import each_message
from jaxrain.weather.simple_packing import packed

_Result = TypeVar("_Result")
_LARGEST_SIDE = 100_000  # points; what damaged headers say beyond this would fill the memory
_STEP = re.compile(r"(-?\d+)([smhD]?)(?:-(-?\d+)([smhD]?))?")
_DATE, _TIME = re.compile(r"\d{8}"), re.compile(r"\d{4}")
_STEP_HOURS = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "": 1.0, "D": 24.0}
_LARGEST = 1e30  # of a value; beyond lies what stands for a missing one
_KINDS = 4096  # that are remembered; a file of ERA5 has some dozens


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a field says of itself.

    Attributes:
      number: of the message in its file, from 1.
      edition: 1 or 2.
      name: ecCodes' short name; 'unknown' where its tables have none.
      units: as ecCodes spells them.
      centre: of origin, for instance 'ecmf', or a number where ecCodes has no name.
      mars_class: ECMWF's class of data: 'ea' is ERA5; '' elsewhere.
      stream: ECMWF's stream: 'oper', 'enda' (ERA5's ensemble), 'moda' (months); '' elsewhere.
      kind: ECMWF's type of data: 'an', 'fc', 'es' (spread of an ensemble); '' elsewhere.
      member: number in an ensemble; 0 where there is none.
      level_type: for instance 'isobaricInhPa', 'surface'.
      level: hPa on pressure levels, else as written.
      parameter: discipline, category and number in GRIB2; zeros in GRIB1.
      base: start of the forecast, or time of the analysis, UTC, datetime64[s].
      valid: time the field is for; of a sum, the end, UTC, datetime64[s].
      start_hours: hours after `base` at which a sum begins; None for a single step, where the
        message doesn't say.
      end_hours: hours after `base` of the step, or of the end of a sum.
      latitude: degrees, shape [H], in the order in which `values` come.
      longitude: degrees, shape [W], likewise.
      message: the whole of it.
    """

    number: int
    edition: int
    name: str
    units: str
    centre: str
    mars_class: str
    stream: str
    kind: str
    member: int
    level_type: str
    level: float
    parameter: tuple[int, int, int]
    base: np.datetime64
    valid: np.datetime64
    start_hours: float | None
    end_hours: float
    latitude: np.ndarray
    longitude: np.ndarray
    message: bytes


_of_kind: dict[tuple[bytes | int, ...], Header] = {}  # the first header of each kind


def read_headers(path: Path) -> list[Header]:
    """All that `each_header` yields; the whole file lies in memory then."""
    return list(each_header(path))


def each_header(path: Path) -> Iterator[Header]:
    """What each field of a file says of itself, in the file's order; one message is in memory.

    Raises:
      InputError: the file is not whole, a grid is not a regular latitude-longitude one, or
        ecCodes refuses a message; names the message.
    """
    for number, message in each_message(path):
        signed = signature(message)
        known = _of_kind.get(signed.kind) if signed else None
        if signed and known:
            valid = signed.base + (known.valid - known.base)
            yield replace(known, number=number, base=signed.base, valid=valid, message=message)
            continue
        header = _with_handle(path, number, message, partial(_header, path, number, message))
        if signed and signed.base == header.base:
            if len(_of_kind) >= _KINDS:
                _of_kind.clear()
            _of_kind[signed.kind] = replace(header, message=b"")
        yield header


def decode(path: Path, header: Header) -> np.ndarray:
    """The values of a field.

    Returns:
      float64 [H, W], rows and columns as the header's axes, NaN where the bitmap says missing.

    Raises:
      InputError: ecCodes refuses the message; names it.
    """
    shape = len(header.latitude), len(header.longitude)
    field = packed(header.message, shape[0] * shape[1])
    if field is not None and field.form in _agreed:
        values = field.values().reshape(shape)
        if (largest := max(values.max(), -values.min())) > _LARGEST:
            raise _unreadable(path, header.number, f"values up to {largest:.0e}")
        return values
    values = _with_handle(path, header.number, header.message, _values)
    if field is not None and np.array_equal(field.values().reshape(shape), values):
        _agreed.add(field.form)
    return values


_agreed: set[tuple[int, ...]] = set()  # forms of simple packing that we unpack as ecCodes does


def _with_handle(
    path: Path, number: int, message: bytes, step: Callable[[int], _Result]
) -> _Result:
    """Runs a step; what is said against the message becomes one line that names it."""
    try:
        handle = eccodes.codes_new_from_message(message)
        try:
            return step(handle)
        finally:
            eccodes.codes_release(handle)
    except (eccodes.CodesInternalError, ValueError, OverflowError) as error:
        raise _unreadable(path, number, error) from error


def _unreadable(path: Path, number: int, why: object) -> InputError:
    return InputError(f"{path}: message {number} cannot be read: {why}; fetch the file again")


def _header(path: Path, number: int, message: bytes, handle: int) -> Header:
    def get(key: str, default: str = "") -> str:
        try:
            return str(eccodes.codes_get_string(handle, key))
        except eccodes.KeyValueNotFoundError:
            return default

    grid = get("gridType")
    if grid != "regular_ll":
        raise InputError(
            f"{path}: message {number} ({get('shortName')}) is on a '{grid}' grid, expected "
            "regular_ll (latitude-longitude); ask the data store for a regular grid, or regrid it"
        )
    level_type, level = get("typeOfLevel"), float(get("level", "0"))
    if level_type == "isobaricInPa":
        level_type, level = "isobaricInhPa", level / 100.0
    start, end = step_range(get("stepRange", "0"))
    latitude, longitude = _axes(*_grid(handle))
    return Header(
        number=number,
        edition=int(get("edition")),
        name=get("shortName", "unknown"),
        units=get("units", "unknown"),
        centre=get("centre"),
        mars_class=get("marsClass"),
        stream=get("marsStream"),
        kind=get("marsType"),
        member=int(get("number", "0")),
        level_type=level_type,
        level=level,
        parameter=(
            int(get("discipline", "0")),
            int(get("parameterCategory", "0")),
            int(get("parameterNumber", "0")),
        ),
        base=_time(get("dataDate"), get("dataTime")),
        valid=_time(get("validityDate"), get("validityTime")),
        start_hours=start,
        end_hours=end,
        latitude=latitude,
        longitude=longitude,
        message=message,
    )


def _time(date: str, time: str) -> np.datetime64:
    date, time = date.zfill(8), time.zfill(4)
    if not (_DATE.fullmatch(date) and _TIME.fullmatch(time)):
        raise ValueError(f"date {date}, time {time}")
    return np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}T{time[:2]}:{time[2:]}", "s")


def step_range(text: str) -> tuple[float | None, float]:
    """ecCodes' stepRange in hours: '6-7' -> (6, 7), '7' -> (None, 7), '30m' -> (None, 0.5)."""
    match = _STEP.fullmatch(text)
    if match is None:
        raise ValueError(f"step range '{text}'")
    first, first_unit, last, last_unit = match.groups()
    if last is None:
        return None, int(first) * _STEP_HOURS[first_unit]
    start_unit = first_unit or last_unit
    return int(first) * _STEP_HOURS[start_unit], int(last) * _STEP_HOURS[last_unit]


def _grid(handle: int) -> tuple[int, int, tuple[float, float, float, float], bool]:
    rows, columns = eccodes.codes_get_long(handle, "Nj"), eccodes.codes_get_long(handle, "Ni")
    if not (0 < rows <= _LARGEST_SIDE and 0 < columns <= _LARGEST_SIDE):
        raise ValueError(f"a grid of {rows} x {columns} points")
    corners = tuple(
        eccodes.codes_get_double(handle, f"{axis}Of{end}GridPointInDegrees")
        for axis in ("latitude", "longitude")
        for end in ("First", "Last")
    )
    return rows, columns, corners, bool(eccodes.codes_get_long(handle, "iScansNegatively"))


@lru_cache(maxsize=8)  # a file has one grid and many messages
def _axes(
    rows: int, columns: int, corners: tuple[float, float, float, float], westward: bool
) -> tuple[np.ndarray, np.ndarray]:
    north, south, first, last = corners
    sign = -1.0 if westward else 1.0
    span = sign * (last - first) % 360.0
    if span == 0.0 and columns > 1:
        span = 360.0
    return np.linspace(north, south, rows), first + sign * np.linspace(0.0, span, columns)


def _values(handle: int) -> np.ndarray:
    rows, columns = eccodes.codes_get_long(handle, "Nj"), eccodes.codes_get_long(handle, "Ni")
    missing = -_LARGEST
    eccodes.codes_set_double(handle, "missingValue", missing)
    size = eccodes.codes_get_size(handle, "values")
    if size != rows * columns:
        raise ValueError(f"{size} values for {rows} x {columns} points")
    flat = eccodes.codes_get_values(handle)
    largest = max(flat.max(), -flat.min())  # no copy: a whole-China field has 336 MB
    if largest > _LARGEST:
        raise ValueError(f"values up to {largest:.0e}")
    by_column = bool(eccodes.codes_get_long(handle, "jPointsAreConsecutive"))
    values = flat.reshape((columns, rows) if by_column else (rows, columns))
    if eccodes.codes_get_long(handle, "alternativeRowScanning"):
        # ecCodes leaves these rows (columns, where they come first) as they were sent.
        values = values.copy()
        values[1::2] = values[1::2, ::-1]
    if by_column:
        values = values.T
    if eccodes.codes_get_long(handle, "bitmapPresent"):
        values[values == missing] = np.nan
    return values
