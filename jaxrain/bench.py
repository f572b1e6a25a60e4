"""`python -m jaxrain.bench`: speed beside the PyTorch reference, in one run on one machine.

Each system and mode has a process of its own for a network, all with the same environment. The
processes live side by side but only one computes at any moment: they take turns, one repetition
each, so that whatever else slows the machine slows them alike. A share of peak is nominal
operations a second over the fastest matrix product measured in the same run.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxrain.command import run_command
from jaxrain.errors import InputError

# Fields of UNetConfig, then the sizes of what it is given.
NETWORKS: dict[str, dict[str, Any]] = {
    "small": {
        "model": {
            "inner_channel": 32,
            "channel_mults": [1, 2, 4],
            "res_blocks": 2,
            "norm_groups": 32,
            "attn_res": [],
        },
        "in_channels": 5,
        "image_size": 64,
        "batch": 8,
    },
    "source": {
        "model": {
            "inner_channel": 64,
            "channel_mults": [1, 2, 4, 8],
            "res_blocks": 2,
            "norm_groups": 32,
            "attn_res": [16],
        },
        "in_channels": 5,
        "image_size": 128,
        "batch": 2,
    },
    "tiny": {
        "model": {
            "inner_channel": 8,
            "channel_mults": [1, 2],
            "res_blocks": 1,
            "norm_groups": 4,
            "attn_res": [],
        },
        "in_channels": 5,
        "image_size": 16,
        "batch": 1,
    },
}
# Passes in units of a forward one: the backward pass has two products for each of its. In order
# of memory, because a process keeps what an earlier task took.
TASKS = {"forward": 1, "sampling_step": 1, "train_step": 3}
GEMM_SIZE = 2048
# (system, mode) and the module that serves it.
SYSTEMS = {
    ("jaxrain", "jit"): "jaxrain.bench_worker",
    ("torch", "eager_nchw"): "model.bench_worker",
    ("torch", "channels_last"): "model.bench_worker",
}
SECONDS_A_REPETITION = 0.2  # fast steps are repeated within one repetition until it takes this

Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain bench",
        description="Times forward pass, train step and sampling step beside PyTorch's.",
    )
    parser.add_argument("--quick", action="store_true", help="the small network alone")
    parser.add_argument("--json", default="bench.json", metavar="FILE", help="what was measured")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="(default: 7)")
    parser.add_argument("--network", choices=NETWORKS, help=argparse.SUPPRESS)
    return run_command(_bench, parser, argv)


def _bench(arguments: argparse.Namespace) -> None:
    path = Path(arguments.json)
    if arguments.repeats < 1:
        raise InputError(f"--repeats {arguments.repeats}: expected at least 1; 7 is the default")
    if not path.parent.is_dir():
        raise InputError(f"--json {path}: its folder does not exist; make it or choose another")
    systems, note = _present_systems()
    networks = [arguments.network] if arguments.network else ["small"]
    if not (arguments.quick or arguments.network):
        networks.append("source")

    from jaxrain.diffusion.operations import forward_operations
    from jaxrain.diffusion.unet import UNetConfig

    rows: list[Row] = []
    gemm = ("gemm", str(GEMM_SIZE), {"size": GEMM_SIZE}, 2 * GEMM_SIZE**3)
    for name in networks:
        sizes = {key: value for key, value in NETWORKS[name].items() if key != "model"}
        once = forward_operations(UNetConfig(**NETWORKS[name]["model"]), **sizes)
        jobs = [(task, name, NETWORKS[name], times * once) for task, times in TASKS.items()]
        with contextlib.ExitStack() as stack:
            workers = [stack.enter_context(_worker(*key)) for key in systems]
            for task, network, job, operations in jobs if rows else [gemm, *jobs]:
                print(f"{task} {network} ...", file=sys.stderr, flush=True)
                measured = _measure(workers, {**job, "task": task}, arguments.repeats)
                rows += [
                    summary(task, network, key, operations, *of_worker)
                    for key, of_worker in zip(systems, measured, strict=True)
                ]
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(rows, indent=1) + "\n")
    partial.replace(path)
    print(table(rows))
    if note:
        print(note)


def _present_systems() -> tuple[list[tuple[str, str]], str | None]:
    """Those that can run here, and a line about those that cannot."""
    missing = [name for name in ("torch", "model") if importlib.util.find_spec(name) is None]
    if not missing:
        return list(SYSTEMS), None
    without = [key for key in SYSTEMS if key[0] != "torch"]
    return without, f"no PyTorch rows: {' and '.join(missing)} cannot be imported here"


def summary(
    task: str,
    network: str,
    key: tuple[str, str],
    operations: int,
    seconds: Sequence[float],
    peak_memory_mib: float | None,
) -> Row:
    """A row of bench.json: the median with its quartiles, and operations over it in GFLOP/s."""
    low, median, high = (
        statistics.quantiles(seconds, n=4, method="inclusive")
        if len(seconds) > 1
        else [seconds[0]] * 3
    )
    return {
        "task": task,
        "network": network,
        "system": key[0],
        "mode": key[1],
        "seconds": median,
        "low": low,
        "high": high,
        "gflops": operations / median / 1e9,
        "peak_memory_mib": peak_memory_mib,
    }


def ratio(rows: Sequence[Row], row: Row) -> float | None:
    """How many times faster a row is than PyTorch's best mode at the same; None without PyTorch."""
    torch = [
        other["seconds"]
        for other in rows
        if other["system"] == "torch"
        and (other["task"], other["network"]) == (row["task"], row["network"])
    ]
    return min(torch) / row["seconds"] if torch else None


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, with the share of peak and the ratio to PyTorch's best mode."""
    peak = max(row["gflops"] for row in rows if row["task"] == "gemm")
    lines = [
        "| task | network | system | seconds (quartiles) | of peak | x best PyTorch | MiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        times = ratio(rows, row) if row["system"] == "jaxrain" else None
        memory = row["peak_memory_mib"]
        cells = [
            row["task"],
            row["network"],
            f"{row['system']} {row['mode']}",
            f"{row['seconds']:.4g} ({row['low']:.4g} to {row['high']:.4g})",
            f"{row['gflops'] / peak:.0%}",
            "" if times is None else f"{times:.2f}",
            "" if memory is None else f"{memory:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, f"\nGEMM peak: {peak:.0f} GFLOP/s (float32)"])


def _measure(
    workers: Sequence["_Worker"], job: Row, repeats: int
) -> list[tuple[list[float], float | None]]:
    """For each worker the seconds of a step, one per repetition, and the peak of memory in MiB."""
    counts = []
    # One after the other, so that no compilation disturbs another's choice of step count.
    for worker in workers:
        worker.start(job)
        worker.run(1)  # compiles
        once, _ = worker.run(1)
        counts.append(max(1, round(SECONDS_A_REPETITION / once)))
        worker.forget_peak()
    turns = [
        [worker.run(count) for worker, count in zip(workers, counts, strict=True)]
        for _ in range(repeats)
    ]
    return [
        ([seconds for seconds, _ in runs], runs[-1][1] or worker.peak_memory_mib())
        for worker, runs in zip(workers, zip(*turns, strict=True), strict=True)
    ]


@dataclass
class _Worker:
    """A process that does one job after another.

    Attributes:
      process: its standard input and output are pipes.
      errors: file that takes its standard error.
      system: of SYSTEMS.
      mode: likewise.
    """

    process: subprocess.Popen[str]
    errors: Any
    system: str
    mode: str

    def start(self, job: Row) -> None:
        """Gives it its next job."""
        self._send({**job, "mode": self.mode})

    def run(self, steps: int) -> tuple[float, float | None]:
        """Seconds of one step, and the device's peak memory in MiB where it counts that."""
        self._send(steps)
        assert self.process.stdout
        answer = self.process.stdout.readline()
        if not answer:
            self.errors.seek(0)
            raise RuntimeError(
                f"the worker of {self.system} {self.mode} ended early:\n{self.errors.read()}"
            )
        seconds, peak = json.loads(answer)
        return seconds / steps, peak

    def _send(self, request: Row | int) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # the answer that misses says it better
            print(json.dumps(request), file=self.process.stdin, flush=True)

    def forget_peak(self) -> None:
        """Starts the process's peak anew, so that compilation does not count. Linux only."""
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_memory_mib(self) -> float | None:
        """Most resident memory since then; None where /proc does not tell."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        return None


@contextlib.contextmanager
def _worker(system: str, mode: str) -> Iterator[_Worker]:
    """Starts a worker, and ends it."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", SYSTEMS[system, mode]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(),
        )
        try:
            yield _Worker(process, errors, system, mode)
        finally:
            process.kill()
            process.communicate()


def _environment() -> dict[str, str]:
    """One for all workers: as many threads as processors, and large pages that malloc keeps."""
    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    keep = 2**32  # bytes
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(processors),
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"
        f":glibc.malloc.mmap_threshold={keep}:glibc.malloc.trim_threshold={keep}",
    }


if __name__ == "__main__":
    raise SystemExit(main())
