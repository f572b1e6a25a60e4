"""The embedded demo weather: GRIB files as the data stores hand them out, made from equations.

ERA5-like (0.25 degree, GRIB1): a file a day of u, v, t, r, z on levels, and one of tp as sums of
one hour in metres, from forecasts that start at 06 and 18 UTC. CMPA-like (0.01 degree, GRIB2,
centre 38, a local parameter that ecCodes calls `unknown`): a file an hour, with a few missing
points, one hour re-issued with other values, one hour missing.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import eccodes
import numpy as np

from jaxrain.weather.synthetic import LEVELS, Domain, Hour, make_domain, simulate
from jaxrain.whole import whole_file

_PARAMETERS = {"u": 131, "v": 132, "t": 130, "r": 157, "z": 129, "tp": 228}  # ECMWF table 128
_START = np.datetime64("2022-06-01T00", "h")
_MARKER = "demo.json"
_REISSUED, _MISSING = 40, 101  # hours of the training days
_GAP_DAYS = 1


@dataclass(frozen=True)
class DemoDays:
    """First and last hour of each purpose, UTC, with a day between them that no split has."""

    train: tuple[np.datetime64, np.datetime64]
    validation: tuple[np.datetime64, np.datetime64]
    test: tuple[np.datetime64, np.datetime64]


def demo_days(train: int = 12, validation: int = 1, test: int = 1) -> DemoDays:
    """The hours of a demo of so many days."""
    spans, start = [], _START
    for days in (train, validation, test):
        end = start + np.timedelta64(24 * days, "h")
        spans.append((start, end - np.timedelta64(1, "h")))
        start = end + np.timedelta64(24 * _GAP_DAYS, "h")
    return DemoDays(*spans)


def write_demo(
    folder: str | Path,
    *,
    seed: int = 0,
    size: int = 128,
    train_days: int = 12,
    validation_days: int = 1,
    test_days: int = 1,
) -> None:
    """Writes the demo weather to `folder`/era5 and `folder`/cmpa; deterministic by its arguments.

    A marker beside them says that all is there: where it speaks of the same demo nothing is done,
    so a killed call is simply made again.

    Args:
      folder: made where it isn't there.
      seed: of the whole world.
      size: points along a side of the fine grid, 0.01 degree apart.
      train_days: days from 2022-06-01 on.
      validation_days: after a day's gap.
      test_days: after another.

    Raises:
      OSError: the system refuses a file.
    """
    folder = Path(folder)
    told = {
        "seed": seed,
        "size": size,
        "days": [train_days, validation_days, test_days],
        "recipe": 1,
    }
    marker = folder / _MARKER
    if marker.is_file() and json.loads(marker.read_text()) == told:
        return
    marker.unlink(missing_ok=True)
    domain = make_domain(size)
    days = demo_days(train_days, validation_days, test_days)
    (folder / "era5").mkdir(parents=True, exist_ok=True)
    (folder / "cmpa").mkdir(parents=True, exist_ok=True)
    for stream, (first, last) in enumerate((days.train, days.validation, days.test)):
        times = np.arange(first, last + np.timedelta64(1, "h"))
        weather = simulate(domain, (times - _START).astype(int), seed=seed, stream=stream)
        _write_days(folder, domain, times, weather, training=stream == 0)
    _write(marker, (json.dumps(told) + "\n").encode())


def _write_days(
    folder: Path,
    domain: Domain,
    times: np.ndarray,
    weather: Iterator[Hour],
    *,
    training: bool,
) -> None:
    levels: list[bytes] = []
    sums: list[bytes] = []
    with _templates(domain) as (pressure, surface, rain):
        for index, (time, hour) in enumerate(zip(times, weather, strict=True)):
            levels += _pressure_messages(pressure, time, hour)
            sums.append(_sum_message(surface, time, hour))
            if not (training and index == _MISSING):
                reissued = training and index == _REISSUED
                _write_rain(folder / "cmpa", rain, time, hour.fine_rain_mm, reissued=reissued)
            if _clock(time) == 23:
                day = _digits(time, "D")
                _write(folder / "era5" / f"era5_pl_{day}.grib", b"".join(levels))
                _write(folder / "era5" / f"era5_tp_{day}.grib", b"".join(sums))
                levels, sums = [], []


def _digits(time: np.datetime64, unit: str) -> str:
    return "".join(filter(str.isdigit, str(time.astype(f"datetime64[{unit}]"))))


def _clock(time: np.datetime64) -> int:
    return int(_digits(time, "h")[-2:])


def _message(template: int, values: np.ndarray, keys: dict[str, int | str]) -> bytes:
    """A field on the template's grid."""
    handle = eccodes.codes_clone(template)
    try:
        for key, value in keys.items():
            eccodes.codes_set(handle, key, value)
        eccodes.codes_set_values(handle, np.ascontiguousarray(values, np.float64).ravel())
        return bytes(eccodes.codes_get_message(handle))
    finally:
        eccodes.codes_release(handle)


@contextmanager
def _templates(domain: Domain) -> Iterator[tuple[int, int, int]]:
    """Messages whose grid is set, to be cloned: pressure levels, coarse surface, fine rain."""
    handles = (
        _coarse_template(domain, "regular_ll_pl_grib1"),
        _coarse_template(domain, "regular_ll_sfc_grib1"),
        _fine_template(domain),
    )
    try:
        yield handles
    finally:
        for handle in handles:
            eccodes.codes_release(handle)


def _grid(handle: int, latitude: np.ndarray, longitude: np.ndarray, step: float) -> None:
    for key, value in {
        "Ni": len(longitude),
        "Nj": len(latitude),
        "latitudeOfFirstGridPointInDegrees": float(latitude[0]),
        "latitudeOfLastGridPointInDegrees": float(latitude[-1]),
        "longitudeOfFirstGridPointInDegrees": float(longitude[0]),
        "longitudeOfLastGridPointInDegrees": float(longitude[-1]),
        "iDirectionIncrementInDegrees": step,
        "jDirectionIncrementInDegrees": step,
    }.items():
        eccodes.codes_set(handle, key, value)


def _coarse_template(domain: Domain, sample: str) -> int:
    handle = eccodes.codes_grib_new_from_samples(sample)
    _grid(handle, domain.coarse_latitude, domain.coarse_longitude, 0.25)
    for key, value in {
        "centre": 98,
        "table2Version": 128,
        "setLocalDefinition": 1,
        "localDefinitionNumber": 1,
        "class": "ea",
        "stream": "oper",
        "expver": "0001",
        "bitsPerValue": 16,
    }.items():
        eccodes.codes_set(handle, key, value)
    return int(handle)


def _fine_template(domain: Domain) -> int:
    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    _grid(handle, domain.fine_latitude, domain.fine_longitude, 0.01)
    for key, value in {
        "centre": 38,
        "localTablesVersion": 1,
        "productDefinitionTemplateNumber": 8,
        "discipline": 0,
        "parameterCategory": 1,
        "parameterNumber": 210,  # of a local table: 192 to 254
        "typeOfFirstFixedSurface": 1,
        "bitmapPresent": 1,
        "missingValue": 9999,
        "decimalPrecision": 2,  # rain comes in hundredths of a millimetre
    }.items():
        eccodes.codes_set(handle, key, value)
    return int(handle)


def _base(time: np.datetime64) -> dict[str, int | str]:
    return {"dataDate": int(_digits(time, "D")), "dataTime": 100 * _clock(time)}


def _pressure_messages(template: int, time: np.datetime64, hour: Hour) -> list[bytes]:
    return [
        _message(
            template,
            hour.fields[name][index],
            {
                "indicatorOfParameter": _PARAMETERS[name],
                "indicatorOfTypeOfLevel": "pl",
                "level": level,
                "type": "an",
                **_base(time),
            },
        )
        for name in hour.fields
        for index, level in enumerate(LEVELS)
    ]


def _sum_message(template: int, time: np.datetime64, hour: Hour) -> bytes:
    # As in ERA5, whose rain is of forecasts from 06 and 18 UTC: the hours to 07..18, 19..06.
    step = (_clock(time) - 7) % 12 + 1
    base = time - np.timedelta64(step, "h")
    return _message(
        template,
        hour.coarse_rain_mm / 1000.0,
        {
            "indicatorOfParameter": _PARAMETERS["tp"],
            "type": "fc",
            **_base(base),
            "timeRangeIndicator": 4,
            "P1": step - 1,
            "P2": step,
        },
    )


def _write_rain(
    folder: Path, template: int, time: np.datetime64, rain_mm: np.ndarray, *, reissued: bool
) -> None:
    rain_mm = rain_mm.copy()
    # For good: a cape of the sea in one corner, and a gauge's shadow.
    rain_mm[-3:, -4:] = 9999.0
    rain_mm[len(rain_mm) // 3, len(rain_mm) // 4] = 9999.0
    start = time - np.timedelta64(1, "h")

    def write(rain: np.ndarray, produced: np.datetime64) -> None:
        message = _message(template, rain, {**_base(start), "stepRange": "0-1"})
        stamp, valid = _digits(produced, "s"), _digits(time, "h")
        name = f"Z_SURF_C_BABJ_{stamp}_P_CMPA_RT_BCGZ_0P01_HOR-PRE-{valid}.GRB2"
        _write(folder / name, message)

    soon = time.astype("datetime64[s]") + np.timedelta64(19 * 60 + 16, "s")
    if reissued:
        # What came out first missed half of the rain.
        write(np.where(rain_mm < 9999.0, np.round(rain_mm / 2, 2), rain_mm), soon)
        write(rain_mm, soon + np.timedelta64(2, "D"))
    else:
        write(rain_mm, soon)


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(content)
