"""GRIB files, whole or not at all: walked byte by byte, before any reader is believed."""

from pathlib import Path

from jaxrain.errors import InputError

_END = b"7777"
_NO_BITMAP, _BITMAP_OF_BEFORE = 255, 254


def messages(path: Path) -> list[tuple[int, bytes]]:
    """The messages of a file that is whole, GRIB2 messages of several fields split.

    ecCodes alone is no judge: cfgrib reads a truncated file as NaN, and readers without
    multi-field support see the first field only, which hides v behind u.

    Returns:
      One message a field, in the file's order, each with the number of the message in its file,
      from 1.

    Raises:
      InputError: a message is cut off, isn't closed or isn't GRIB; names it.
    """
    content = path.read_bytes()
    found: list[tuple[int, bytes]] = []
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
        message = _whole(content, position, number, path)
        found += [(number, field) for field in _split(message, number, path)]
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
        section = message[position : position + length]
        # A length and a number; the bitmap's section says too which bitmap.
        least = 6 if section[4:5] == b"\x06" else 5
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
            body = b"".join(sections[key] for key in sorted(sections)) + _END
            fields.append(indicator[:8] + (16 + len(body)).to_bytes(8, "big") + body)
    if not fields:
        raise InputError(f"{path}: message {number} holds no data section; fetch the file again")
    return [message] if len(fields) == 1 else fields
