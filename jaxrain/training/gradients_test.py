"""However the work is shared, cut or computed again: the same numbers, and no needless message."""

import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.training.gradients import make_gradient
from jaxrain.training.mesh import create_mesh

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
HOST = ("infeed", "outfeed", "send", "recv")


def operations(program, *, inside_loops=False):
    """How often each operation stands in a compiled program, or in what its loops repeat."""
    bodies, name = {}, ""
    for line in program.splitlines():
        if head := re.match(r"(?:ENTRY )?%?([\w.-]+) .*\{$", line):
            name = head[1]
            bodies[name] = []
        elif name:
            bodies[name].append(line)
    chosen = set(bodies)
    if inside_loops:
        chosen, reached = set(), set(re.findall(r"body=%?([\w.-]+)", program))
        while reached:
            chosen |= reached
            text = "\n".join(line for each in reached for line in bodies.get(each, []))
            called = re.findall(r"(?:body|condition|calls|to_apply)=%?([\w.-]+)", text)
            reached = set(called) - chosen
    counts = dict.fromkeys((*COLLECTIVES, *HOST, "callback"), 0)
    for line in (line for each in chosen for line in bodies.get(each, [])):
        if found := re.search(r" ([a-z][\w-]*)\(", line.partition(" = ")[2]):
            operation = found[1].removesuffix("-start").removesuffix("-done")
            if operation in counts and not found[1].endswith("-done"):
                counts[operation] += 1
            counts["callback"] += operation == "custom-call" and "callback" in line
    return counts


def test_operations_are_found_where_they_are():
    program = """
%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %a = f32[] add(%x, %y)
}
%inner (x: f32[2]) -> f32[2] {
  ROOT %r = (f32[2]{0}, f32[]) all-reduce(%x, %z), to_apply=%add
}
%body.1 (x: f32[2]) -> f32[2] {
  ROOT %c = f32[2]{0} call(%x), to_apply=%inner
}
ENTRY %main (x: f32[2]) -> f32[2] {
  %g = f32[4]{0} all-gather-start(%x)
  %h = f32[4]{0} all-gather-done(%g)
  %k = f32[] custom-call(%x), custom_call_target="xla_ffi_python_cpu_callback"
  ROOT %w = f32[2]{0} while(%x), condition=%c.1, body=%body.1
}
"""
    assert {k: n for k, n in operations(program).items() if n} == {
        "all-reduce": 1,
        "all-gather": 1,
        "callback": 1,
    }
    loops = operations(program, inside_loops=True)
    assert {k: n for k, n in loops.items() if n} == {"all-reduce": 1}


def test_parts_are_weighted_by_what_is_known_in_them():
    def loss(params, batch, key):
        known = jnp.isfinite(batch["y"])
        error = jnp.where(known, params * batch["x"] - jnp.where(known, batch["y"], 0), 0)
        count = jnp.maximum(known.sum(), 1)
        return (error**2).sum() / count, {"known": known.mean()}

    rng = np.random.default_rng(0)
    batch = {name: rng.standard_normal(12).astype(np.float32) for name in "xy"}
    batch["y"][[0, 1, 2, 7]] = np.nan  # nothing is known in the first of four parts
    params, key = jnp.float32(0.3), jax.random.key(0)
    whole = make_gradient(loss, create_mesh(1))(params, batch, key)
    parts = jax.jit(make_gradient(loss, create_mesh(1), 4))(params, batch, key)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), parts, whole)


SHARED = """
import importlib.util, sys
import jax
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_enable_x64", True)
import numpy as np
from flax import nnx
from jaxrain.diffusion.process import DiffusionConfig
from jaxrain.diffusion.unet import UNet, UNetConfig
from jaxrain.training.mesh import create_mesh, put_batch, put_state, run_key
from jaxrain.training.network import make_draw, make_loss
from jaxrain.training.settings import MeshConfig, TrainConfig
from jaxrain.training.state import create_state, make_train_step

def load(path):
    spec = importlib.util.spec_from_file_location("loaded", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

this, examples = load(sys.argv[1]), load(sys.argv[2])
MODEL = UNetConfig(
    inner_channel=16, channel_mults=(1, 2), res_blocks=1, norm_groups=2, attn_res=(4,)
)
graph, weights = nnx.split(
    UNet(MODEL, in_channels=3, image_size=8, param_dtype=np.float64, rngs=nnx.Rngs(0))
)
weights = jax.device_get(nnx.to_pure_dict(weights))
double = lambda tree: jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)
process = DiffusionConfig()

def three_steps(devices=1, accumulate=1, rematerialise=0, **sizes):
    mesh = create_mesh(devices, MeshConfig(**sizes))
    config = TrainConfig(batch_size=8, accumulate=accumulate)
    apply = lambda params, x, s, key: nnx.merge(graph, params)(x, s, rematerialise=rematerialise)
    loss = make_loss(apply, process, examples.SCALING)
    step = make_train_step(loss, config, mesh, make_draw(process))
    state = put_state(create_state(config, double(weights)), mesh)
    batch, key = put_batch(double(examples.example_batch()), mesh), run_key(0, mesh)
    program = step.lower(state, batch, key, np.float64(1e-3)).compile()
    seen = []
    for _ in range(3):
        state, metrics = program(state, batch, key, np.float64(1e-3))
        seen.append(metrics)
    return jax.device_get((seen, state.ema)), state, program

def largest_difference(ours, theirs):
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return max(float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-3)) for a, b in pairs)

def memory(program):
    return program.memory_analysis().temp_size_in_bytes

plain, _, alone = three_steps()
programs = {}
for name, how in {
    "data": dict(devices=4),
    "fsdp": dict(devices=4, fsdp=2),
    "space": dict(devices=4, space=2),
    "shared parts": dict(devices=2, accumulate=2),
    "more parts": dict(devices=2, accumulate=4),
    "again": dict(rematerialise=1),
}.items():
    numbers, state, programs[name] = three_steps(**how)
    difference = largest_difference(numbers, plain)
    print(f"{name}: {difference:.1e}", flush=True)
    assert difference < 1e-9, name
    if name == "fsdp":
        kernel = state.opt_state[1].mu["mid"][0]["res_block"]["block1"]["conv"]["kernel"]
        assert kernel.addressable_shards[0].data.size * 2 == kernel.size

text = {name: program.as_text() for name, program in programs.items()}
for name, program in text.items():
    found = this.operations(program)
    print(name, {k: n for k, n in found.items() if n}, flush=True)
    assert not any(found[k] for k in (*this.HOST, "callback")), name
    assert not any(this.operations(program, inside_loops=True)[k] for k in this.COLLECTIVES), name
of = {name: this.operations(program) for name, program in text.items()}
assert of["data"]["all-reduce"] and not of["data"]["all-gather"]
assert of["shared parts"] == of["more parts"]
assert of["shared parts"]["all-reduce"] and not of["shared parts"]["all-gather"]
assert of["space"]["collective-permute"]  # the halos
assert not of["again"]["all-reduce"]
print("temporary bytes", memory(alone), "rematerialised", memory(programs["again"]))
"""


@pytest.mark.slow
def test_shared_cut_or_computed_again_the_step_is_the_same_and_sums_gradients_once():
    examples = __file__.replace("gradients_test", "network_test")
    ran = subprocess.run(
        [sys.executable, "-c", SHARED, __file__, examples],
        # What is compared does not need fast machine code, which takes minutes to make.
        env={**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"},
        timeout=900,
        capture_output=True,
        text=True,
    )
    print(ran.stdout)
    assert ran.returncode == 0, ran.stderr[-3000:]
