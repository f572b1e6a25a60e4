from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from jaxrain.errors import InputError
from jaxrain.weather.region import crop, unbroken, upright


def _dataset(latitude, longitude):
    """A field that says where it is: 1000 latitude + longitude in 0..360."""
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    field = 1000.0 * latitude[:, None] + longitude[None, :] % 360.0
    return xr.Dataset(
        {"f": (("latitude", "longitude"), field)},
        coords={"latitude": latitude, "longitude": longitude},
    )


def _assert_in_place(dataset):
    expected = 1000.0 * dataset.latitude.values[:, None] + dataset.longitude.values[None, :] % 360.0
    np.testing.assert_array_equal(dataset.f.values, expected)


def _box(south, north, west, east):
    return SimpleNamespace(north=north, south=south, west=west, east=east)


@pytest.mark.parametrize(
    ("file", "west"),
    [
        (np.arange(0, 360, 0.25), 0.0),
        ((180 + np.arange(0, 360, 0.25)) % 360, -180.0),
        (np.arange(-180, 180, 0.25), -180.0),
        ((np.arange(350, 370)) % 360, -10.0),
        (np.arange(-100, -75, 0.25), -100.0),
        (np.arange(170, 190), 170.0),
    ],
)
def test_longitudes_lose_their_jump_and_start_in_the_west(file, west):
    longitude = unbroken(file)
    assert longitude[0] == west
    assert np.all(np.diff(longitude) > 0)
    np.testing.assert_array_equal(longitude % 360, file % 360)


def test_upright_turns_both_axes_with_the_field():
    turned = upright(_dataset([10, 11, 12], [20, 10, 0, 350]), "file")
    np.testing.assert_array_equal(turned.latitude, [12, 11, 10])
    np.testing.assert_array_equal(turned.longitude, [-10, 0, 10, 20])
    _assert_in_place(turned)


def test_folded_axis_is_refused():
    with pytest.raises(InputError, match="a file: latitude is not monotonic"):
        upright(_dataset([10, 12, 11], [0, 1]), "a file")


@given(
    west=st.integers(-180, 359), width=st.integers(2, 200), start=st.sampled_from([-180, 0, 180])
)
def test_crop_of_the_globe_holds_the_box_wherever_its_seam(west, width, start):
    globe = upright(_dataset([2, 1, 0], start + np.arange(360)), "globe")
    cropped = crop(globe, _box(0, 1, west, west + width), "globe")
    np.testing.assert_array_equal(cropped.longitude % 360, (west + np.arange(width + 1)) % 360)
    np.testing.assert_array_equal(np.diff(cropped.longitude), 1.0)
    np.testing.assert_array_equal(cropped.latitude, [1, 0])
    _assert_in_place(cropped)


def test_crop_keeps_a_margin_where_there_is_one():
    field = upright(_dataset([3, 2, 1, 0], np.arange(100, 105)), "file")
    cropped = crop(field, _box(1.2, 2.9, 100.4, 102.0), "file", margin=1)
    np.testing.assert_array_equal(cropped.latitude, [3, 2, 1])
    np.testing.assert_array_equal(cropped.longitude, [100, 101, 102, 103])


def test_box_elsewhere_is_refused_with_what_the_file_covers():
    field = upright(_dataset([3, 2], [100, 101]), "file")
    with pytest.raises(InputError, match=r"no point lies in the region.*2 to 3 N, 100 to 101 E"):
        crop(field, _box(10, 12, 100, 101), "file")
    assert crop(field, None, "file") is field
