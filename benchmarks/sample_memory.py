"""Peak memory of `sample` on 2000 x 2000 points, and that it grows with neither members nor hours.

    python benchmarks/sample_memory.py [--ensembles 1x1 4x2 64x1] [--size 2000] [--folder DIR]

Makes a store of made-up weather, 21 predictors at 0.25 degree and rain at 0.01 degree, and a tiny
network that was never trained; what is measured does not depend on its weights. Then draws each
ensemble, MEMBERS x HOURS, with all products, in a process of its own, and prints its largest
resident memory (VmHWM of /proc, in which mapped pages of files count too), seconds and the file's
size. The first may compile the program, which the later ones find. A tile of 512 x 512 at a time is
as much as 16 of 128 x 128. Asked are 4 GiB for 64 members of 24 hours.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

START = np.datetime64("2022-06-01T00", "h")
LEVELS = (850, 700, 500, 300)
# Mean and spread of what is on levels, in the units of the files.
WEATHER = {
    "u": (5, 5, "m s-1"),
    "v": (0, 5, "m s-1"),
    "t": (270, 5, "K"),
    "r": (60, 15, "%"),
    "z": (40000, 300, "m2 s-2"),
}
CONFIG = """
data:
  root: {root}
  store: {root}/store
  fine: ["fine.nc"]
  coarse: ["coarse.nc"]
  splits: {{train: ["2022-06-01T00"], test: ["2022-06-01T01/2022-06-01T23"]}}
  rain_scaling: log1p
  patch: 512
# Five levels: attention in the middle sees (512 / 16)^2 points; of one level it would see all.
model: {{inner_channel: 4, channel_mults: [1, 1, 1, 1, 1], res_blocks: 1, norm_groups: 2,
  attn_res: []}}
diffusion: {{steps: 50, prediction: x0}}
train: {{run: {root}/run}}
sample: {{sampler: dpmpp_2m, steps: 2, overlap: 16, batch: 1}}
"""
# What a process says of itself at its end.
CHILD = """
import re, sys
from pathlib import Path
from jaxrain.allocator import keep_freed_memory
keep_freed_memory()
from jaxrain import sample
status = sample.main(sys.argv[1:])
print("peak", re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(status)
"""


def write_weather(root: Path, size: int, hours: int) -> None:
    """Fine rain and its predictors, noise in the range of what they are called."""
    rng = np.random.default_rng(0)
    times = (START + np.arange(hours).astype("timedelta64[h]")).astype("datetime64[ns]")
    fine = {
        "time": times,
        "latitude": 25 - 0.01 * np.arange(size),
        "longitude": 105 + 0.01 * np.arange(size),
    }
    rain = rng.gamma(0.3, 3.0, (hours, size, size)).astype(np.float32)
    field = (tuple(fine), rain, {"units": "mm"})
    xr.Dataset({"rain": field}, fine).to_netcdf(root / "fine.nc")
    cells = np.arange(-1, size // 25 + 2)
    coarse = {
        "time": times,
        "level": ("level", list(LEVELS), {"units": "hPa"}),
        "latitude": 25 - 0.25 * cells,
        "longitude": 105 + 0.25 * cells,
    }
    shape = (hours, len(LEVELS), len(cells), len(cells))
    fields = {
        name: (tuple(coarse), rng.normal(mean, spread, shape).astype(np.float32), {"units": unit})
        for name, (mean, spread, unit) in WEATHER.items()
    }
    tp = rng.gamma(0.3, 3.0, (hours, *shape[2:])).astype(np.float32)
    fields["tp"] = (("time", "latitude", "longitude"), tp, {"units": "mm"})
    xr.Dataset(fields, coarse).to_netcdf(root / "coarse.nc")


def make_run(root: Path) -> Path:
    """A run folder with weights by chance."""
    import jax

    from jaxrain.config import load_config, save_config
    from jaxrain.pairs.build import prepare
    from jaxrain.pairs.store import open_store, save_grids, save_json
    from jaxrain.training.checkpoint import open_checkpoints
    from jaxrain.training.network import define_network
    from jaxrain.training.state import create_state

    (root / "config.yaml").write_text(CONFIG.format(root=root))
    config = load_config(root / "config.yaml")
    store = open_store(prepare(config.data, say=lambda line: None))
    run = root / "run"
    save_config(config, run / "config.yaml")
    save_json(run / "manifest.json", store.manifest)
    save_grids(run / "grids", store.areas)
    init, _ = define_network(config.model, config.data, len(store.channels))
    with open_checkpoints(run) as checkpoints:
        checkpoints.save(create_state(config.train, jax.device_put(init(0))), {})
    return run


def draw(run: Path, members: int, hours: int) -> dict[str, float]:
    """Draws an ensemble in a process of its own and removes it; its peak [MiB], seconds, MiB."""
    output = run.parent / "out.nc"
    last = START + np.timedelta64(hours, "h")
    words = [str(run), "--output", str(output), "--members", str(members), "--overwrite"]
    words += ["--hours", f"{START + np.timedelta64(1, 'h')}/{last}"]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words], stdout=subprocess.PIPE, text=True, check=True
    )
    seconds = time.monotonic() - began
    peak = int(done.stdout.split("peak ")[-1]) / 1024
    written = output.stat().st_size / 2**20
    output.unlink()
    return {"peak_mib": round(peak), "seconds": round(seconds), "file_mib": round(written)}


def main() -> None:
    """Measures each ensemble and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ensembles", nargs="+", default=["1x1", "4x2", "64x1"])
    parser.add_argument("--size", type=int, default=2000, help="points along a side")
    parser.add_argument("--folder", type=Path, help="for what is made (a temporary one)")
    arguments = parser.parse_args()
    asked = [tuple(map(int, each.split("x"))) for each in arguments.ensembles]
    if arguments.folder is not None:
        Path(arguments.folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jaxrain-memory-", dir=arguments.folder) as name:
        write_weather(Path(name), arguments.size, 1 + max(hours for _, hours in asked))
        run = make_run(Path(name))
        for members, hours in asked:
            found = draw(run, members, hours)
            print(json.dumps({"members": members, "hours": hours, **found}), flush=True)


if __name__ == "__main__":
    main()
