"""`python -m jaxrain.bench`: speed beside the PyTorch reference, in one run on one machine.

Each system and mode has a process of its own for a network, all with the same environment. The
processes live side by side but only one computes at any moment: they take turns, one repetition
each, so that whatever else slows the machine slows them alike.
"""

import argparse
import contextlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxrain.command import run_command
from jaxrain.errors import InputError

if TYPE_CHECKING:
    from jaxrain.speed.rows import Row
    from jaxrain.speed.turns import Worker


@dataclass(frozen=True)
class System:
    """What is timed.

    Attributes:
      name: of the software.
      mode: how it runs.
      module: serves it, started with `python -m`.
      needs: modules that must be importable.
      quick: whether `--quick` has time for it.
      peaks: whether it measures the machine's peaks too.
      only: the tasks that it is timed at; none means all.
    """

    name: str
    mode: str
    module: str
    needs: tuple[str, ...] = ()
    quick: bool = True
    peaks: bool = True
    only: tuple[str, ...] = ()

    def does(self, task: str) -> bool:
        """Whether it is timed at a task."""
        return not self.only or task in self.only


_TORCH = ("torch", "model")
_OURS = "jaxrain.speed.jax_worker"
SYSTEMS = (
    System("jaxrain", "jit", _OURS),
    System("torch", "eager_nchw", "model.bench_worker", _TORCH),
    System("torch", "channels_last", "model.bench_worker", _TORCH),
    System("torch", "compile", "model.bench_worker", _TORCH, quick=False, peaks=False),
    System("torch", "cuda_graphs", "model.bench_worker", _TORCH, quick=False, peaks=False),
    System("jaxrain", "rematerialise", _OURS, quick=False, peaks=False, only=("train_step",)),
)
# What a user would pick otherwise; in a checkout alone.
OTHERS = tuple(
    System(name, mode, "benchmarks.other_networks", (*_TORCH, "benchmarks", package), False, False)
    for name, mode, package in (
        ("diffusers", "unet2d", "diffusers"),
        ("lucidrains", "unet", "denoising_diffusion_pytorch"),
        ("physicsnemo", "song_unet", "physicsnemo"),
    )
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain bench",
        description="Times forward pass, train step and sampling step beside PyTorch's, the "
        "loader, compilation and, with --run, a whole member.",
    )
    parser.add_argument("--quick", action="store_true", help="the small network alone")
    parser.add_argument("--run", metavar="RUN", help="a run whose members are timed too")
    parser.add_argument("--json", default="bench.json", metavar="FILE", help="what was measured")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="(default: 7)")
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="of the networks' arithmetic; PyTorch's by autocast (default: float32)",
    )
    parser.add_argument("--batch", type=int, metavar="N", help="instead of the networks' own")
    parser.add_argument(
        "--at-once",
        action="store_true",
        help="all of a network compile side by side before any is timed: for a GPU's many cores",
    )
    parser.add_argument("--network", help=argparse.SUPPRESS)
    return run_command(_bench, parser, argv)


def _bench(arguments: argparse.Namespace) -> None:
    path = Path(arguments.json)
    if arguments.repeats < 1:
        raise InputError(f"--repeats {arguments.repeats}: expected at least 1; 7 is the default")
    if arguments.batch is not None and arguments.batch < 1:
        raise InputError(f"--batch {arguments.batch}: expected at least 1; 8 and 2 are the default")
    if not path.parent.is_dir():
        raise InputError(f"--json {path}: its folder does not exist; make it or choose another")

    from jaxrain.speed.members import member_jobs
    from jaxrain.speed.networks import pass_jobs, peak_jobs
    from jaxrain.speed.rows import table
    from jaxrain.whole import whole_file

    of_run = member_jobs(arguments.run) if arguments.run else None
    systems, notes = present((*SYSTEMS, *OTHERS), arguments.quick)
    networks = [arguments.network or "small"]
    if not (arguments.quick or arguments.network):
        networks.append("source")

    precision, batch = arguments.precision, arguments.batch
    peaks = [{**job, "network": "-"} for job in peak_jobs(precision=precision)]
    rows = _rows([s for s in systems if s.peaks], peaks, arguments.repeats, notes)
    for name in networks:
        jobs = pass_jobs(name, precision, batch)
        rows += _rows(systems, jobs, arguments.repeats, notes, arguments.at_once)
        rows += _compilation(jobs[-1])
    rows += _loader(rows, pass_jobs(networks[0], precision, batch)[-1], arguments.repeats, notes)
    if of_run:
        rows += _rows(systems[:2], of_run.jobs, min(arguments.repeats, 3), notes)
        notes.append(of_run.says(rows))
    with whole_file(path) as partial:
        partial.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))
    for note in notes:
        print(note)


def present(systems: Sequence[System], quick: bool) -> tuple[list[System], list[str]]:
    """Those that can run here, and a line for each that cannot."""
    found, notes = [], []
    for system in systems:
        missing = [name for name in system.needs if importlib.util.find_spec(name) is None]
        if missing:
            names = " and ".join(missing)
            notes.append(f"no row of {system.name} {system.mode}: {names} cannot be imported here")
        elif system.quick or not quick:
            found.append(system)
    return found, notes


def _rows(
    systems: Sequence[System],
    jobs: "Sequence[Row]",
    repeats: int,
    notes: list[str],
    at_once: bool = False,
) -> "list[Row]":
    """Times jobs, one after the other, each by all systems in turns.

    With at_once each job of a system has a process of its own, and all compile before any is timed.
    """
    from jaxrain.speed.rows import summary
    from jaxrain.speed.turns import (
        WorkerEnded,
        begin,
        begin_together,
        open_worker,
        steps_a_repetition,
        take_turns,
    )

    rows = []
    with contextlib.ExitStack() as stack:
        environment: dict[str, str] = {}

        def crew(asked: Sequence[System]) -> "dict[System, Worker]":
            workers = [open_worker(s.module, s.mode, **environment) for s in asked]
            return dict(zip(asked, map(stack.enter_context, workers), strict=True))

        if at_once:
            # What is chosen while others share the device is not kept for quieter times.
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            environment["JAX_COMPILATION_CACHE_DIR"] = folder
            print("compilation of all ...", file=sys.stderr, flush=True)
            crews = [crew([s for s in systems if s.does(job["task"])]) for job in jobs]
            pairs = zip(jobs, crews, strict=True)
            begin_together([(worker, job) for job, each in pairs for worker in each.values()])
        else:
            crews = [crew(systems)] * len(jobs)  # the same processes for all
        for job, workers in zip(jobs, crews, strict=True):
            print(f"{job['task']} {job['network']} ...", file=sys.stderr, flush=True)
            counts = {}
            # One after the other, so that no compilation disturbs another's choice of step count.
            asked = {s: w for s, w in workers.items() if s.does(job["task"])}
            for system, worker in list(asked.items()):
                try:
                    if not at_once:
                        begin(worker, job)
                    counts[system] = steps_a_repetition(worker)
                except WorkerEnded as end:
                    if system == SYSTEMS[0]:  # others may lack memory, compilers or goodwill
                        raise
                    where = f"{job['task']} {job['network']}" + ("" if at_once else " and later")
                    notes.append(f"no row of {system.name} {system.mode}, {where}: {end}")
                    del workers[system], asked[system]
            measured = take_turns(list(asked.values()), list(counts.values()), repeats)
            rows += [
                summary(job, (system.name, system.mode), of_worker)
                for system, of_worker in zip(asked, measured, strict=True)
            ]
    return rows


def _compilation(job: "Row") -> "list[Row]":
    """How long our train step compiles, without and with its cache on disk."""
    from jaxrain.speed.rows import summary
    from jaxrain.speed.turns import Measured, compile_seconds

    ours, network = SYSTEMS[0], job["network"]
    print(f"compilation {network} ...", file=sys.stderr, flush=True)
    return [
        summary(
            {"task": task, "network": network, "operations": 0},
            (ours.name, ours.mode),
            Measured([seconds], None, None),
        )
        for task, seconds in zip(
            ("compile_cold", "compile_warm"),
            compile_seconds(ours.module, ours.mode, job),
            strict=True,
        )
    ]


def _loader(rows: "Sequence[Row]", job: "Row", repeats: int, notes: list[str]) -> "list[Row]":
    """How fast a train step's batches are read; a note sets it beside the step."""
    from jaxrain.speed.loading import measure_loader
    from jaxrain.speed.rows import summary
    from jaxrain.speed.turns import Measured

    print("loader ...", file=sys.stderr, flush=True)
    network = job["network"]
    found = measure_loader(job["batch"], job["image_size"], repeats)
    of_loader = {"task": "loader", "network": network, "operations": 0, "batch": job["batch"]}
    row = summary(of_loader, ("jaxrain", "grain"), Measured(found.seconds, None, None))
    step = next(
        each["seconds"]
        for each in rows
        if (each["task"], each["network"], each["system"]) == ("train_step", network, "jaxrain")
    )
    notes.append(
        f"loader: {step / row['seconds']:.0f} times as fast as the {network} train step; first "
        f"batch after {found.first_seconds:.2f} s; a patch reads {found.patch_bytes / 1024:.0f} "
        f"KiB, 1/{found.hour_bytes / found.patch_bytes:.0f} of an hour's full arrays"
    )
    return [row]


if __name__ == "__main__":
    sys.exit(main())
