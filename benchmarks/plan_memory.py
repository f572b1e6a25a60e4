"""Memory of a train step: what `plan` predicts beside what a process takes, on 1 to 8 CPU devices.

    python benchmarks/plan_memory.py [--devices 1 2 4 8] [--batch 32]

Each number of devices has a process of its own. It compiles the step as `plan` does, gives back
what the compiler freed, lays out state and batch, runs the step three times, and tells by how much
its peak of resident memory (VmHWM) lay above what it held before. So neither Python with its
libraries (about 350 MiB) nor the compiler counts; what XLA and Eigen take for the step does, on all
devices together, and what malloc keeps of it, which `plan` does not foresee.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Devices that share few cores come late to a sum; XLA would take that for a deadlock.
PATIENCE = {"xla_cpu_collective_call_terminate_timeout_seconds": 900}
NETWORK = [
    *("model.inner_channel=32", "model.channel_mults=[1,2]", "model.res_blocks=1"),
    *("model.norm_groups=8", "model.attn_res=[]", "data.patch=64", "sample.tile=64"),
    *("data.variables=[u,tp]", "data.levels=[850]"),
]


def compare(devices: int, batch_size: int) -> tuple[int, int]:
    """Bytes of a step on all devices together, in a process of its own.

    Args:
      devices: virtual CPU devices.
      batch_size: patches that they share.

    Returns:
      (predicted, measured).
    """
    words = ["--devices", str(devices), "--batch", str(batch_size), "--here"]
    ran = subprocess.run(
        [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
    )
    predicted, measured = json.loads(ran.stdout.splitlines()[-1])
    return predicted, measured


def compare_here(devices: int, batch_size: int) -> tuple[int, int]:
    """As `compare`, in this process, which has not started JAX yet."""
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    import numpy as np

    from jaxrain.config import load_config
    from jaxrain.planning.program import QUICK, describe, lowered_step
    from jaxrain.training.mesh import put_batch, put_state, run_key
    from jaxrain.training.trimming import give_back_freed

    step, arguments, mesh = lowered_step(load_config(None, NETWORK), devices, batch_size)
    compiled = step.lower(*arguments).compile(QUICK | PATIENCE)
    program = describe(compiled, arguments)
    jax.block_until_ready(jax.numpy.zeros(8) + 1)  # starts what the devices have of their own
    give_back_freed()
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here

    def filled(leaf: Any) -> np.ndarray:
        return np.ones(leaf.shape, leaf.dtype)

    state = put_state(jax.tree.map(filled, arguments[0]), mesh)
    batch = put_batch(jax.tree.map(filled, arguments[1]), mesh)
    key, rate = run_key(0, mesh), put_state(np.float32(1e-4), mesh)
    for _ in range(3):
        state, _ = compiled(state, batch, key, rate)
        jax.block_until_ready(state)
    predicted = devices * (program.total_bytes + program.convolution_bytes)
    return predicted, _resident("VmHWM") - before


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument(
        "--batch", type=int, default=32, help="patches of all devices (default: 32)"
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.here:
        print(json.dumps(compare_here(asked.devices[0], asked.batch)))
        return 0
    print("| CPU devices | predicted [MiB] | measured [MiB] | measured / predicted |")
    print("| --: | --: | --: | --: |")
    for devices in asked.devices:
        predicted, measured = compare(devices, asked.batch)
        sizes = f"{predicted / 2**20:.0f} | {measured / 2**20:.0f}"
        print(f"| {devices} | {sizes} | {measured / predicted:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
