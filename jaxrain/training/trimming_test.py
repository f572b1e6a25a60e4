import subprocess
import sys

import pytest

KEEPS = """
import ctypes
from jaxrain.training.trimming import give_back_freed

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

# 100 MiB of pieces too small for pages of their own; the last one stays, so that none of the others
# lies at the heap's end, which malloc gives back by itself.
pieces = [libc.malloc(20_000) for _ in range(5200)]
for piece in pieces:
    ctypes.memset(piece, 1, 20_000)
for piece in pieces[:-1]:
    libc.free(piece)
before = resident()
give_back_freed()
assert ctypes.string_at(pieces[-1], 20_000) == b"\\1" * 20_000
print(before - resident())
"""


@pytest.mark.skipif(not hasattr(__import__("ctypes").CDLL(None), "malloc_trim"), reason="no glibc")
def test_what_was_freed_goes_back_and_what_is_in_use_stays():
    ran = subprocess.run(
        [sys.executable, "-c", KEEPS], check=True, timeout=60, capture_output=True, text=True
    )
    assert 90 < float(ran.stdout) < 110
