import eccodes
import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather import grib
from jaxrain.weather.grib import decode, read_headers
from jaxrain.weather.made_grib_test import message
from jaxrain.weather.simple_packing import packed

_FIELD = np.random.default_rng(0).normal(-3, 40, (5, 7))


def _by_eccodes(content):
    handle = eccodes.codes_new_from_message(content)
    try:
        return eccodes.codes_get_values(handle)
    finally:
        eccodes.codes_release(handle)


def _section(content, number):
    """Where a section of GRIB2 begins."""
    place = 16
    while content[place + 4] != number:
        place += int.from_bytes(content[place : place + 4], "big")
    return place


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("decimal", [-2, 0, 3])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_fields_are_unpacked_as_eccodes_does_to_the_bit(bits, decimal, scale):
    for edition in (1, 2) if decimal == 0 else (1,):
        keys = {"edition": edition, "decimalScaleFactor": decimal, "bitsPerValue": bits}
        content = message(_FIELD * scale, **keys)
        found = packed(content, _FIELD.size)
        assert found.form[:2] == (edition, bits)
        np.testing.assert_array_equal(found.values(), _by_eccodes(content))


@pytest.mark.parametrize(("decimal", "most"), [(3, 64.0), (1, 6550.0), (-2, 6.55e6)])
def test_decimal_scales_of_the_second_edition(decimal, most):
    # There they set the bits: 16 for so many steps.
    content = message(np.linspace(-1, most, 35).reshape(5, 7), decimalScaleFactor=decimal)
    found = packed(content, 35)
    assert (found.form[1], found.form[3]) == (16, decimal)
    np.testing.assert_array_equal(found.values(), _by_eccodes(content))


@pytest.mark.parametrize(
    "keys",
    [
        {"bitsPerValue": 12},
        {"bitsPerValue": 16, "bitmapPresent": 1},
        {"bitsPerValue": 16, "bitmapPresent": 1, "edition": 1},
        {"bitsPerValue": 16, "packingType": "grid_ccsds"},
        {"bitsPerValue": 16, "jPointsAreConsecutive": 1},
        {"bitsPerValue": 16, "jPointsAreConsecutive": 1, "edition": 1},
        {"bitsPerValue": 16, "alternativeRowScanning": 1},
    ],
)
def test_other_fields_are_left_to_eccodes(keys):
    assert packed(message(_FIELD, **keys), _FIELD.size) is None


def test_a_length_that_does_not_fit_the_grid_is_left_to_eccodes():
    content = message(_FIELD, bitsPerValue=16)
    assert packed(content, _FIELD.size + 1) is None
    assert packed(content[:-9] + b"7777", _FIELD.size) is None


def test_a_section_that_is_too_short_is_left_to_eccodes():
    content = message(_FIELD, bitsPerValue=16)
    place = _section(content, 5)
    length = int.from_bytes(content[place : place + 4], "big")
    for left in (9, 12, 14, 18):
        short = left.to_bytes(4, "big") + content[place + 4 : place + left]
        assert packed(content[:place] + short + content[place + length :], _FIELD.size) is None


def test_real_fields_are_the_same_with_and_without_eccodes(shared_data):
    alike = 0
    for path in sorted((shared_data / "grib").rglob("*.gri*b*")):
        try:
            headers = read_headers(path)[:40]
            for header in headers:
                field = packed(header.message, len(header.latitude) * len(header.longitude))
                if field is not None:
                    asked = grib._with_handle(path, header.number, header.message, grib._values)
                    np.testing.assert_array_equal(field.values(), asked.ravel(), str(path))
                    alike += 1
        except InputError:
            continue
    assert alike > 100


def test_one_form_is_trusted_after_eccodes_agreed_and_absurd_values_are_refused(tmp_path):
    grib._agreed.clear()
    path = tmp_path / "a.grib"
    content = bytearray(message(_FIELD, bitsPerValue=16))
    path.write_bytes(bytes(content))
    first = decode(path, read_headers(path)[0])
    assert len(grib._agreed) == 1
    np.testing.assert_array_equal(decode(path, read_headers(path)[0]), first)
    place = _section(content, 5)
    content[place + 11 : place + 15] = np.array(3e38, ">f4").tobytes()
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="message 1 cannot be read: values up to 3e"):
        decode(path, read_headers(path)[0])
