"""What a message shares with others: all that it says of itself but its date and its values.

ecCodes takes a millisecond to open a small message and to say what it is, more than to decode it.
Messages whose sections differ in nothing but date and values get the same answers, so that it has
to be asked once for each kind; a day of ERA5 has some dozens.

Octets are those of the WMO Manual on Codes (No. 306): FM 92 GRIB, editions 1 and 2.
"""

from typing import NamedTuple

import numpy as np

# Codes of units of time that are so many seconds (tables 4 and 4.4): minute, hour, day, 3, 6 and
# 12 hours, and second. Months and years are not.
_EVEN_UNITS = {1: (0, 1, 2, 10, 11, 12, 254), 2: (0, 1, 2, 10, 11, 12, 13)}
# Templates of section 4 in GRIB2: a state, and a sum or mean over a time.
_STATE, _OVER_TIME = b"\x00\x00", b"\x00\x08"
_END_OF_INTERVAL = slice(34, 41)  # of section 4, template 8: year to second


class Signature(NamedTuple):
    """A message's kind, and the time that its kind doesn't say.

    Attributes:
      kind: equal for messages that ecCodes tells the same of, date and values apart.
      base: reference time, UTC, datetime64[s].
    """

    kind: tuple[bytes | int, ...]
    base: np.datetime64


def signature(message: bytes) -> Signature | None:
    """The signature of a message of one field; None where its form is one that is not known here.

    Args:
      message: the whole of it, of either edition.
    """
    try:
        return _first_edition(message) if message[7] == 1 else _second_edition(message)
    except (ValueError, IndexError):  # a date that is none, a section that is too short
        return None


def _first_edition(message: bytes) -> Signature | None:
    product, position = _section(message, 8)
    grid, bitmap = b"", b""
    if product[7] & 128:
        grid, position = _section(message, position)
    if product[7] & 64:
        bitmap, position = _section(message, position)
    data, position = _section(message, position)
    year, century = product[12], product[24]
    known = product[17] in _EVEN_UNITS[1] and 1 <= year <= 100 <= 100 * century
    if position != len(message) - 4 or not known:
        return None
    # Without year to minute, century and decimal scale; of the data only how it is packed.
    said = product[:12], product[17:24], product[25:26], product[28:], grid, data[3:4]
    base = _instant(100 * (century - 1) + year, product[13:17])
    return Signature((1, *said, len(bitmap) > 0), base)


def _section(message: bytes, position: int) -> tuple[bytes, int]:
    """A section of edition 1 and where it ends."""
    end = position + int.from_bytes(message[position : position + 3], "big")
    return message[position:end], end


def _second_edition(message: bytes) -> Signature | None:
    sections: dict[int, bytes] = {}
    position = 16
    while position < len(message) - 4:
        length = int.from_bytes(message[position : position + 4], "big")
        number = message[position + 4]
        # The values may be large, and say nothing.
        kept = 5 if number == 7 else length
        sections[number] = message[position : position + kept]
        position += max(length, 5)
    identity, product, packing = (sections.get(number, b"") for number in (1, 4, 5))
    template = product[7:9]
    known = template in (_STATE, _OVER_TIME) and product[17] in _EVEN_UNITS[2]
    if position != len(message) - 4 or not known or identity[18]:
        return None
    base = _instant(int.from_bytes(identity[12:14], "big"), identity[14:18])
    lag = 0
    if template == _OVER_TIME:
        *end, seconds = product[_END_OF_INTERVAL]
        if seconds or product[41] != 1 or product[48] not in _EVEN_UNITS[2]:
            return None
        lag = int((_instant(256 * end[0] + end[1], bytes(end[2:])) - base).astype(int))
        product = product[: _END_OF_INTERVAL.start] + product[_END_OF_INTERVAL.stop :]
    # Of the packing its template and the number of values; of the bitmap whether there is one.
    said = identity[:12], identity[19:], sections.get(2, b""), sections.get(3, b""), product
    return Signature(
        (2, message[6], *said, packing[:11], sections.get(6, b"")[5:6], lag),
        base,
    )


def _instant(year: int, rest: bytes) -> np.datetime64:
    """Year, and an octet each of month, day, hour and minute."""
    month, day, hour, minute = rest
    if hour > 23 or minute > 59:
        raise ValueError(f"{hour}:{minute}")  # numpy would take it for a time zone
    return np.datetime64(f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}", "s")
