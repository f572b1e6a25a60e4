"""Name and units of a field, asked of ecCodes once for each kind of field.

ecCodes finds them by trying its tables' rules one by one, 0.2 to 2 ms each, a third of what a small
field costs to read. They depend on the sections that say what a field is and not on its date, so
messages that differ in nothing but date, grid and values share them.
"""

import eccodes

_END_OF_INTERVAL = slice(34, 41)  # of section 4, template 8: year to second of the end of a sum
_KINDS = 4096  # that are remembered; a file of ERA5 has some dozens

_known: dict[tuple[bytes, ...], tuple[str, str]] = {}


def name_and_units(message: bytes, handle: int) -> tuple[str, str]:
    """ecCodes' short name and units of a field, 'unknown' where its tables have none.

    Args:
      message: the whole of it.
      handle: ecCodes' of this message.

    Raises:
      eccodes.CodesInternalError: ecCodes refuses the message.
    """
    kind = kind_of(message)
    if kind not in _known:
        if len(_known) >= _KINDS:
            _known.clear()
        _known[kind] = _ask(handle, "shortName"), _ask(handle, "units")
    return _known[kind]


def kind_of(message: bytes) -> tuple[bytes, ...]:
    """All that a field says of itself but its date, grid and values.

    Of GRIB1 section 1 without year to minute (octets 13 to 17), century (25) and decimal scale (27,
    28); of GRIB2 the discipline and sections 1, 2 and 4 without the reference time (octets 13 to 19
    of section 1) and the end of a sum.
    """
    if message[7] == 1:
        length = int.from_bytes(message[8:11], "big")
        section = message[8 : 8 + length]
        return b"1", section[:12], section[17:24], section[25:26], section[28:]
    parts = [b"2", message[6:7]]
    position = 16
    while position < len(message) - 4:
        length = int.from_bytes(message[position : position + 4], "big")
        section = message[position : position + length]
        number = section[4]
        if number == 1:
            parts += [section[:12], section[19:]]
        elif number == 2:
            parts.append(section)
        elif number == 4:
            if section[7:9] == b"\x00\x08":
                section = section[: _END_OF_INTERVAL.start] + section[_END_OF_INTERVAL.stop :]
            parts.append(section)
            break
        position += length
    return tuple(parts)


def _ask(handle: int, key: str) -> str:
    try:
        return str(eccodes.codes_get_string(handle, key))
    except eccodes.KeyValueNotFoundError:
        return "unknown"
