"""Whatever packing, edition, scanning order and fill value: the field that went in comes out."""

import eccodes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxrain.weather.grib import decode, read_headers
from jaxrain.weather.made_grib_test import message, scanned

_PACKINGS = {
    1: ("grid_simple", "grid_ieee", "grid_second_order", "grid_second_order_no_SPD"),
    2: (
        "grid_simple",
        "grid_ccsds",
        "grid_jpeg",
        "grid_png",
        "grid_complex",
        "grid_complex_spatial_differencing",
        "grid_ieee",
    ),
}
_BOTH = [(edition, packing) for edition, packings in _PACKINGS.items() for packing in packings]


@st.composite
def _fields(draw):
    """A field [H, W] with values missing at some points, and the number that marks them."""
    shape = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    scale = 10.0 ** draw(st.integers(-6, 5))
    offset = draw(st.sampled_from([0.0, -3.0, 280.0, 55_000.0]))
    steps = draw(arrays(np.int32, shape, elements=st.integers(-1000, 1000)))
    missing = draw(arrays(np.bool_, shape, elements=st.booleans()))
    if draw(st.booleans()) or missing.all():
        missing = np.zeros(shape, bool)
    fill = draw(st.sampled_from([9999.0, -9999.0, 1e20, 3.2e8]))
    return np.where(missing, np.nan, offset + scale * steps), fill


@pytest.mark.parametrize(("edition", "packing"), _BOTH)
@settings(max_examples=30, deadline=None)
@given(
    made=_fields(),
    i_negative=st.booleans(),
    j_positive=st.booleans(),
    consecutive=st.booleans(),
    alternate=st.booleans(),
    bits=st.sampled_from([8, 16, 24]),
)
def test_field_comes_back_within_its_packing(
    tmp_path_factory, edition, packing, made, i_negative, j_positive, consecutive, alternate, bits
):
    field, fill = made
    if packing == "grid_png":  # its encoder wants room for PNG's headers: fields that compress
        assume(np.nanmax(field) > np.nanmin(field))  # which it doesn't do for constants
        field, bits = np.tile(field, (6, 6)), 24
    alternate = alternate and edition == 2  # the first edition has no such order
    rows, columns = field.shape
    listed = scanned(
        field,
        i_negative=i_negative,
        j_positive=j_positive,
        consecutive=consecutive,
        alternate=alternate,
    )
    north, south, west, east = 40.0, 40.0 - (rows - 1), 10.0, 10.0 + (columns - 1)
    content = message(
        np.where(np.isnan(listed), fill, listed),
        shape=field.shape,
        edition=edition,
        latitude=(south, north) if j_positive else (north, south),
        longitude=(east, west) if i_negative else (west, east),
        bitmapPresent=int(np.isnan(field).any()),
        missingValue=fill,
        bitsPerValue=bits,
        packingType=packing,
        iScansNegatively=int(i_negative),
        jPointsAreConsecutive=int(consecutive),
        **({"alternativeRowScanning": 1} if alternate else {}),
    )
    path = tmp_path_factory.getbasetemp() / f"{packing}.grib{edition}"
    path.write_bytes(content)
    (header,) = read_headers(path)
    values = decode(path, header)
    upright = values[np.argsort(-header.latitude)][:, np.argsort(header.longitude)]
    np.testing.assert_array_equal(np.isnan(upright), np.isnan(field))
    error = np.nanmax(np.abs(upright - field))
    known = int(np.isfinite(field).sum())
    # The first edition's reference is an IBM float, whose last bit may be 2^-20 of it.
    relative = 2 * 2.0**-20 if edition == 1 else 1e-6
    assert error <= _precision(content, packing, known) + relative * np.nanmax(np.abs(field))
    np.testing.assert_allclose(np.sort(header.longitude), west + np.arange(columns), atol=1e-5)
    np.testing.assert_allclose(-np.sort(-header.latitude), north - np.arange(rows), atol=1e-5)


def _precision(content: bytes, packing: str, known: int) -> float:
    """Half the step in which a message can tell values apart, from its own header."""
    handle = eccodes.codes_new_from_message(content)
    try:
        written = eccodes.codes_get(handle, "packingType")
        constant = eccodes.codes_get(handle, "bitsPerValue") == 0
        # ecCodes packs one or two values simply where second order was asked for.
        simply = written == "grid_simple" and "second_order" in packing and known < 3
        assert written == packing or constant or simply
        if written == "grid_ieee":
            return 0.0  # float32: the relative part of the tolerance
        binary, decimal = (
            eccodes.codes_get(handle, f"{base}ScaleFactor") for base in ("binary", "decimal")
        )
        return 0.5 * 2.0**binary * 10.0**-decimal
    finally:
        eccodes.codes_release(handle)
