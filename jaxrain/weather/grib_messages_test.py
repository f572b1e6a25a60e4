import tracemalloc

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.grib import decode, read_headers
from jaxrain.weather.grib_messages import each_message, messages
from jaxrain.weather.made_grib_test import joined, message

_FIELDS = [np.arange(12.0).reshape(3, 4) + 100 * k for k in range(3)]


def _file(tmp_path, content):
    path = tmp_path / "a.grib"
    path.write_bytes(content)
    return path


def test_whole_file_comes_in_pieces_that_make_it(tmp_path):
    parts = [message(field, edition=1 + k % 2) for k, field in enumerate(_FIELDS)]
    path = _file(tmp_path, b"".join(parts) + bytes(40))
    assert messages(path) == [(1, parts[0]), (2, parts[1]), (3, parts[2])]


@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize("cut", [1, 3, 4, 20, 100])
def test_file_cut_anywhere_in_its_last_message_is_refused_by_number(tmp_path, edition, cut):
    parts = [message(field, edition=edition) for field in _FIELDS[:2]]
    with pytest.raises(InputError, match=rf"message 2 is cut off: {cut} bytes are missing"):
        messages(_file(tmp_path, b"".join(parts)[:-cut]))


def test_cut_in_the_first_bytes_is_refused(tmp_path):
    part = message(_FIELDS[0])
    for kept in range(1, 16):
        with pytest.raises(InputError):
            messages(_file(tmp_path, part + part[:kept]))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"not grib at all", "is not a GRIB file"),
        (message(_FIELDS[0]) + b"<html>", "has other bytes after message 1"),
        (message(_FIELDS[0])[:-4] + b"0000", "message 1 does not end in '7777'"),
        (b"GRIB" + bytes(3) + b"\x07" + bytes(100), "edition 7, expected 1 or 2"),
    ],
)
def test_other_bytes_are_refused(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        messages(_file(tmp_path, content))


@pytest.mark.parametrize("shared", [3, 4])
def test_second_field_of_a_message_is_not_hidden(tmp_path, shared):
    u = message(_FIELDS[0], kind="pl", level=500, shortName="u")
    v = message(_FIELDS[1], kind="pl", level=500, shortName="v")
    path = _file(tmp_path, joined(u, v, shared=shared))
    headers = read_headers(path)
    assert [(each.number, each.name) for each in headers] == [(1, "u"), (1, "v")]
    for header, field in zip(headers, _FIELDS, strict=False):
        np.testing.assert_allclose(decode(path, header), field, atol=1e-4)


def test_bitmap_of_the_field_before_is_used_again(tmp_path):
    field = _FIELDS[0].copy()
    field[1, 2] = 9999.0
    u = message(field, kind="pl", shortName="u", bitmapPresent=1, missingValue=9999)
    again = field + np.where(field == 9999.0, 0.0, 5.0)
    v = bytearray(message(again, kind="pl", shortName="v", bitmapPresent=1, missingValue=9999))
    place = v.index(b"\x06\x00", 100)
    length = int.from_bytes(v[place - 4 : place], "big")
    assert length == 6 + 2
    v[place - 4 : place - 4 + length] = b"\x00\x00\x00\x06\x06\xfe"
    v[8:16] = len(v).to_bytes(8, "big")
    path = _file(tmp_path, joined(u, bytes(v), shared=4))
    second = decode(path, read_headers(path)[1])
    assert np.isnan(second[1, 2])
    np.testing.assert_allclose(np.delete(second, 6), np.delete(again, 6), atol=1e-4)


def test_damaged_section_is_refused(tmp_path):
    content = bytearray(message(_FIELDS[0]))
    content[16:20] = (1 << 20).to_bytes(4, "big")
    with pytest.raises(InputError, match="message 1 has a section of 1048576 bytes"):
        messages(_file(tmp_path, bytes(content)))


def test_bitmap_section_without_its_bitmap_is_refused(tmp_path):
    content = bytearray(message(_FIELDS[0]))
    place = content.index(b"\x00\x00\x00\x06\x06\xff")
    del content[place + 5]
    content[place : place + 4] = (5).to_bytes(4, "big")
    content[8:16] = len(content).to_bytes(8, "big")
    with pytest.raises(InputError, match="message 1 has a section of 5 bytes, expected 6 or more"):
        messages(_file(tmp_path, bytes(content)))


def test_one_message_is_in_memory_at_a_time(tmp_path):
    one = message(np.random.default_rng(0).random((300, 400)))
    path = tmp_path / "many.grib"
    path.write_bytes(one * 10)
    tracemalloc.start()
    try:
        count = sum(1 for _ in each_message(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 10
    assert peak < 4 * len(one)
