import logging
import os
import signal
import time

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.era5 import read_coarse
from jaxrain.weather.guard import guarded
from jaxrain.weather.made_grib_test import pressure_message


def _process(path):
    return os.getpid()


def _abort(path):
    signal.raise_signal(signal.SIGABRT)


def _circles(path):
    signal.setitimer(signal.ITIMER_PROF, 0.05)  # in place of the seconds that a file may take
    while True:
        pass


def _fails(path):
    raise LookupError("a mistake of ours")


def _greedy(path):
    raise MemoryError


def _says(path):
    logging.getLogger("jaxrain.weather").warning("%s: told", path)


def test_file_is_read_as_without_a_guard(tmp_path):
    path = tmp_path / "a.grib"
    path.write_bytes(pressure_message("t", 850, np.random.default_rng(0).normal(280, 5, (9, 9))))
    keys = {"variables": ["t"], "levels": [850]}
    assert guarded(read_coarse, path, **keys).identical(read_coarse(path, **keys))
    with pytest.raises(InputError, match=r"a\.grib: lacks u; it holds t on 850 hPa"):
        guarded(read_coarse, path, variables=["u"], levels=[850])


def test_one_process_reads_on_and_one_that_died_is_replaced(tmp_path):
    first = guarded(_process, tmp_path)
    assert first == guarded(_process, tmp_path) != os.getpid()
    with pytest.raises(InputError, match=r"it broke down \(exit status -6\)"):
        guarded(_abort, tmp_path)
    assert guarded(_process, tmp_path) not in (first, os.getpid())


def test_reader_that_runs_in_circles_is_ended(tmp_path):
    began = time.monotonic()
    with pytest.raises(InputError, match="the library that decodes it does not come to an end"):
        guarded(_circles, tmp_path)
    assert time.monotonic() - began < 60


def test_what_a_reader_says_and_raises_comes_through(tmp_path, caplog):
    guarded(_says, tmp_path)
    assert f"{tmp_path}: told" in caplog.text
    with pytest.raises(LookupError, match="a mistake of ours"):
        guarded(_fails, tmp_path)
    with pytest.raises(InputError, match="asks for more memory than there is"):
        guarded(_greedy, tmp_path)


def test_reader_that_the_process_cannot_import_is_our_mistake(tmp_path):
    with pytest.raises(AttributeError, match="_absent"):
        guarded(_Named("_absent"), tmp_path)


class _Named:
    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return getattr, (guarded, self.name)
