"""`python -m parity_tests.conversion_cost`: what converting the full-size network takes.

Writes the 61 million parameters as a public pair of files with random values, converts them, each
time in a process of its own, and prints seconds (imports included), and memory above the process
with its libraries imported as a multiple of the files converted.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jaxrain.diffusion.process import DiffusionConfig
from jaxrain.diffusion.unet import UNetConfig
from jaxrain.training.dialects import PREFIX, torch_name
from jaxrain.training.recognise import network_shapes, schedule_buffers

# Peak and resident memory are in KiB there; writing 5 starts the peak anew.
_CONVERT = """
import sys
import jax, netCDF4, optax, orbax.checkpoint, torch, xarray
import jaxrain.config, jaxrain.training.portable, jaxrain.training.recognise
import jaxrain.training.torch_adam
from jaxrain.convert import main

def memory(field):
    text = open("/proc/self/status").read()
    return int(text.split(field + ":")[1].split()[0]) / 1024

jax.numpy.zeros(1) + 1
open("/proc/self/clear_refs", "w").write("5")
before = memory("VmRSS")
status = main(sys.argv[1:])
print("peak_mib", memory("VmHWM") - before)
sys.exit(status)
"""


def main() -> None:
    """Prints one row a conversion. Linux only: it reads /proc."""
    print("| conversion | seconds | MiB of SRC | peak, of SRC |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder)
        for source, target in (
            ("bare_gen.pth", "bare"),
            ("I7_E1_gen.pth", "run"),
            ("run", "out_gen.pth"),
            ("run", "out.pth"),
            ("run", "out.safetensors"),
            ("out.pth", "from_pth"),
            ("out.safetensors", "from_safetensors"),
        ):
            seconds, peak = _convert(folder / source, folder / target)
            size = sum(each.stat().st_size for each in _files(folder / source)) / 2**20
            print(f"| {source} -> {target} | {seconds:.1f} | {size:.0f} | {peak / size:.2f} |")


def _write(folder: Path) -> None:
    draw = np.random.default_rng(0)

    def values(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(draw.standard_normal(shape, np.float32) * np.float32(0.02))

    buffers = schedule_buffers(DiffusionConfig())
    state = {name: torch.tensor(array, dtype=torch.float32) for name, array in buffers.items()}
    adam: dict[int, Mapping[str, Any]] = {}
    for number, (path, shape) in enumerate(network_shapes(UNetConfig(), 5, 128).items()):
        shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
        state[PREFIX["sr3"] + torch_name(path, "sr3")] = values(shape)
        step = torch.tensor(7.0)
        adam[number] = {"step": step, "exp_avg": values(shape), "exp_avg_sq": values(shape).abs()}
    group = {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False}
    optimizer = {"state": adam, "param_groups": [group | {"params": list(adam)}]}
    torch.save(state, folder / "bare_gen.pth")
    torch.save(state, folder / "I7_E1_gen.pth")
    trainer = {"epoch": 1, "iter": 7, "scheduler": None, "optimizer": optimizer}
    torch.save(trainer, folder / "I7_E1_opt.pth")


def _convert(source: Path, target: Path) -> tuple[float, float]:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _CONVERT, str(source), str(target)],
        check=True,
        capture_output=True,
        text=True,
    )
    peak = float(done.stdout.split("peak_mib")[1])
    return time.perf_counter() - started, peak


def _files(path: Path) -> list[Path]:
    """A run's, or a file and the optimizer beside it."""
    if path.is_dir():
        return [each for each in path.rglob("*") if each.is_file()]
    pair = path.with_name(path.name.replace("_gen.pth", "_opt.pth"))
    return sorted({each for each in (path, pair) if each.exists()})


if __name__ == "__main__":
    main()
