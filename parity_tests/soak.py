"""A long training of a tiny network, watched from outside: `python -m parity_tests.soak`.

It fails where memory grows by 2 % or more, where a step comes to take more processor time, or where
file handles are left, between the steps from STEPS / 5 on and the end. Checkpoints, validations and
lines of the log come as in any run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

TINY = [
    "data.patch=16",
    "data.splits.train=[2022-06-01/2022-06-02]",
    "model.inner_channel=4",
    "model.channel_mults=[1]",
    "model.res_blocks=1",
    "model.norm_groups=2",
    "model.patchify=1",
    "train.batch_size=4",
    "train.log_every=100",
    "train.checkpoint_every=1000",
    "train.validate_every=2000",
    "train.validation_cases=1",
    "train.validation_size=16",
    "train.validation_members=2",
    "train.validation_steps=3",
    "sample.tile=16",
    "sample.overlap=0",
]


class Look(NamedTuple):
    """At the process: steps done, anonymous memory in KiB, open files, processor seconds."""

    step: int
    memory: int
    files: int
    seconds: float


def main() -> int:
    """Trains, watches and judges; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [f"data.root={folder}/demo", f"data.store={folder}/store", *TINY]
        words += [f"train.run={folder}/run", f"train.steps={steps}"]
        command = [sys.executable, "-m", "jaxrain.train", "--config", "demo", *words]
        with (folder / "said").open("w") as said, subprocess.Popen(command, stdout=said) as process:
            looks = []
            while process.poll() is None:
                look = look_at(process.pid, folder / "run" / "metrics.jsonl")
                looks += [look] if look else []
                time.sleep(1)
        if process.returncode:
            print((folder / "said").read_text())
            return process.returncode
    return judge(looks, steps)


def look_at(pid: int, metrics: Path) -> Look | None:
    """None before the first line of the log, and where the process is gone."""
    here = Path("/proc") / str(pid)
    try:
        step = json.loads(metrics.read_text().splitlines()[-1])["step"]
        status = dict(line.split(":", 1) for line in (here / "status").read_text().splitlines())
        times = (here / "stat").read_text().rpartition(")")[2].split()
        files = len(list((here / "fd").iterdir()))
        memory = int(status["RssAnon"].split()[0])  # a process that has just ended has none
    except (OSError, KeyError, IndexError, ValueError):
        return None
    seconds = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    return Look(step, memory, files, seconds)


def judge(looks: list[Look], steps: int) -> int:
    """Compares the fifth of the steps after the first fifth with the last; prints the figures."""
    fifth = steps / 5
    early = [look for look in looks if fifth < look.step <= 2 * fifth]
    late = [look for look in looks if look.step > 4 * fifth]
    if len(early) < 5 or len(late) < 5:
        print(f"only {len(early)} and {len(late)} looks: give more --steps")
        return 1
    memory = [median(look.memory for look in part) / 1024 for part in (early, late)]
    # The lowest count is the one without a checkpoint on its way.
    files = [min(look.files for look in part) for part in (early, late)]
    cost = [
        1e3 * (part[-1].seconds - part[0].seconds) / (part[-1].step - part[0].step)
        for part in (early, late)
    ]
    growth, slowing = memory[1] / memory[0] - 1, cost[1] / cost[0] - 1
    print(f"{steps} steps, the second fifth against the last:")
    print(f"memory {memory[0]:.1f} -> {memory[1]:.1f} MiB ({growth:+.2%}), allowed +2 %")
    print(
        f"processor time {cost[0]:.2f} -> {cost[1]:.2f} ms a step ({slowing:+.1%}), allowed +10 %"
    )
    print(f"open files {files[0]} -> {files[1]}, allowed none more")
    return int(growth >= 0.02 or slowing >= 0.10 or files[1] > files[0])


if __name__ == "__main__":
    sys.exit(main())
