import platform
import subprocess
import sys

import pytest

# What a step does: takes 256 MiB, writes them, gives them back; prints the page faults of ten.
PROGRAM = """
import ctypes, resource, threading
{first}
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def step():
    place = libc.malloc(ctypes.c_size_t(2**28))
    ctypes.memset(place, 1, 2**28)
    libc.free(place)

def steps():
    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=steps)  # XLA's are no main thread either
thread.start()
thread.join()
"""


def faults(first):
    command = [sys.executable, "-c", PROGRAM.format(first=first)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc than glibc's")
def test_memory_that_is_freed_is_there_for_the_next_step():
    kept = faults("from jaxrain.allocator import keep_freed_memory; keep_freed_memory()")
    assert kept < 100 < faults("")
