import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxrain.training.stopping import Stopped, listen

# Stands in one wait, as a step of many minutes would; or polls, as the loop does.
PROCESS = """
import sys, time
from jaxrain.training import stopping
stopping.GRACE_SECONDS = float(sys.argv[2])
with stopping.listen() as stop:
    print("listening", flush=True)
    for _ in range(600):
        time.sleep(0.05)
        if stop.asked and sys.argv[1] == "polls":
            sys.exit(stop.status)
"""


def ends(way, *signals, grace=60.0):
    command = [sys.executable, "-c", PROCESS, way, str(grace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"listening\n"
        for number in signals:
            os.kill(process.pid, number)
            time.sleep(0.2)  # two of a kind that wait are one
        began = time.monotonic()
        status = process.wait(timeout=30)
        return status, time.monotonic() - began, process.stderr.read()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)]
)
def test_the_status_says_who_asked(number, status):
    assert ends("polls", number)[0] == status


def test_a_second_interrupt_ends_it_at_once():
    status, seconds, said = ends("never", signal.SIGINT, signal.SIGINT)
    assert (status, said.count(b"interrupted twice")) == (130, 1)
    assert seconds < 5


def test_when_the_grace_is_over_it_ends_whatever_it_does():
    status, seconds, said = ends("never", signal.SIGTERM, grace=0.5)
    assert (status, b"ending without a save" in said) == (75, True)
    assert seconds < 10


def test_a_wait_is_torn_away_and_nothing_else():
    with listen() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        while stop.asked is None:
            time.sleep(0.01)
        with pytest.raises(Stopped), stop.interruptible():
            pass
    with listen() as stop:
        assert stop.asked is None
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(Stopped), stop.interruptible():
            time.sleep(10)
        assert stop.asked == signal.SIGUSR1


def test_handlers_are_as_they_were_afterwards():
    before = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    with listen():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)) == before
