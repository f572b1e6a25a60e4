import eccodes
import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.grib import decode, read_headers, step_range
from jaxrain.weather.made_grib_test import message


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("0", (None, 0)),
        ("7", (None, 7)),
        ("6-7", (6, 7)),
        ("30m", (None, 0.5)),
        ("0m-60m", (0, 1)),
        ("0-60m", (0, 1)),
        ("1D-2D", (24, 48)),
        ("-28587-6477", (-28587, 6477)),
    ],
)
def test_step_ranges_are_hours(text, hours):
    assert step_range(text) == hours


def test_real_fields_agree_with_ecCodes_point_by_point(shared_data):
    for name in (
        "hostile/ineg_jneg.grib2",
        "hostile/ipos_jpos.grib2",
        "hostile/scanning_mode_64.grib",
        "hostile/fields_with_missing_values.grib",
        "packing/aifs-single-t500.grib2",
    ):
        path = shared_data / "grib" / name
        header = read_headers(path)[0]
        values = decode(path, header)
        assert values.shape == (len(header.latitude), len(header.longitude))
        handle = eccodes.codes_new_from_message(header.message)
        rng = np.random.default_rng(0)
        for row, column in zip(
            rng.integers(0, values.shape[0], 8), rng.integers(0, values.shape[1], 8), strict=True
        ):
            latitude, longitude = header.latitude[row], header.longitude[column]
            near = eccodes.codes_grib_find_nearest(handle, latitude, longitude)[0]
            if abs(latitude) < 89.9:  # at a pole any longitude is as near
                assert near.distance < 0.1, name
                if np.isnan(values[row, column]):
                    assert near.value == eccodes.codes_get(handle, "missingValue")
                else:
                    assert near.value == values[row, column], name
        eccodes.codes_release(handle)


def test_alternating_rows_of_a_real_field_fit_together(shared_data):
    # ecCodes' own nearest point ignores the alternation, so the field's smoothness is the judge.
    path = shared_data / "grib" / "hostile" / "alternate-scanning.grib"
    values = decode(path, read_headers(path)[0])
    between_rows, along_rows = (np.abs(np.diff(values, axis=axis)).mean() for axis in (0, 1))
    assert between_rows < 2 * along_rows


def test_bitmap_is_nan_and_nothing_else(tmp_path):
    field = np.arange(20.0).reshape(4, 5)
    field[2, 3] = 9999.0
    path = tmp_path / "a.grib"
    path.write_bytes(message(field, edition=1, bitmapPresent=1, missingValue=9999))
    values = decode(path, read_headers(path)[0])
    np.testing.assert_array_equal(np.isnan(values), field == 9999.0)


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("reduced_gg.grib", "reduced_gg"),
        ("rotated_wind_20x20.grib", "rotated_ll"),
        ("spherical_harmonics.grib", "sh"),
    ],
)
def test_other_grids_are_refused_by_name(shared_data, name, grid):
    with pytest.raises(InputError, match=rf"{name}: message 1 .* on a '{grid}' grid"):
        read_headers(shared_data / "grib" / "hostile" / name)


def test_damaged_message_is_one_line(tmp_path):
    content = bytearray(message(np.ones((3, 4)), edition=1))
    content[8:11] = (3).to_bytes(3, "big")  # section 1 claims to be three bytes long
    path = tmp_path / "a.grib"
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="message 1"):
        read_headers(path)


def test_headers_that_make_no_sense_are_one_line(tmp_path):
    whole = message(np.ones((3, 4)), edition=1)
    for place, byte in ((8 + 13, 13), (8 + 15, 200)):  # month, hour
        content = bytearray(whole)
        content[place] = byte
        path = tmp_path / "a.grib"
        path.write_bytes(bytes(content))
        with pytest.raises(InputError, match="message 1 cannot be read"):
            decode(path, read_headers(path)[0])
