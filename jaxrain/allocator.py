"""What glibc's malloc does with memory that XLA frees: by default it goes back to the system.

A compiled step takes its buffers anew each time it runs, hundreds of MiB. Returned and asked for
again, they come page by page, zeroed; PERFORMANCE.md says what that costs.
"""

import ctypes
import platform

# malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> None:
    """Has malloc keep what is freed for the next step; call it before other threads are there.

    One arena for all threads, for only the first can hold more than 64 MiB, and it grows by the
    heap alone, which shrinks where 2 GiB lie free at its end. Elsewhere than with glibc it does
    nothing.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    malloc = ctypes.CDLL(None)
    for name, value in (
        (_M_ARENA_MAX, 1),
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, 2**31 - 1),
        (_M_TOP_PAD, 2**26),
    ):
        malloc.mallopt(name, value)
