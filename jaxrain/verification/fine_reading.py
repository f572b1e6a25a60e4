"""How files of truth are read: as the run read its fine files, unless the user says otherwise."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr
from pydantic import TypeAdapter, ValidationError

from jaxrain.errors import InputError
from jaxrain.pairs.sources import is_npy
from jaxrain.weather.fine_files import read_fine_file
from jaxrain.weather.npy_files import read_fine_npy
from jaxrain.weather.npy_layout import NpyFolders

_MOST_HOURS = 14.0


class FineReading(NamedTuple):
    """What files of fine rain don't say of themselves.

    Attributes:
      variable: the rain's name in the files; None takes the only one.
      utc_offset_hours: how far the files' times run ahead of UTC, -14..14 [h].
      npy: grid, channel and names of .npy files; None where the run read none.
    """

    variable: str | None = None
    utc_offset_hours: float = 0.0
    npy: NpyFolders | None = None


AS_FILES_SAY = FineReading()
"""Of files in UTC with one variable that may be rain."""


def reading_of_run(sections: Iterable[Any]) -> FineReading:
    """How a run read its fine files; the defaults where nothing says it.

    Args:
      sections: what is known of the run's `data` section, the first that makes sense is taken:
        others' files may say anything.
    """
    for section in sections:
        if not isinstance(section, dict) or "fine_utc_offset_hours" not in section:
            continue
        variable, hours = section.get("fine_variable"), section["fine_utc_offset_hours"]
        if not isinstance(hours, int | float) or not abs(hours) <= _MOST_HOURS:
            continue
        if variable is None or isinstance(variable, str):
            return FineReading(variable, float(hours), _npy(section.get("npy")))
    return AS_FILES_SAY


def _npy(section: Any) -> NpyFolders | None:
    """What a section says of fine .npy files; None where it says nothing, or nothing of sense."""
    try:
        npy = TypeAdapter(NpyFolders).validate_python(section or {})
    except (ValidationError, ArithmeticError):
        return None
    return npy if npy.fine else None


def read_truth(path: Path, reading: FineReading) -> xr.Dataset:
    """Reads a file of truth.

    Args:
      path: what `jaxrain.weather.fine_files` reads, or a .npy file as the run read.
      reading: how.

    Returns:
      A canonical Dataset, see `jaxrain.weather.fine_rain`.

    Raises:
      InputError: it can't be read; or it is a .npy file, and the run read none.
    """
    hours = reading.utc_offset_hours
    if not is_npy(path):
        return read_fine_file(path, variable=reading.variable, utc_offset_hours=hours)
    if reading.npy is None:
        raise InputError(
            f"{path}: is a .npy array, which knows no grid, and the run says none (its "
            "data.npy.fine is not set): give GRIB or NetCDF"
        )
    return read_fine_npy(path, reading.npy, region=None, utc_offset_hours=hours)


def reading_asked(
    of_run: FineReading, variable: str | None, utc_offset_hours: float | None
) -> FineReading:
    """The run's reading with what `verify` was told in its place.

    Args:
      of_run: from `reading_of_run`.
      variable: of `--truth-variable`; None keeps the run's.
      utc_offset_hours: of `--truth-utc-offset` [h]; None keeps the run's.

    Raises:
      InputError: the offset is out of range.
    """
    if utc_offset_hours is not None and not abs(utc_offset_hours) <= _MOST_HOURS:
        raise InputError(
            f"--truth-utc-offset {utc_offset_hours:g}: expected hours from -14 to 14 that the "
            "files' times run ahead of UTC, as 8 for Beijing time"
        )
    return FineReading(
        of_run.variable if variable is None else variable,
        of_run.utc_offset_hours if utc_offset_hours is None else utc_offset_hours,
        of_run.npy,
    )


def offset_told(reading: FineReading) -> list[str]:
    """A line that says which offset the times of the files of truth have, where it is not 0."""
    if not reading.utc_offset_hours:
        return []
    return [
        f"the times of the files of truth are taken for UTC{reading.utc_offset_hours:+g}: "
        "--truth-utc-offset gives another offset, 0 for UTC"
    ]
