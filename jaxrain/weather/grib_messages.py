"""GRIB files, whole or not at all: walked byte by byte, before any reader is believed."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxrain.errors import InputError

_END = b"7777"
_HEAD = 16  # bytes that hold the length in either edition
_BLOCK = 1 << 16
_NO_BITMAP, _BITMAP_OF_BEFORE = 255, 254


def messages(path: Path) -> list[tuple[int, bytes]]:
    """All that `each_message` yields; the whole file lies in memory then."""
    return list(each_message(path))


def each_message(path: Path) -> Iterator[tuple[int, bytes]]:
    """The messages of a file that is whole, GRIB2 messages of several fields split.

    ecCodes alone is no judge: cfgrib reads a truncated file as NaN, and readers without
    multi-field support see the first field only, which hides v behind u.

    Yields:
      One message a field, in the file's order, each with the number of the message in its file,
      from 1. No other message is in memory: whole-China rain has 84 MB an hour.

    Raises:
      InputError: a message is cut off, isn't closed or isn't GRIB; names it. What was yielded
        before is of a file that is not whole.
    """
    size, position, number = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while position < size:
            file.seek(position)
            head = file.read(_HEAD)
            if head[:4] != b"GRIB":
                padding = _zeros(file, position) if number else 0
                if padding:
                    position += padding
                    continue
                what = (
                    "is not a GRIB file"
                    if not number
                    else f"has other bytes after message {number}"
                )
                raise InputError(
                    f"{path}: {what} (byte {position}, expected 'GRIB'); fetch the file again"
                )
            number += 1
            message = _whole(file, head, size - position, number, path)
            position += len(message)
            for field in _split(message, number, path):
                yield number, field
    if not number:
        raise InputError(f"{path}: is empty, expected GRIB messages; fetch the file again")


def _zeros(file: BinaryIO, position: int) -> int:
    """How many bytes from `position` on are 0: some archives pad messages to blocks."""
    file.seek(position)
    count = 0
    while block := file.read(_BLOCK):
        zeros = len(block) - len(block.lstrip(b"\0"))
        count += zeros
        if zeros < len(block):
            break
    return count


def _length(head: bytes) -> int:
    if len(head) < _HEAD:
        return _HEAD
    return int.from_bytes(head[8:16], "big") if head[7] == 2 else int.from_bytes(head[4:7], "big")


def _whole(file: BinaryIO, head: bytes, left: int, number: int, path: Path) -> bytes:
    """The message that begins with `head`, in a file with `left` bytes from there on."""
    if len(head) >= 8 and head[7] not in (1, 2):
        raise InputError(
            f"{path}: message {number} says GRIB edition {head[7]}, expected 1 or 2; "
            "fetch the file again"
        )
    length = _length(head)
    if length > left:
        raise InputError(
            f"{path}: message {number} is cut off: {length - left} bytes are missing at the "
            "end; fetch the file again"
        )
    message = head[:length] + file.read(max(length - len(head), 0))
    if len(message) < _HEAD or not message.endswith(_END):
        raise InputError(
            f"{path}: message {number} does not end in '7777' after its {len(message)} bytes: it "
            "is damaged; fetch the file again"
        )
    return message


def _split(message: bytes, number: int, path: Path) -> Iterator[bytes]:
    """One message for each field of a GRIB2 message (sections 2 to 7 may repeat, WMO FM 92)."""
    if message[7] == 1:
        yield message
        return
    view, sections, fields = memoryview(message), dict[int, memoryview](), list[dict]()
    bitmap: memoryview | None = None
    position = 16
    while position < len(message) - 4:
        length = int.from_bytes(view[position : position + 4], "big")
        section = view[position : position + length]
        # A length and a number; the bitmap's section says too which bitmap.
        least = 6 if bytes(section[4:5]) == b"\x06" else 5
        if length < least or position + length > len(message) - 4:
            raise InputError(
                f"{path}: message {number} has a section of {length} bytes, expected {least} or "
                "more that lie within the message: it is damaged; fetch the file again"
            )
        sections[section[4]] = section
        position += length
        if section[4] == 6:
            if section[5] == _BITMAP_OF_BEFORE and bitmap is not None:
                sections[6] = bitmap
            elif section[5] not in (_NO_BITMAP, _BITMAP_OF_BEFORE):
                bitmap = section
        if section[4] == 7:
            fields.append(dict(sections))
    if not fields:
        raise InputError(f"{path}: message {number} holds no data section; fetch the file again")
    if len(fields) == 1:
        yield message
        return
    for field in fields:
        body = b"".join(field[key] for key in sorted(field)) + _END
        yield message[:8] + (16 + len(body)).to_bytes(8, "big") + body
