"""The process that workers are forked from: it imports what they need, once and early.

Imports nothing of ours, so that the command can call it before it imports anything itself.
"""

import multiprocessing
from multiprocessing import forkserver

# xarray imports dask's arrays at the first variable, which takes a second; the pictures of the
# audit need the last.
_MODULES = [
    "jaxrain.pairs.build",
    "jaxrain.pairs.reading",
    "dask.array",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
]


def expect_work() -> None:
    """Has what workers need imported by the process that they are forked from, meanwhile.

    It need not be called; who knows early that there will be work saves the wait for it.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(_MODULES)
    forkserver.ensure_running()
