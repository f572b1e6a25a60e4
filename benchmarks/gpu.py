"""What is claimed of GPUs, on the GPU at hand, in one command of at most half an hour.

    python benchmarks/gpu.py [--folder gpu_bench] [--minutes 30]

Builds: makes a virtual environment and installs jaxrain with CUDA and PyTorch into it, unless this
Python has both and sees the GPU. Checks: the fixtures' networks in float32 and bfloat16 against
their stored float64 outputs. Times, in bfloat16, beside PyTorch in its modes: the source's network
at batch 16, or less where that does not fit, then the small one. Most of it is compilation:
programs took 1 to 2.3 minutes each on an H200 beside 16 cores, and no more side by side, as they
are made here before any is timed. Installation does not count. What the time does not allow is
named and left out. The folder then holds `report.md` with the card's name, and what was measured as
JSON. Status 1: a check failed.

Asked for: train step 1.3 times PyTorch's best mode, 45 % of the measured bfloat16 peak on the
source's network, sampling step 2 times PyTorch's best.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BATCHES = (16, 8, 4, 2)  # of the source's network; each try compiles it
# Largest error, relative to the largest value: 8 bits are kept of every activation, and over some
# 30 layers a few hundredths remain. Float32's is `parity_tests.tolerances`'.
ALLOWED_IN_BFLOAT16 = 5e-2


def main() -> int:
    """Builds, then goes on in a Python that has what is needed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("gpu_bench"))
    parser.add_argument("--minutes", type=float, default=30, help="after installation")
    parser.add_argument(
        "--cpu", action="store_true", help="tries this script without a GPU, in float32"
    )
    parser.add_argument("--network", nargs="*", default=["source", "small"], help="of the bench")
    asked = parser.parse_args()
    os.chdir(ROOT)
    asked.folder.mkdir(parents=True, exist_ok=True)
    present = all(importlib.util.find_spec(name) for name in ("jax", "torch"))
    if present and (asked.cpu or _sees_gpu(sys.executable)):
        return _measure(asked)
    python = asked.folder / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", asked.folder / "venv"], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", "-e"]
    subprocess.run([*install, ".[cuda,torch]"], check=True)
    if not _sees_gpu(str(python)):
        print("JAX sees no GPU; is there one, and does its driver go with CUDA 13?")
        return 1
    return subprocess.run([python, __file__, *sys.argv[1:]]).returncode


def _sees_gpu(python: str) -> bool:
    code = "import jax, sys; sys.exit(jax.default_backend() != 'gpu')"
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def _measure(asked: argparse.Namespace) -> int:
    """Checks and times; the packages are there."""
    end = time.monotonic() + 60 * asked.minutes
    report = [_machine(), "", "| check | error | allowed |", "| --- | --- | --- |"]
    checks = json.loads(_said([__file__, "check"]))
    (asked.folder / "checks.json").write_text(json.dumps(checks, indent=1) + "\n")
    failed = False
    for name, (error, allowed) in checks.items():
        failed |= not error <= allowed
        report.append(f"| {name} | {error:.2g} | {allowed:g} |")
    for network in asked.network:
        left = end - time.monotonic()
        precision = "float32" if asked.cpu else "bfloat16"
        report += ["", *_timed(network, precision, asked.folder, left)]
    text = "\n".join(report) + "\n"
    (asked.folder / "report.md").write_text(text)
    print(text)
    return int(failed)


def _timed(network: str, precision: str, folder: Path, seconds: float) -> list[str]:
    """The bench's table of a network, or why there is none."""
    end = time.monotonic() + seconds
    head = f"{network}, {precision}"
    words = ["-m", "jaxrain.bench", "--network", network, "--precision", precision]
    try:
        if network == "source":
            batch = _said([__file__, "fits", network], seconds)
            words, head = [*words, "--batch", batch], f"{head}, batch {batch}"
        words += ["--json", str(folder / f"{network}.json")]
        try:
            at_once = [] if precision == "float32" else ["--at-once"]
            table = _said([*words, *at_once], end - time.monotonic())
        except subprocess.CalledProcessError:  # the card may not hold all at once
            table = _said(words, end - time.monotonic())
    except subprocess.TimeoutExpired:
        return [f"{head}: not timed, {max(seconds, 0):.0f} s were not enough"]
    except subprocess.CalledProcessError as error:  # which said why on its standard error
        return [f"{head}: not timed, the bench ended with status {error.returncode}"]
    return [head, "", *table.splitlines()]


def _said(words: list[str], seconds: float | None = None) -> str:
    """What Python prints when run with words."""
    run = subprocess.run(
        [sys.executable, *words], stdout=subprocess.PIPE, text=True, check=True, timeout=seconds
    )
    return run.stdout.strip()


def _machine() -> str:
    code = (
        "import jax, jaxlib, torch; print(f'{jax.devices()[0].device_kind}, jaxlib "
        "{jaxlib.__version__}, torch {torch.__version__}')"
    )
    return _said(["-c", code])


def _check() -> dict[str, tuple[float, float]]:
    """Error of each fixture's network on this device against its float64 output, and its limit."""
    import jax.numpy as jnp
    import torch

    from parity_tests.cases import CASES, fixture
    from parity_tests.frameworks import jax_network, relative_error, run_jax, torch_network
    from parity_tests.tolerances import TOLERANCES

    limits = {
        "float32": TOLERANCES["forward_float32_gpu"].limit,
        "bfloat16": ALLOWED_IN_BFLOAT16,
    }
    found = {}
    for case in CASES:
        x, s, exact = (fixture(case, part) for part in ("input", "level", "output"))
        network = jax_network(case, torch_network(case, torch.float32), jnp.float32)
        for precision, limit in limits.items():
            network.dtype = jnp.dtype(precision)
            error = float(relative_error(run_jax(network, x, s), exact))
            found[f"{case.name} {precision}"] = error, limit
    return found


def _fits(network: str) -> int:
    """The largest batch of BATCHES at which our train step runs."""
    from jaxrain.speed.networks import pass_jobs
    from jaxrain.speed.turns import WorkerEnded, open_worker

    for batch in BATCHES:
        with open_worker("jaxrain.speed.jax_worker", "jit") as worker:
            worker.start(pass_jobs(network, "bfloat16", batch)[-1])
            try:
                worker.run(1)
            except WorkerEnded:
                continue
            return batch
    raise SystemExit(f"{network}: no batch fits")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check"]:
            print(json.dumps(_check()))
        case ["fits", network]:
            print(_fits(network))
        case _:
            sys.exit(main())
