"""GRIB files, whole or not at all: messages walked byte by byte before ecCodes sees them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import eccodes
import numpy as np

from jaxrain.errors import InputError

_Result = TypeVar("_Result")
_END = b"7777"
_NO_BITMAP, _BITMAP_OF_BEFORE = 255, 254
_STEP = re.compile(r"(-?\d+)([smhD]?)(?:-(-?\d+)([smhD]?))?")
_STEP_HOURS = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "": 1.0, "D": 24.0}


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
      member: number in an ensemble; 0 where there is none.
      level_type: for instance 'isobaricInhPa', 'surface'.
      level: hPa on pressure levels, else as written.
      base: start of the forecast, or time of the analysis, UTC, datetime64[s].
      valid: time the field is for; of a sum, the end, UTC, datetime64[s].
      start_hours: hours after `base` at which a sum begins; None for a single step, where the
        message doesn't say.
      end_hours: hours after `base` of the step, or of the end of a sum.
      instant: whether ecCodes takes it for a state rather than a sum or mean.
      latitude: degrees, shape [H], in the order in which `values` come.
      longitude: degrees, shape [W], likewise.
    """

    number: int
    edition: int
    name: str
    units: str
    centre: str
    mars_class: str
    member: int
    level_type: str
    level: float
    base: np.datetime64
    valid: np.datetime64
    start_hours: float | None
    end_hours: float
    instant: bool
    latitude: np.ndarray
    longitude: np.ndarray


def messages(path: Path) -> list[bytes]:
    """The messages of a file that is whole, GRIB2 messages of several fields split.

    ecCodes alone is no judge: cfgrib reads a truncated file as NaN, and readers without
    multi-field support see the first field only, which hides v behind u.

    Returns:
      One message a field, in the file's order.

    Raises:
      InputError: a message is cut off, isn't closed or isn't GRIB; names it.
    """
    content = path.read_bytes()
    found: list[bytes] = []
    position, number = 0, 0
    while position < len(content):
        if content[position : position + 4] != b"GRIB":
            padding = len(content[position:]) - len(content[position:].lstrip(b"\0"))
            if padding and number:
                position += padding
                continue
            what = "is not a GRIB file" if not number else f"has other bytes after message {number}"
            raise InputError(
                f"{path}: {what} (byte {position}, expected 'GRIB'); fetch the file again"
            )
        number += 1
        found += _split(_whole(content, position, number, path), number, path)
        position += _length(content, position)
    if not found:
        raise InputError(f"{path}: is empty, expected GRIB messages; fetch the file again")
    return found


def _length(content: bytes, position: int) -> int:
    head = content[position : position + 16]
    if len(head) < 16:
        return 16
    return int.from_bytes(head[8:16], "big") if head[7] == 2 else int.from_bytes(head[4:7], "big")


def _whole(content: bytes, position: int, number: int, path: Path) -> bytes:
    edition = content[position + 7] if position + 8 <= len(content) else 0
    if edition not in (1, 2) and position + 8 <= len(content):
        raise InputError(
            f"{path}: message {number} says GRIB edition {edition}, expected 1 or 2; "
            "fetch the file again"
        )
    end = position + _length(content, position)
    if end > len(content):
        raise InputError(
            f"{path}: message {number} is cut off: {end - len(content)} bytes are missing at the "
            "end; fetch the file again"
        )
    message = content[position:end]
    if len(message) < 16 or not message.endswith(_END):
        raise InputError(
            f"{path}: message {number} does not end in '7777' after its {len(message)} bytes: it "
            "is damaged; fetch the file again"
        )
    return message


def _split(message: bytes, number: int, path: Path) -> list[bytes]:
    """One message for each field of a GRIB2 message (sections 2 to 7 may repeat, WMO FM 92)."""
    if message[7] == 1:
        return [message]
    indicator, sections, fields = message[:16], dict[int, bytes](), list[bytes]()
    bitmap: bytes | None = None
    position = 16
    while position < len(message) - 4:
        length = int.from_bytes(message[position : position + 4], "big")
        if length < 5 or position + length > len(message) - 4:
            raise InputError(
                f"{path}: message {number} has a section of {length} bytes that leaves the "
                "message: it is damaged; fetch the file again"
            )
        section = message[position : position + length]
        sections[section[4]] = section
        position += length
        if section[4] == 6:
            if section[5] == _BITMAP_OF_BEFORE and bitmap is not None:
                sections[6] = bitmap
            elif section[5] not in (_NO_BITMAP, _BITMAP_OF_BEFORE):
                bitmap = section
        if section[4] == 7:
            body = b"".join(sections[key] for key in sorted(sections)) + _END
            fields.append(indicator[:8] + (16 + len(body)).to_bytes(8, "big") + body)
    if not fields:
        raise InputError(f"{path}: message {number} holds no data section; fetch the file again")
    return [message] if len(fields) == 1 else fields


def fields(path: Path) -> Iterator[tuple[Header, Callable[[], np.ndarray]]]:
    """The fields of a file: what each says, and a function that decodes it.

    The function gives float64 values [H, W], NaN where the bitmap says missing, with rows and
    columns as the header's axes; it works until the next field is asked for.

    Raises:
      InputError: the file is not whole, a grid is not a regular latitude-longitude one, or
        ecCodes refuses a message; names the message.
    """
    for number, message in enumerate(messages(path), 1):
        handle = _named(path, number, partial(eccodes.codes_new_from_message, message))
        try:
            header = _named(path, number, partial(_header, handle, number, path))
            yield header, partial(_named, path, number, partial(_values, handle))
        finally:
            eccodes.codes_release(handle)


def _named(path: Path, number: int, step: Callable[[], _Result]) -> _Result:
    """Runs a step; what ecCodes says against it becomes one line that names file and message."""
    try:
        return step()
    except eccodes.CodesInternalError as error:
        raise InputError(
            f"{path}: message {number} cannot be read: {error}; fetch the file again"
        ) from error


def _header(handle: int, number: int, path: Path) -> Header:
    def get(key: str, default: str | int = "") -> str:
        defined = eccodes.codes_is_defined(handle, key)
        return str(eccodes.codes_get(handle, key) if defined else default)

    grid = get("gridType")
    if grid != "regular_ll":
        raise InputError(
            f"{path}: message {number} ({get('shortName')}) is on a '{grid}' grid, expected "
            "regular_ll (latitude-longitude); ask the data store for a regular grid, or regrid it"
        )
    level_type, level = get("typeOfLevel"), float(get("level", 0))
    if level_type == "isobaricInPa":
        level_type, level = "isobaricInhPa", level / 100.0
    start, end = step_range(get("stepRange", 0))
    latitude, longitude = _axes(handle)
    return Header(
        number=number,
        edition=int(get("edition")),
        name=get("shortName", "unknown"),
        units=get("units", "unknown"),
        centre=get("centre"),
        mars_class=get("marsClass"),
        member=int(get("number", 0)),
        level_type=level_type,
        level=level,
        base=_time(get("dataDate"), get("dataTime")),
        valid=_time(get("validityDate"), get("validityTime")),
        start_hours=start,
        end_hours=end,
        instant=get("stepType", "instant") == "instant",
        latitude=latitude,
        longitude=longitude,
    )


def _time(date: str, time: str) -> np.datetime64:
    date, time = date.zfill(8), time.zfill(4)
    return np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}T{time[:2]}:{time[2:]}", "s")


def step_range(text: str) -> tuple[float | None, float]:
    """ecCodes' stepRange in hours: '6-7' -> (6, 7), '7' -> (None, 7), '30m' -> (None, 0.5)."""
    match = _STEP.fullmatch(text)
    if match is None:
        raise eccodes.CodesInternalError(f"step range '{text}'")
    first, first_unit, last, last_unit = match.groups()
    if last is None:
        return None, int(first) * _STEP_HOURS[first_unit]
    start_unit = first_unit or last_unit
    return int(first) * _STEP_HOURS[start_unit], int(last) * _STEP_HOURS[last_unit]


def _axes(handle: int) -> tuple[np.ndarray, np.ndarray]:
    def get(key: str) -> float:
        return float(eccodes.codes_get(handle, key, ktype=float))

    rows, columns = int(get("Nj")), int(get("Ni"))
    first = get("longitudeOfFirstGridPointInDegrees")
    last = get("longitudeOfLastGridPointInDegrees")
    sign = -1.0 if get("iScansNegatively") else 1.0
    span = sign * (last - first) % 360.0
    if span == 0.0 and columns > 1:
        span = 360.0
    latitude = np.linspace(
        get("latitudeOfFirstGridPointInDegrees"), get("latitudeOfLastGridPointInDegrees"), rows
    )
    return latitude, first + sign * np.linspace(0.0, span, columns)


def _values(handle: int) -> np.ndarray:
    rows, columns = eccodes.codes_get(handle, "Nj"), eccodes.codes_get(handle, "Ni")
    missing = -1e30
    eccodes.codes_set(handle, "missingValue", missing)
    flat = eccodes.codes_get_values(handle)
    if flat.size != rows * columns:
        raise eccodes.CodesInternalError(f"{flat.size} values for {rows} x {columns} points")
    by_column = bool(eccodes.codes_get(handle, "jPointsAreConsecutive"))
    values = flat.reshape((columns, rows) if by_column else (rows, columns))
    if eccodes.codes_get(handle, "alternativeRowScanning"):
        values = values.copy()
        values[1::2] = values[1::2, ::-1]
    if by_column:
        values = values.T
    if eccodes.codes_get(handle, "bitmapPresent"):
        values = np.where(values == missing, np.nan, values)
    return values
