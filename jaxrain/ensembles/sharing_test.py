import subprocess
import sys
from pathlib import Path

import pytest

SHARED = """
import importlib.util, sys
import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxrain.ensembles.chain import make_downscale
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.ensembles.sharing import sampling_mesh

def load(path):
    spec = importlib.util.spec_from_file_location("loaded", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

examples, programs = load(sys.argv[1]), load(sys.argv[2])
shapes = {fields: dict(sampling_mesh(fields).shape) for fields in (1, 2, 3, 4, 100)}
assert list(map(tuple, (shape.values() for shape in shapes.values()))) == [
    (1, 4), (2, 2), (2, 2), (4, 1), (4, 1)
]
where, coarse = examples.canvas(), np.repeat(examples.coarse_fields(1), 3, 0)
# ddim with eta draws noise at each step.
config = SampleConfig(steps=5, batch=2, eta=0.5)

def drawn(mesh):
    downscale = make_downscale(
        examples.smooth, examples.SCALING, examples.PROCESS, config, mesh=mesh
    )
    members, minutes = np.arange(3), np.full(3, examples.MINUTES)
    named = where, coarse, members, minutes
    contrast = {"powers": np.array([0.3, 1, 5], np.float32)}
    draw = jax.jit(lambda weights: downscale(weights, *named, **contrast))
    program = draw.lower(jnp.float32(1)).compile()
    rain = np.asarray(downscale(jnp.float32(1), *named, **contrast))
    return rain, programs.operations(program.as_text(), inside_loops=True)

alone, _ = drawn(None)
assert alone.shape == (3, *examples.FINE.shape)
for fields in (4, 2, 1):
    mesh = sampling_mesh(fields)
    rain, found = drawn(mesh)
    difference = np.abs(rain - alone).max() / np.abs(alone).max()
    found = {name: count for name, count in found.items() if count}
    print(dict(mesh.shape), f"{difference:.1e}", found, flush=True)
    assert difference < 1e-5
    # In the denoising loop, devices that draw fields of their own need nothing of one another;
    # those that share the tiles of a field collect them.
    assert set(found) == (set() if fields == 4 else {"all-gather"})
"""


@pytest.mark.slow
def test_devices_that_share_fields_or_tiles_draw_what_one_draws():
    here = Path(__file__).parent
    operations = here.parent / "training" / "gradients_test.py"
    ran = subprocess.run(
        [sys.executable, "-c", SHARED, here / "chain_test.py", operations],
        timeout=600,
        capture_output=True,
        text=True,
    )
    print(ran.stdout)
    assert ran.returncode == 0, ran.stderr[-3000:]
