import errno
import io
import resource

import numpy as np
import pytest

from jaxrain.arrays import open_array, write_array
from jaxrain.errors import InputError


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(shape, dtype="<f4", version=1):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    width = 2 if version == 1 else 4
    text += " " * (-(len(text) + 9 + width) % 64) + "\n"
    size = len(text).to_bytes(width, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode()


def test_a_whole_file_is_its_array(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    (tmp_path / "a.npy").write_bytes(npy(array))
    np.testing.assert_array_equal(open_array(tmp_path / "a.npy"), array)


@pytest.mark.parametrize(
    "content",
    [
        header((10**15,)),
        header((2**62, 2**62)),
        header((-3, 4)),
        header((10**6, 10**6), version=2),
        b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little") + b"{",
        header((3,), dtype="|O"),
        header("()" * 3000),
        npy(np.arange(5))[:-3],
        npy(np.arange(5)) + b"more",
        b"PK\x03\x04" + bytes(40),
        b"",
    ],
)
def test_what_a_header_claims_takes_no_memory(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"a\.npy: .*; prepare it anew") as error:
        open_array(path, "prepare it anew")
    assert "\n" not in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_what_is_no_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        open_array(tmp_path / "none.npy")
    with pytest.raises(InputError, match="directory"):
        open_array(tmp_path)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.arange(12.0)[::2],
        np.float64(3),
        np.zeros((0, 4), np.int16),
        np.arange("2020-01-01", "2020-01-09", dtype="datetime64[h]"),
    ],
    ids=["in C's order", "in Fortran's", "with gaps", "a number", "empty", "times"],
)
def test_what_is_written_is_what_numpy_writes(array):
    ours, theirs = io.BytesIO(), io.BytesIO()
    write_array(ours, array)
    np.save(theirs, array)
    assert ours.getvalue() == theirs.getvalue()


LARGE = np.zeros((200, 200), np.float32)  # more than Python keeps back before it writes


def test_a_full_disk_says_so_however_large_the_array(small_disk):
    path = small_disk("100k") / "a.npy"
    with path.open("wb") as file, pytest.raises(OSError, match="space") as refused:
        write_array(file, LARGE)
    assert refused.value.errno == errno.ENOSPC


def test_a_limit_on_files_says_so(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with (tmp_path / "a.npy").open("wb") as file, pytest.raises(OSError, match="large") as told:
            write_array(file, LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told.value.errno == errno.EFBIG
