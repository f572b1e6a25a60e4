"""Whole files of every kind that the readers take, and ways to damage them."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxrain.weather.made_grib_test import cmpa_message, joined, message, pressure_message

_CMPA = "Z_SURF_C_BABJ_20220601011916_P_CMPA_RT_BCGZ_0P01_HOR-PRE-2022060101"
_SHAPE = (9, 11)
_NUMBERS = (0, 1, 2, 127, 128, 254, 255, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 1 << 62)
_CHARACTERS = "0123456789ABZaz_-. P%é雨"
# Where headers lie: this far behind the start of a message, or of a file.
_HEADER_BYTES = 300


def whole_files() -> dict[str, bytes]:
    """Small files by name: GRIB of both editions and all packings, NetCDF of three formats."""
    rng = np.random.default_rng(0)
    t, u, v = (rng.normal(mean, 5, _SHAPE) for mean in (280, 3, -2))
    rain = np.round(rng.gamma(0.5, 2.0, _SHAPE), 1)
    sums: dict[str, Any] = {"edition": 1, "centre": 98, "table2Version": 128}
    sums |= {"indicatorOfParameter": 228, "timeRangeIndicator": 4, "P1": 0}
    files = {
        "levels.grib": b"".join(
            pressure_message(name, level, field, edition=1)
            for level in (850, 500)
            for name, field in (("t", t), ("u", u), ("v", v))
        ),
        "tp.grib": b"".join(
            message(rain / 1000, **sums, dataDate=20220601, dataTime=600, P2=hour)
            for hour in (1, 2)
        ),
        "wind.grib2": joined(
            pressure_message("u", 850, u), pressure_message("v", 850, v), shared=4
        ),
        f"{_CMPA}.GRB2": cmpa_message(rain, bitmapPresent=1, missingValue=9999),
    }
    for packing in ("ccsds", "jpeg", "png", "complex", "complex_spatial_differencing", "ieee"):
        field = np.tile(t.round(), (4, 4)) if packing == "png" else t  # which must compress
        files[f"{packing}.grib2"] = pressure_message("t", 850, field, packingType=f"grid_{packing}")
    files["second_order.grib"] = pressure_message(
        "t", 850, t, edition=1, packingType="grid_second_order"
    )
    return files | _netcdf_files(t, rain)


def _netcdf_files(t: np.ndarray, rain: np.ndarray) -> dict[str, bytes]:
    axes = {"latitude": np.linspace(24, 22, 9), "longitude": np.linspace(112, 114.5, 11)}
    hours = np.datetime64("2022-06-01T01", "ns") + np.arange(2).astype("timedelta64[h]")
    old = xr.Dataset(
        {
            "t": (("time", "level", *axes), np.stack([t, t])[:, None], {"units": "K"}),
            "tp": (("time", *axes), np.stack([rain, rain]) / 1000, {"units": "m"}),
        },
        {"time": hours, "level": ("level", [850], {"units": "millibars"}), **axes},
    )
    packed = {"t": {"dtype": "int16", "scale_factor": 0.01, "add_offset": 280, "_FillValue": -1}}
    new = old.rename(time="valid_time", level="pressure_level").assign_coords(
        number=0, expver=("valid_time", ["0001", "0005"])
    )
    hour = xr.Dataset({"PRE": (("lat", "lon"), rain)}, {"time": hours[0]})
    hour = hour.assign_coords(lat=("lat", axes["latitude"]), lon=("lon", axes["longitude"]))
    radar = xr.Dataset(
        {"precip": (("time", "y", "x"), rain[None], {"units": "mm"})},
        {
            "time": hours[:1],
            "y": ("y", np.arange(9.0), {"units": "km"}),
            "x": ("x", np.arange(11.0), {"units": "km"}),
        },
    )
    deflated = {"precip": {"zlib": True, "dtype": "int16", "scale_factor": 0.1, "_FillValue": -1}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nc"

        def written(dataset: xr.Dataset, **keys: Any) -> bytes:
            dataset.to_netcdf(path, **keys)
            return path.read_bytes()

        return {
            "old.nc": written(old, format="NETCDF3_64BIT", encoding=packed),
            "classic.nc": written(old, format="NETCDF3_CLASSIC"),
            "new.nc": written(new),
            f"{_CMPA}.nc": written(hour),
            "radar.nc": written(radar, encoding=deflated),
        }


def damaged(files: dict[str, bytes], rng: np.random.Generator) -> tuple[str, bytes, str]:
    """One of the files, damaged in one to three ways.

    Returns:
      Its name, its content, and what was done to it.
    """
    names = list(files)
    name = names[rng.integers(len(names))]
    content = bytearray(files[name])
    told = [name, *harm(content, rng)]
    if content[:4] == b"GRIB" and rng.random() < 0.5:
        _mend(content)
        told.append("mend")
    if rng.random() < 0.25:
        name = _other_name(name, rng)
        told.append("name")
    if rng.random() < 0.05:
        content += files[names[rng.integers(len(names))]][: rng.integers(1, 400)]
        told.append("join")
    return name, bytes(content), " ".join(told)


def harm(content: bytearray, rng: np.random.Generator) -> list[str]:
    """Damages bytes in one to three ways, in place; returns their names."""
    told = []
    for _ in range(rng.integers(1, 4)):
        way = _WAYS[rng.integers(len(_WAYS))]
        way(content, rng)
        told.append(way.__name__.strip("_"))
    return told


def _place(content: bytearray, rng: np.random.Generator) -> int:
    """A byte to damage: three times of four one of a header."""
    if rng.random() < 0.25 or not content:
        return int(rng.integers(max(len(content), 1)))
    starts = [0]
    while (found := content.find(b"GRIB", starts[-1] + 4)) > 0:
        starts.append(found)
    start = starts[rng.integers(len(starts))]
    within = _HEADER_BYTES if content[:4] == b"GRIB" else len(content) // 2
    return min(start + int(rng.integers(max(within, 1))), max(len(content) - 1, 0))


def _mend(content: bytearray) -> None:
    """Makes one message of all, whole from outside, so that what is wrong within is met."""
    if len(content) > 24:
        content[-4:] = b"7777"
        if content[7] == 2:
            content[8:16] = len(content).to_bytes(8, "big")
        else:
            content[4:7] = len(content).to_bytes(3, "big")


def _flip(content: bytearray, rng: np.random.Generator) -> None:
    if content:
        content[_place(content, rng)] ^= 1 << int(rng.integers(8))


def _byte(content: bytearray, rng: np.random.Generator) -> None:
    if content:
        content[_place(content, rng)] = int(rng.integers(256))


def _number(content: bytearray, rng: np.random.Generator) -> None:
    width = int(2 ** rng.integers(4))
    value = int(_NUMBERS[rng.integers(len(_NUMBERS))]) % (1 << 8 * width)
    place = _place(content, rng)
    content[place : place + width] = value.to_bytes(
        width, "big" if rng.random() < 0.5 else "little"
    )


def _cut(content: bytearray, rng: np.random.Generator) -> None:
    del content[_place(content, rng) :]


def _drop(content: bytearray, rng: np.random.Generator) -> None:
    place = _place(content, rng)
    del content[place : place + int(rng.integers(1, 40))]


def _insert(content: bytearray, rng: np.random.Generator) -> None:
    place = _place(content, rng)
    content[place:place] = rng.bytes(int(rng.integers(1, 40)))


def _blank(content: bytearray, rng: np.random.Generator) -> None:
    place, length = _place(content, rng), int(rng.integers(1, 60))
    length = len(content[place : place + length])
    content[place : place + length] = bytes([0, 255][rng.integers(2)] for _ in range(length))


def _copy(content: bytearray, rng: np.random.Generator) -> None:
    source, target = _place(content, rng), _place(content, rng)
    piece = content[source : source + int(rng.integers(1, 60))]
    content[target : target + len(piece)] = piece


_WAYS: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    *(_flip, _byte, _number, _number),
    *(_cut, _drop, _insert, _blank, _copy),
)


def _other_name(name: str, rng: np.random.Generator) -> str:
    letters = list(name)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(letters)))
        character = _CHARACTERS[rng.integers(len(_CHARACTERS))]
        letters[place : place + int(rng.integers(2))] = character * int(rng.integers(1, 3))
    return "".join(letters).strip(".") or "a"
