import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys

import pytest

from jaxrain.errors import InputError
from jaxrain.lock import hold

WORK = ("it is being trained", "wait for it")
HOLDER = """
import sys, time
from pathlib import Path
from jaxrain.lock import hold
with hold(Path(sys.argv[1]), 'it is being trained', 'wait'):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_told_who_holds_it_until_that_one_dies(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(
            InputError, match=f"^it is being trained by process {holder.pid} on .*; wait"
        ):
            hold(tmp_path / "run", *WORK).__enter__()
        os.kill(holder.pid, signal.SIGKILL)
    with hold(tmp_path / "run", *WORK):  # what the dead one left behind is in nobody's way
        assert f"process {os.getpid()} on " in (tmp_path / "run" / ".lock").read_text()


def test_it_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), hold(tmp_path, *WORK):
        _ = 1 / 0
    with hold(tmp_path, *WORK):
        pass


def test_a_folder_that_its_holder_took_away_is_made_again_for_the_next(tmp_path, monkeypatch):
    folder, gone = tmp_path / "work", tmp_path / "gone"
    lock = fcntl.flock
    with hold(folder, *WORK):
        folder.rename(gone)
        with hold(folder, *WORK), pytest.raises(InputError):
            hold(folder, *WORK).__enter__()
        shutil.rmtree(folder)

    def take_it_away_first(*arguments):
        lock(*arguments)
        monkeypatch.undo()
        shutil.rmtree(folder)

    monkeypatch.setattr(fcntl, "flock", take_it_away_first)
    with hold(folder, *WORK), pytest.raises(InputError):
        hold(folder, *WORK).__enter__()


def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, capsys):
    def unknown(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with hold(tmp_path, *WORK):
        assert "file system without locks" in capsys.readouterr().err
