"""GRIB messages made for the tests beside: one place that knows which keys to set."""

import eccodes
import numpy as np


def message(
    values: np.ndarray,
    *,
    latitude: tuple[float, float] = (24.0, 22.0),
    longitude: tuple[float, float] = (112.0, 114.0),
    shape: tuple[int, int] | None = None,
    **keys: object,
) -> bytes:
    """A field [H, W] on a regular grid, row 0 at the first latitude; GRIB2 unless edition=1.

    Values in another order than rows first are listed as they are, with `shape` the grid's.
    """
    edition = keys.pop("edition", 2)
    kind = keys.pop("kind", "sfc")
    # These encoders want values that are there already; that of complex packing errs with them.
    late = str(keys.get("packingType")).startswith(("grid_png", "grid_second_order"))
    packing = keys.pop("packingType") if late else None
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_{kind}_grib{edition}")
    rows, columns = shape or values.shape
    grid = {
        "Ni": columns,
        "Nj": rows,
        "latitudeOfFirstGridPointInDegrees": latitude[0],
        "latitudeOfLastGridPointInDegrees": latitude[1],
        "longitudeOfFirstGridPointInDegrees": longitude[0],
        "longitudeOfLastGridPointInDegrees": longitude[1],
        "iDirectionIncrementInDegrees": abs(longitude[1] - longitude[0]) / max(columns - 1, 1),
        "jDirectionIncrementInDegrees": abs(latitude[1] - latitude[0]) / max(rows - 1, 1),
        "jScansPositively": int(latitude[1] > latitude[0]),
    }
    defaults = {"bitsPerValue": 24}
    try:
        for key, value in {**grid, **defaults, **keys}.items():
            eccodes.codes_set(handle, key, value)
        eccodes.codes_set_values(handle, np.asarray(values, float).ravel())
        if late:
            eccodes.codes_set(handle, "packingType", packing)
            eccodes.codes_set_values(handle, np.asarray(values, float).ravel())
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def pressure_message(name: str, level: int, values: np.ndarray, **keys: object) -> bytes:
    """A field on a pressure level."""
    return message(
        values,
        kind="pl",
        **{"dataDate": 20220601, "dataTime": 600, **keys},
        level=level,
        shortName=name,
    )


def cmpa_message(rain: np.ndarray, start: str = "2022060100", **keys: object) -> bytes:
    """CMPA's: an hour's sum from `start` on, with a parameter that ecCodes doesn't know."""
    local = {
        "centre": 38,
        "localTablesVersion": 1,
        "productDefinitionTemplateNumber": 8,
        "parameterCategory": 1,
        "parameterNumber": 210,
        "dataDate": int(start[:8]),
        "dataTime": int(start[8:]) * 100,
        "stepRange": "0-1",
    }
    return message(rain, **{**local, **keys})


def joined(first: bytes, second: bytes, *, shared: int) -> bytes:
    """One message of two fields: the second's sections from `shared` on follow the first's."""

    def sections(content):
        found, position = [], 16
        while content[position : position + 4] != b"7777":
            length = int.from_bytes(content[position : position + 4], "big")
            found.append(content[position : position + length])
            position += length
        return found

    body = b"".join(sections(first))
    body += b"".join(section for section in sections(second) if section[4] >= shared)
    return first[:8] + (16 + len(body) + 4).to_bytes(8, "big") + body + b"7777"


def scanned(
    field: np.ndarray, *, i_negative: bool, j_positive: bool, consecutive: bool, alternate: bool
) -> np.ndarray:
    """The order in which a scanning mode lists a field whose row 0 is north, column 0 west.

    WMO FM 92, flag table 3.4: columns from the east, rows from the south, columns before rows,
    every other line backwards.
    """
    if j_positive:
        field = field[::-1]
    if i_negative:
        field = field[:, ::-1]
    if consecutive:
        field = field.T
    field = field.copy()
    if alternate:
        field[1::2] = field[1::2, ::-1]
    return field
