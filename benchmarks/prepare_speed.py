"""How fast `prepare` is beside the plain way, on the same files in the same run, in turns.

The plain way is what a notebook does: each file by `xr.open_dataset(engine="cfgrib")`, the
predictors by `.interp` to the fine grid, all by `np.save`. It checks nothing, pairs nothing and
knows no statistics; of tp in forecasts it keeps time and step as they are.

    python benchmarks/prepare_speed.py [--rounds 3] [--days 14] [--size 128] [--workers N ...]

Each run is a process of its own, its start included; each round runs all ways once. Printed are
seconds of wall and of processors, those of worker processes included, and the ratios of their
medians, then the bytes of the predictors on disk. A busy machine stretches the wall of several
processes more than that of one.
"""

import argparse
import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

_CHILD_SUBREAPER = 36  # of Linux's prctl


def plain(root: Path, out: Path) -> None:
    """The plain way: one .npy a file, the predictors interpolated to the fine grid."""
    in_memory = {"indexpath": ""}  # leaves no index files beside the data
    out.mkdir(parents=True)
    fine = None
    for file in sorted((root / "cmpa").glob("*.GRB2")):
        with xr.open_dataset(file, engine="cfgrib", backend_kwargs=in_memory) as dataset:
            fine = dataset["unknown"].load()
            np.save(out / f"fine_{file.stem}.npy", fine.values)
    assert fine is not None
    axes = {axis: fine[axis].values for axis in ("latitude", "longitude")}
    for file in sorted((root / "era5").glob("*.grib")):
        with xr.open_dataset(file, engine="cfgrib", backend_kwargs=in_memory) as dataset:
            names = sorted(dataset.data_vars)
            fields = [dataset[name].interp(axes).values.astype(np.float32) for name in names]
            np.save(out / f"coarse_{file.stem}.npy", np.stack(fields))


def _timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of a command and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    while True:  # workers that outlive the command by a moment
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _prepare_command(root: Path, store: Path, workers: int) -> list[str]:
    words = [f"data.root={root}", f"data.store={store}", f"prepare.workers={workers}"]
    words += ["data.demo=false", "data.splits.validation=[]", "data.splits.test=[]"]
    words += ["data.splits.train=['2022']"]
    return [sys.executable, "-m", "jaxrain.prepare", "--config", "demo", *words]


def _bytes(folder: Path, pattern: str) -> int:
    return sum(file.stat().st_size for file in folder.glob(pattern))


def main() -> None:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--days", type=int, default=14, help="of weather, one of them for test")
    parser.add_argument("--size", type=int, default=128, help="points along the fine grid's side")
    parser.add_argument("--workers", type=int, nargs="*", default=[0, len(os.sched_getaffinity(0))])
    parser.add_argument("--plain", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        plain(*arguments.plain)
        return
    from jaxrain.weather.demo import write_demo  # the plain way does without

    # So that processes whose parents have ended become ours, and their time is counted.
    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="jaxrain-speed-") as name:
        folder = Path(name)
        root = folder / "weather"
        write_demo(root, size=arguments.size, train_days=arguments.days - 2)
        ways = ["plain", *(f"{count} workers" for count in arguments.workers)]
        seen: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for turn in range(arguments.rounds):
            for way in ways if turn % 2 == 0 else ways[::-1]:
                out = folder / f"{way.replace(' ', '_')}_{turn}"
                if way == "plain":
                    command = [sys.executable, __file__, "--plain", str(root), str(out)]
                else:
                    command = _prepare_command(root, out, int(way.split()[0]))
                seen[way].append(_timed(command))
                print(f"round {turn}: {way}: wall {seen[way][-1][0]:.1f} s, ", end="")
                print(f"processors {seen[way][-1][1]:.1f} s", flush=True)
        base = [statistics.median(column) for column in zip(*seen["plain"], strict=True)]
        for way in ways[1:]:
            wall, busy = (statistics.median(column) for column in zip(*seen[way], strict=True))
            print(
                f"prepare with {way}: {base[0] / wall:.2f} times as fast as the plain way by wall "
                f"({wall:.1f} s against {base[0]:.1f} s), "
                f"{base[1] / busy:.2f} times by processors"
            )
        ours = _bytes(folder / f"{ways[1].replace(' ', '_')}_0", "area*/coarse_2*.npy")
        theirs = _bytes(folder / "plain_0", "coarse_*.npy")
        print(f"predictors on disk: {ours} bytes, the plain way {theirs}: 1/{theirs / ours:.0f}")


if __name__ == "__main__":
    main()
