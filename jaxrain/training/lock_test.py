import os
import signal
import subprocess
import sys

import pytest

from jaxrain.errors import InputError
from jaxrain.training.lock import hold

HOLDER = """
import sys, time
from pathlib import Path
from jaxrain.training.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_told_who_holds_it_until_that_one_dies(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"being trained by process {holder.pid} on "):
            hold(tmp_path / "run").__enter__()
        os.kill(holder.pid, signal.SIGKILL)
    with hold(tmp_path / "run"):  # what the dead one left behind is in nobody's way
        assert f"process {os.getpid()} on " in (tmp_path / "run" / ".lock").read_text()


def test_it_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), hold(tmp_path):
        _ = 1 / 0
    with hold(tmp_path):
        pass
