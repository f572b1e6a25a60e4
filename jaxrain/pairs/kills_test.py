"""Kill -9 at random times: the next run goes on, and the store is that of a run left alone."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from jaxrain.pairs.conftest import contents
from jaxrain.weather.demo import write_demo

SEED = 0
KILLS = 10  # of each number of workers


@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weather")
    write_demo(folder, size=48, train_days=3, validation_days=1, test_days=1)
    return folder


def _command(weather, store, workers):
    words = [f"data.root={weather}", f"data.store={store}", f"prepare.workers={workers}"]
    words += ["data.demo=false", "data.splits.train=['2022-06-01/2022-06-03']"]
    words += ["data.splits.validation=['2022-06-05']", "data.splits.test=['2022-06-07']"]
    return [sys.executable, "-m", "jaxrain.prepare", "--config", "demo", *words]


def _start(command):
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)


def _whole_files(store):
    """What is finished: by path the inode and time of writing."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in store.rglob("*")
        if (path.suffix == ".nc" and not path.name.startswith("."))
        or path.name.startswith("coarse_2")
    }


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_killed_again_and_again_ends_with_the_same_store(weather, tmp_path, workers):
    rng = random.Random(f"{SEED} {workers}")
    alone = tmp_path / "alone"
    subprocess.run(_command(weather, alone, 0), check=True, stdout=subprocess.DEVNULL)
    expected = contents(alone)
    kills = 0
    lives = 0
    killed_at = set()  # how much was finished
    while kills < KILLS:
        store = tmp_path / f"store{lives}"
        lives += 1
        while kills < KILLS:
            before = _whole_files(store) if store.exists() else {}
            begun = time.monotonic()
            process = _start(_command(weather, store, workers))
            # Half of the time the command alone: its workers live a moment longer.
            end = os.killpg if rng.random() < 0.5 else os.kill
            # From its first new file on, for what comes before is the interpreter's start.
            more = rng.randrange(1, 60)
            while process.poll() is None and time.monotonic() - begun < 120:
                now = _whole_files(store) if store.exists() else {}
                if len(now) >= len(before) + more:
                    break
                time.sleep(rng.random() * 0.01)
            time.sleep(rng.random() * 0.05)
            if process.poll() is None:
                end(process.pid, signal.SIGKILL)
                kills += 1
            ended = process.wait()
            now = _whole_files(store)
            assert {path: now.get(path) for path in before} == before, "made again"
            killed_at.add(len(now))
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
        subprocess.run(_command(weather, store, workers), check=True, stdout=subprocess.DEVNULL)
        assert contents(store) == expected
    assert len(killed_at) > KILLS // 2
