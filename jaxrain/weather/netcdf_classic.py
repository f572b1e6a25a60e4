"""NetCDF files of the classic formats, whole or not at all: their header walked before it is used.

The C library believes such a header: a damaged one keeps it busy for ever, and where the file is
cut off the values that are missing come as zeros. (NetCDF-4 files are HDF5, which knows its own
length.) The layout is that of the NetCDF Users Guide, appendix B, 'File Format Specifications'.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from jaxrain.errors import InputError

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
# Bytes of a value, by the number of its type: byte, char, short, int, float, double, and of CDF-5
# ubyte, ushort, uint, int64, uint64.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}


class _DamagedError(Exception):
    """The header breaks the format's rules."""


@dataclass(frozen=True)
class _Variable:
    name: str
    shape: tuple[int, ...]  # 0 first where it has records
    type_bytes: int
    begin: int

    @property
    def record_bytes(self) -> int:
        return self.type_bytes * prod(self.shape[1:])


class _Cursor:
    """Reads a header's numbers one after another, never beyond the file."""

    def __init__(self, file: BinaryIO, size: int, version: int):
        self.file, self.size = file, size
        self.count_bytes = 8 if version == 5 else 4
        self.offset_bytes = 4 if version == 1 else 8

    def number(self, length: int) -> int:
        content = self.file.read(length)
        if len(content) < length:
            raise _DamagedError("it ends within its header")
        return int.from_bytes(content, "big")

    def count(self, least_bytes: int, what: str) -> int:
        """How many of something follow, each of `least_bytes` or more."""
        count = self.number(self.count_bytes)
        if count * least_bytes > self.size - self.file.tell():
            raise _DamagedError(f"{count} {what} in a file of {self.size} bytes")
        return count

    def skip(self, length: int) -> None:
        self.file.seek(length + -length % 4, 1)  # everything is padded to four bytes

    def name(self) -> str:
        length = self.count(1, "letters of a name")
        name = self.file.read(length)
        self.file.seek(-length % 4, 1)
        if not name.decode("utf-8", "replace").isprintable():
            raise _DamagedError("a name that is none")
        return name.decode("utf-8", "replace")

    def listed(self, tag: int, what: str) -> int:
        found, count = self.number(4), self.count(8, what)
        if found != tag and (found, count) != (0, 0):
            raise _DamagedError(f"a list of {what} with the mark {found}")
        return count


def check_classic(path: Path) -> None:
    """Makes sure that a file of format CDF-1, CDF-2 or CDF-5 is whole.

    Raises:
      InputError: its header is damaged, or the file is shorter than the header says.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            needed = _needed_bytes(file, size)
    except _DamagedError as error:
        raise InputError(
            f"{path}: cannot be read as NetCDF: its header is damaged ({error}); fetch the file "
            "again"
        ) from error
    if needed > size:
        raise InputError(
            f"{path}: is cut off: {needed - size} bytes are missing at the end; fetch the file "
            "again"
        )


def _needed_bytes(file: BinaryIO, size: int) -> int:
    version = file.read(4)[3]
    cursor = _Cursor(file, size, version)
    records = cursor.number(cursor.count_bytes)
    dimensions = []
    for _ in range(cursor.listed(_DIMENSIONS, "dimensions")):
        cursor.name()
        dimensions.append(cursor.number(cursor.count_bytes))
    _skip_attributes(cursor)
    variables = [
        _variable(cursor, dimensions) for _ in range(cursor.listed(_VARIABLES, "variables"))
    ]
    if records == (1 << 8 * cursor.count_bytes) - 1:  # written as a stream: as many as there are
        records = 0
    of_records = [each for each in variables if each.shape[:1] == (0,)]
    step = sum(each.record_bytes + -each.record_bytes % 4 for each in of_records)
    if len(of_records) == 1:
        step = of_records[0].record_bytes
    ends = [file.tell()]
    for each in variables:
        if each not in of_records:
            ends.append(each.begin + each.type_bytes * prod(each.shape))
        elif records:
            ends.append(each.begin + (records - 1) * step + each.record_bytes)
    return max(ends)


def _variable(cursor: _Cursor, dimensions: list[int]) -> _Variable:
    name = cursor.name()
    axes = [
        cursor.number(cursor.count_bytes)
        for _ in range(cursor.count(cursor.count_bytes, "dimensions of a variable"))
    ]
    if any(axis >= len(dimensions) for axis in axes):
        raise _DamagedError(f"{name} has a dimension that is not there")
    _skip_attributes(cursor)
    type_bytes = _type_bytes(cursor)
    cursor.number(cursor.count_bytes)  # vsize, which may be too small to hold what it says
    begin = cursor.number(cursor.offset_bytes)
    return _Variable(name, tuple(dimensions[axis] for axis in axes), type_bytes, begin)


def _skip_attributes(cursor: _Cursor) -> None:
    for _ in range(cursor.listed(_ATTRIBUTES, "attributes")):
        cursor.name()
        type_bytes = _type_bytes(cursor)
        cursor.skip(type_bytes * cursor.count(type_bytes, "values of an attribute"))


def _type_bytes(cursor: _Cursor) -> int:
    number = cursor.number(4)
    if number not in _TYPE_BYTES:
        raise _DamagedError(f"a type numbered {number}")
    return _TYPE_BYTES[number]
