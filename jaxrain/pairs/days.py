"""Second stage: hours of canonical NetCDF to days of .npy arrays."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from jaxrain.grids.regrid import block_mean
from jaxrain.pairs.digests import digest
from jaxrain.pairs.pairing import Hour, PairedArea
from jaxrain.pairs.placement import BLOCK, cover
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.store import KINDS, digests_file, save_json
from jaxrain.weather.variables import channel_names, on_levels
from jaxrain.whole import whole_file

if TYPE_CHECKING:
    from jaxrain.pairs.reading import ReadHour

_DTYPES = {"fine": "<f4", "cover": "|u1", "coarse": "<f4"}


@dataclass(frozen=True, eq=False)
class Day:
    """One day of an area, all that is needed to write it.

    Attributes:
      folder: of the area.
      name: YYYYMMDD.
      hours: those that pair, in order.
      fine_shape: (H, W).
      coarse_shape: (h, w).
    """

    folder: Path
    name: str
    hours: list[Hour]
    fine_shape: tuple[int, int]
    coarse_shape: tuple[int, int]


def days_of(area: PairedArea, store: Path) -> list[Day]:
    """The days of an area, in order."""
    hours: dict[str, list[Hour]] = {}
    for hour in area.hours:
        hours.setdefault(str(hour.time.astype("datetime64[D]")).replace("-", ""), []).append(hour)
    shapes = area.fine_grid.shape, area.coarse_grid.shape
    return [Day(store / area.name, name, those, *shapes) for name, those in hours.items()]


def is_written(day: Day) -> bool:
    """Whether a day's arrays are there."""
    return all((day.folder / f"{kind}_{day.name}.npy").exists() for kind in KINDS)


def write_day(day: Day, config: DataConfig) -> None:
    """Writes a day's three arrays, each whole or not at all."""
    from jaxrain.pairs.reading import canonical_reader  # by who works, see there

    channels = channel_names(config.variables, config.levels)
    shapes = {
        "coarse": (len(channels), *day.coarse_shape),
        "fine": day.fine_shape,
        "cover": (2, *(-(-size // BLOCK) for size in day.fine_shape)),
    }
    made: list[dict[str, str]] = []
    # A stack renames what came last first, and the coarse day last: where it is, the others are.
    with ExitStack() as whole:
        partial = {
            kind: whole.enter_context(whole_file(day.folder / f"{kind}_{day.name}.npy"))
            for kind in shapes
        }
        with ExitStack() as stack:
            read = stack.enter_context(canonical_reader())
            files = {kind: stack.enter_context(partial[kind].open("wb")) for kind in shapes}
            for kind, shape in shapes.items():
                _write_header(files[kind], _DTYPES[kind], (len(day.hours), *shape))
            # Hour by hour and not through a memory map: memory stays small, and a full disk is
            # an error here, where a map would kill the process.
            for hour in day.hours:
                fine = _fine(hour, day.fine_shape, read)
                fields = {
                    "fine": fine,
                    "cover": cover(fine),
                    "coarse": _coarse(hour, fine, config, read),
                }
                written = {
                    kind: np.ascontiguousarray(values, _DTYPES[kind])
                    for kind, values in fields.items()
                }
                for kind, values in written.items():
                    files[kind].write(values.tobytes())
                made.append({kind: digest(values) for kind, values in written.items()})
        save_json(digests_file(day.folder, day.name), made)


def _write_header(file: BinaryIO, dtype: str, shape: tuple[int, ...]) -> None:
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _fine(hour: Hour, shape: tuple[int, int], read: "ReadHour") -> np.ndarray:
    height, width = shape
    rain = read(hour.fine.source.canonical, "rain", hour.fine.index)
    return rain[:height, :width]


def _coarse(hour: Hour, fine: np.ndarray, config: DataConfig, read: "ReadHour") -> np.ndarray:
    if config.coarsen:
        return block_mean(fine, config.coarsen)[None]
    fields = []
    for variable in config.variables:
        place = hour.coarse[variable]
        field = read(place.source.canonical, variable, place.index)
        fields.append(field if on_levels(variable) else field[None])
    return np.concatenate(fields)
