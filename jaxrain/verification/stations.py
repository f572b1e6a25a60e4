"""Gauges: rain at stations, from CSV and from MICAPS diamond-3 files."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jaxrain.errors import InputError

COLUMNS = ("station", "time", "longitude", "latitude", "rain_mm")
"""Of a CSV file, in any order; `hours`, how long the rain was summed (1), may be there too. `time`
is the end of the sum, UTC, ISO 8601 or YYYYMMDDHH[MM]; an empty `rain_mm` is a report that is
missing."""

ZONES = {"utc": 0, "beijing": 8}
"""Hours that a file's times are ahead of UTC, by the name of the zone."""

PERIODS = (1, 6, 24)
"""Sums that are verified [h]."""

# A zone may only say what is expected anyway.
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.0+)?)?)?(?:Z|\+00:?00)?)?",
    re.ASCII,
)
_DIGITS = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)?", re.ASCII)

# What stands for a missing report; any other rain outside the range is a bad line.
_MISSING_MM = (9999.0, 999.9, -9999.0)
_MOST_MM = 2000.0


@dataclass(frozen=True)
class Report:
    """One sum of one gauge.

    Attributes:
      station: its id.
      longitude: degrees east, -180..360.
      latitude: degrees north.
      end: end of the sum, UTC, datetime64[s].
      hours: how long it was summed, of PERIODS.
      rain_mm: [mm].
      origin: file and line, for messages; reports are the same wherever they come from.
    """

    station: str
    longitude: float
    latitude: float
    end: np.datetime64
    hours: int
    rain_mm: float
    origin: str = field(default="", compare=False)


def read_stations(paths: Sequence[str | Path], zone: str = "utc") -> list[Report]:
    """All reports of all files; missing ones are left out.

    Args:
      paths: CSV files, and MICAPS files whose first line starts with `diamond 3`; UTF-8 or GBK.
      zone: of a MICAPS file's times where its first line doesn't say (世界时, UTC, 北京时, BJT).

    Raises:
      InputError: a file can't be read, or a line of it is bad: the message names file and line.
    """
    reports: list[Report] = []
    for path in map(Path, paths):
        lines = _lines(path)
        micaps = bool(lines) and lines[0].split()[:1] == ["diamond"]
        reports += _micaps(path, lines, zone) if micaps else _csv(path, lines)
    return reports


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; expected a file of gauges") from error
    read: list[str] = []
    micaps = content.startswith(b"diamond")
    for encoding in ("gbk", "utf-8-sig") if micaps else ("utf-8-sig", "gbk"):
        try:
            read.append(content.decode(encoding))
        except UnicodeDecodeError:
            continue
    if not read:
        raise InputError(
            f"{path}: neither UTF-8 nor GBK text; expected CSV or a MICAPS diamond-3 file"
        )
    # Either may pass for the other: the one in which a title speaks of time is right.
    return next((text for text in read if "时" in text.partition("\n")[0]), read[0]).splitlines()


def _csv(path: Path, lines: list[str]) -> Iterator[Report]:
    _, header = next(_rows(path, lines[:1]), (1, []))
    names = [name.strip().lower() for name in header]
    if not set(COLUMNS) <= set(names):
        raise InputError(
            f"{path}, line 1: columns {', '.join(names) or 'none'}; expected "
            f"{', '.join(COLUMNS)} and perhaps hours, or a first line 'diamond 3 ...'"
        )
    for number, cells in _rows(path, lines[1:]):
        if not cells:
            continue
        if len(cells) != len(names):
            raise _bad(path, number, f"{len(cells)} cells; expected {len(names)}")
        row = dict(zip(names, (cell.strip() for cell in cells), strict=True))
        if row["rain_mm"] == "":
            continue
        hours = _period(path, number, row.get("hours") or "1")
        end = _time(path, number, row["time"])
        place = row["station"], row["longitude"], row["latitude"]
        yield from _report(path, number, *place, end, hours, row["rain_mm"])


def _rows(path: Path, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Numbers of lines, from 2, and their cells."""
    number, rows = 1, csv.reader(lines)
    while True:
        number += 1
        try:
            cells = next(rows, None)
        except csv.Error as error:
            raise _bad(path, number, f"{error}; expected cells between commas") from None
        if cells is None:
            return
        yield number, cells


def _time(path: Path, line: int, text: str) -> np.datetime64:
    found = _ISO.fullmatch(text) or _DIGITS.fullmatch(text)
    if found:
        year, month, day, *clock = (part or "00" for part in found.groups())
        try:
            return np.datetime64(f"{year}-{month}-{day}T{':'.join(clock)}", "s")
        except ValueError:  # no such day, or no such time of it
            pass
    raise _bad(path, line, f"time '{text}'; expected UTC as in 2022-06-01T08:00 or 2022060108")


def _micaps(path: Path, lines: list[str], zone: str) -> Iterator[Report]:
    """The first line may tell the sum ('6小时') and the zone, the second the date and the count."""
    title = lines[0].split()
    if title[1:2] != ["3"]:
        kind = " ".join(title[:2])
        raise _bad(path, 1, f"'{kind}' is another kind of MICAPS file; expected 'diamond 3 ...'")
    words = " ".join(title[2:])
    told = re.search(r"(\d+)\s*(?:小时|hours?\b|h\b)", words, re.IGNORECASE)
    hours = _period(path, 1, told.group(1) if told else "1")
    if re.search("世界时|UTC", words, re.IGNORECASE):
        zone = "utc"
    elif re.search("北京时|BJT", words, re.IGNORECASE):
        zone = "beijing"
    date, count = _micaps_date(path, lines[1] if len(lines) > 1 else "")
    end = date - np.timedelta64(ZONES[zone], "h")
    found = 0
    for number, line in enumerate(lines[2:], 3):
        cells = line.split()
        if not cells:
            continue
        if len(cells) != 5:
            raise _bad(path, number, f"{len(cells)} values; expected id lon lat height rain")
        found += 1
        station, longitude, latitude, height, rain = cells
        _number(path, number, "height", height, -1000, 99999)
        yield from _report(path, number, station, longitude, latitude, end, hours, rain)
    if found != count:
        raise _bad(path, 2, f"says {count} stations, {found} follow; expected as many as it says")


def _micaps_date(path: Path, line: str) -> tuple[np.datetime64, int]:
    """'2022 06 01 08 ... 2400' or '2022060108 2400' -> time, number of stations."""
    cells = line.split()
    if cells and re.fullmatch(r"\d{10}(\d{2}){0,2}", cells[0]):
        cells = [cells[0][:4], cells[0][4:6], cells[0][6:8], cells[0][8:10], *cells[1:]]
    expected = "expected 'year month day hour ... number of stations'"
    numbers = (*cells[:4], cells[-1]) if len(cells) >= 5 else ()
    if not numbers or not all(re.fullmatch(r"[0-9]{1,9}", cell) for cell in numbers):
        raise _bad(path, 2, f"'{line.strip()}'; {expected}")
    year, month, day, hour = (int(cell) for cell in cells[:4])
    if year < 100:
        year += 2000 if year < 50 else 1900
    try:
        date = np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "s")
    except ValueError:
        raise _bad(path, 2, f"'{line.strip()}' has no such day; {expected}") from None
    if hour > 24:
        raise _bad(path, 2, f"hour {hour}; expected 0 to 24")
    return date + np.timedelta64(hour, "h"), int(cells[-1])


def _report(
    path: Path,
    line: int,
    station: str,
    longitude: str,
    latitude: str,
    end: np.datetime64,
    hours: int,
    rain: str,
) -> Iterator[Report]:
    """The report if it is whole; none if it is missing."""
    if not station:
        raise _bad(path, line, "no station; expected an id")
    lon = _number(path, line, "longitude", longitude, -180, 360)
    lat = _number(path, line, "latitude", latitude, -90, 90)
    try:
        missing = float(rain) in _MISSING_MM
    except ValueError:
        missing = False
    if not missing:
        amount = _number(path, line, "rain", rain, 0, _MOST_MM)
        yield Report(station, lon, lat, end, hours, amount, f"{path}, line {line}")


def _period(path: Path, line: int, text: str) -> int:
    try:
        hours = float(text)
    except ValueError:
        hours = np.nan
    if hours not in PERIODS:
        allowed = ", ".join(map(str, PERIODS))
        raise _bad(path, line, f"rain of {text} hours; expected one of {allowed}")
    return int(hours)


def _number(path: Path, line: int, name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not low <= value <= high:
        raise _bad(path, line, f"{name} '{text}'; expected a number from {low:g} to {high:g}")
    return value


def _bad(path: Path, line: int, what: str) -> InputError:
    return InputError(f"{path}, line {line}: {_brief(what)}; mend or remove the line")


def _brief(what: str) -> str:
    what = " ".join(what.split())
    return what if len(what) <= 300 else f"{what[:150]} ... {what[-140:]}"
