"""Values in simple packing, unpacked here once ecCodes has shown that it unpacks them to the same.

For a small field ecCodes spends a millisecond on opening the message and little on its values.
Simple packing is one formula, (R + X 2^E) / 10^D for whole numbers X (WMO Manual on Codes, No. 306:
regulation 92.9.4), so where a first message of a form came out equal to the bit, the others of this
form need no ecCodes.
"""

from typing import NamedTuple

import numpy as np

_WORDS = {8: "u1", 16: ">u2", 32: ">u4"}  # whole octets
# Scanning modes other than along rows, every row in the same direction.
_BY_COLUMN_OR_BACK_AND_FORTH = 0x30


class Packed(NamedTuple):
    """A field in simple packing, without missing points.

    Attributes:
      form: edition, bits, E, D and number of values: fields of one form are unpacked alike.
      reference: R.
      words: X, whole numbers, flat.
    """

    form: tuple[int, int, int, int, int]
    reference: float
    words: np.ndarray

    def values(self) -> np.ndarray:
        """The field, float64, flat, in the message's order."""
        _, _, binary, decimal, _ = self.form
        scale = 1.0 / 10.0**decimal if decimal > 0 else 10.0**-decimal
        return (self.words * 2.0**binary + self.reference) * scale


def packed(message: bytes, size: int) -> Packed | None:
    """The packed field of a message; None where it is packed in another way or has a bitmap.

    Args:
      message: the whole of it, of one field.
      size: points of its grid.
    """
    try:
        found = _first_edition(message) if message[7] == 1 else _second_edition(message)
    except (IndexError, ValueError):  # a section that is too short
        return None
    if found is None:
        return None
    edition, bits, scales, reference, data = found
    if bits not in _WORDS or len(data) * 8 != size * bits:
        return None
    form = edition, bits, _signed(scales[:2]), _signed(scales[2:]), size
    return Packed(form, reference, np.frombuffer(data, _WORDS[bits]))


_Found = tuple[int, int, bytes, float, bytes]


def _first_edition(message: bytes) -> _Found | None:
    product = 8
    grid = product + _length(message, product, 3)
    data = grid + _length(message, grid, 3)
    end = data + _length(message, data, 3)
    # Sections 2 and no bitmap; of section 4 grid points, simple, no more flags; at its end at most
    # the octet that makes it even.
    described = message[product + 7] == 128 and message[data + 3] >> 4 == 0
    spare = message[data + 3] & 15
    plain = not message[grid + 27] & _BY_COLUMN_OR_BACK_AND_FORTH
    if not described or not plain or spare % 8 or end != len(message) - 4:
        return None
    # R is of IBM's kind: a sign, an exponent of 16 and 24 bits of a fraction.
    head, fraction = message[data + 6], int.from_bytes(message[data + 7 : data + 10], "big")
    size = fraction * 2.0 ** (4 * ((head & 127) - 64) - 24)
    scales = message[data + 4 : data + 6] + message[product + 26 : product + 28]
    content = message[data + 11 : end - spare // 8]
    return 1, message[data + 10], scales, -size if head & 128 else size, content


def _second_edition(message: bytes) -> _Found | None:
    sections: dict[int, bytes] = {}
    position = 16
    while position < len(message) - 4:
        length = _length(message, position, 4)
        sections[message[position + 4]] = message[position : position + length]
        position += max(length, 5)
    grid, packing, bitmap, data = (sections.get(number, b"") for number in (3, 5, 6, 7))
    if packing[9:11] != b"\0\0" or bitmap[5] != 255 or grid[12:14] != b"\0\0":
        return None
    plain = not grid[71] & _BY_COLUMN_OR_BACK_AND_FORTH
    if not plain or position != len(message) - 4:
        return None
    reference = float(np.frombuffer(packing[11:15], ">f4")[0])
    return 2, packing[19], packing[15:19], reference, data[5:]


def _length(message: bytes, position: int, octets: int) -> int:
    return int.from_bytes(message[position : position + octets], "big")


def _signed(octets: bytes) -> int:
    """A whole number whose first bit is its sign."""
    number = int.from_bytes(octets, "big")
    return -(number & 0x7FFF) if number & 0x8000 else number
