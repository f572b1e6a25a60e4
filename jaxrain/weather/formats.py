"""What becomes of each file of a folder: python -m jaxrain.weather.formats FOLDER.

Every predictor that a file holds is read with all its levels and hours. A row says what was read,
or the one line with which the file is refused.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.era5 import Inventory, inventory, read_coarse
from jaxrain.weather.variables import VARIABLES

_PAGES = (".md", ".txt", ".idx")
_LISTED = 6  # names, before 'and N more'


@dataclass(frozen=True)
class Row:
    """What became of a file.

    Attributes:
      name: path under the folder.
      read: what was read; '' where nothing was.
      refused: the lines that refuse the file or a variable of it, without the path.
    """

    name: str
    read: str
    refused: tuple[str, ...]


def survey(folder: Path) -> Iterator[Row]:
    """Reads all files of a folder and of the folders in it, in order of their names.

    Raises:
      InputError: it is no folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder, expected one with GRIB or NetCDF files")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in _PAGES:
            yield _row(path, path.relative_to(folder).as_posix())


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| file | outcome |", "| --- | --- |"]
    for row in rows:
        told = [f"read ({row.read})"] if row.read else []
        told += [f"refused ({why})" for why in row.refused]
        lines.append(f"| {row.name} | {'; '.join(told).replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def _row(path: Path, name: str) -> Row:
    try:
        has = inventory(path)
    except InputError as error:
        return Row(name, "", (_without(path, error),))
    if not has.levels:
        return Row(name, "", (f"holds no predictor; it holds {_some(has.others)}",))
    found: dict[str, list[str]] = {}
    refused = []
    for variable, told in _read(has):
        if isinstance(told, InputError):
            refused.append(f"{variable}: {_without(path, told)}")
        else:
            found.setdefault(told, []).append(variable)
    read = [f"{', '.join(names)}: {told}" for told, names in found.items()]
    if read and has.others:
        read.append(f"not asked for: {_some(has.others)}")
    return Row(name, "; ".join(read), tuple(refused))


def _read(has: Inventory) -> Iterator[tuple[str, str | InputError]]:
    """Reads all predictors, those of the same levels together; says what came of each."""
    waiting = [
        [name for name, each in has.levels.items() if each == levels]
        for levels in dict.fromkeys(has.levels.values())
    ]
    while waiting:
        names = waiting.pop(0)
        levels = has.levels[names[0]]
        try:
            dataset = read_coarse(has.path, variables=names, levels=levels, partial=True)
        except InputError as error:
            if len(names) == 1:
                yield names[0], error
            else:
                waiting += [[name] for name in names]
        else:
            yield from ((name, _shape(dataset[name], levels)) for name in names)


def _shape(array: xr.DataArray, levels: Sequence[float]) -> str:
    present = array.notnull()
    hours = int(present.any([axis for axis in array.dims if axis != "time"]).sum())
    told = ["1 hour" if hours == 1 else f"{hours} hours"]
    if len(levels) == 1:
        told.append(f"{levels[0]:g} hPa")
    elif levels:
        told.append(f"{len(levels)} levels from {max(levels):g} to {min(levels):g} hPa")
    told.append(f"{array.sizes['latitude']} x {array.sizes['longitude']} points")
    if not present.all():
        told.append(f"{1 - float(present.mean()):.1%} missing")
    low, high = VARIABLES[str(array.name)].plausible
    outside = int(((array < low) | (array > high)).sum())
    if outside:
        told.append(f"{outside} values beyond {low:g} to {high:g}")
    return ", ".join(told)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _without(path: Path, error: InputError) -> str:
    return str(error).replace(f"{path}: ", "").replace(str(path), path.name)


def main(argv: list[str] | None = None) -> int:
    """Prints the table of a folder; status 2 where it is no folder."""
    parser = argparse.ArgumentParser(prog="python -m jaxrain.weather.formats")
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args(argv)
    try:
        print(table(list(survey(asked.folder))), end="")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
