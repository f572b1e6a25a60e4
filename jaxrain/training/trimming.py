"""Memory that was freed goes back to the system: XLA's compiler leaves about 1 GiB of it behind."""

import ctypes
import sys


def give_back_freed() -> None:
    """Has malloc return the pages it keeps for later; does nothing where it is not glibc's.

    For moments after a compilation, when much was freed that will not be asked for again. What is
    in use stays where it is.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
