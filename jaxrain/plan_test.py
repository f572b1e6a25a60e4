import json
import subprocess
import sys

import numpy as np
import pytest

from jaxrain import plan
from jaxrain.config import config_text, load_config
from jaxrain.planning.outlook import Outlook, Row
from jaxrain.planning.program import Program, ask_compiler, look_at_step
from jaxrain.planning.roofline import Step
from jaxrain.planning.words import explain

TINY = [
    *("model.inner_channel=4", "model.channel_mults=[1,2]", "model.res_blocks=1"),
    *("model.norm_groups=2", "model.attn_res=[]", "data.patch=16", "train.batch_size=4"),
    *("data.variables=[u,tp]", "data.levels=[850]", "sample.tile=16"),
]


def test_help_needs_neither_jax_nor_the_config():
    code = (
        "import sys; from jaxrain import plan\n"
        "try: plan.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'jax', 'jaxrain.config', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--device", "tpu"], "--device tpu: expected one of h800, h100, a100, cpu"),
        (["--devices", "0"], "--devices 0: expected 1 or more"),
        (["--devices", "9"], "--devices 9 --device cpu: expected 1 to 8"),
        (["--share", "45"], "--share 45.0"),
        (["train.stpes=3"], "did you mean 'train.steps'"),
    ],
)
def test_what_a_user_can_mend_is_one_line(words, says, tmp_path, capsys):
    assert plan.main(["--config", "demo", f"data.store={tmp_path}", *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_the_compiler_counts_what_the_network_has(tmp_path):
    config = load_config(None, TINY)
    program = look_at_step(config, 1, 4)
    state = 4 * program.parameters
    assert program.parameter_bytes == state
    # Two moments, the average, and the two step counters of ours and of Adam's.
    assert program.optimizer_bytes == 3 * state + 8
    fine, coarse, weights = 16 * 16, 2 * 2 * 2, 2 * 16 * 2
    assert program.batch_bytes == 4 * 4 * (fine + coarse + weights)
    assert program.collectives == {}
    # Forward activations of a few layers at least, and not a hundred times that.
    assert 4 * 16 * 16 * 4 * 10 < program.working_bytes < 4 * 16 * 16 * 4 * 1000
    assert program.flops > 0


def outlook(devices, per_device=16):
    step = Step(0.010, 0.004, 0.002)
    program = Program(1_000_000, 4_000_000, 12_000_000, 1000, 50_000_000, 500, 1e12, 1e9, {}, {})
    from jaxrain.planning.machines import MACHINES

    rows = tuple(Row(n, n * per_device, step, 0.8) for n in (1, 8, 1024))
    return Outlook(
        machine=MACHINES["h800"],
        channels=22,
        operations=2e12,
        compiled_for=8,
        per_device=per_device,
        program=program,
        rows=rows,
        asked=next(row for row in rows if row.devices == devices),
    )


def test_the_words_of_a_plan(tmp_path):
    config = load_config("gpu8", [f"data.store={tmp_path}", "train.steps=1000"])
    text = explain(config, outlook(8), None, 0.45)
    assert "1.00 million parameters on 8 x H800" in text
    assert "128 patches of 128 x 128 points with 22 channels, 16 a device" in text
    assert "gradients" in text
    assert f"no store at {tmp_path} yet" in text
    # 128000 patches at 1024 x 16 in 12 ms.
    assert "| 1024 | 16384 | 12 | 17% | 80% | 1.37e+06 | 8 | 1.09e-06 | - |" in text
    assert len(text.splitlines()) < 60


def test_a_batch_that_cannot_be_shared_is_told_of(tmp_path):
    config = load_config("gpu8", [f"data.store={tmp_path}"])
    text = explain(config, outlook(1024, per_device=1), None, 0.45)
    assert (
        "train.batch_size=128 cannot be shared by 1024 devices: planned, and to be set, is 1024"
        in text
    )


MEASURE = """
import json, os, resource, sys
import jax
jax.config.update("jax_platforms", "cpu")
devices, batch_size = int(sys.argv[1]), int(sys.argv[2])
jax.config.update("jax_num_cpu_devices", devices)
import numpy as np
from jaxrain.config import load_config
from jaxrain.planning.program import lowered_step
from jaxrain.training.mesh import put_batch, put_state, run_key

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024

config = load_config(None, json.loads(sys.argv[3]))
step, arguments, mesh = lowered_step(config, devices, batch_size)
compiled = step.lower(*arguments).compile()
jax.block_until_ready(jax.numpy.zeros(8) + 1)  # the backend's own memory is none of the step's
before = resident()
with open("/proc/self/clear_refs", "w") as clear:
    clear.write("5")  # the high-water mark begins here
zeros = lambda leaf: np.ones(leaf.shape, leaf.dtype)
state = put_state(jax.tree.map(zeros, arguments[0]), mesh)
batch = put_batch(jax.tree.map(zeros, arguments[1]), mesh)
key, rate = run_key(0, mesh), put_state(np.float32(1e-4), mesh)
for _ in range(3):
    state, metrics = compiled(state, batch, key, rate)
jax.block_until_ready(state)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
print(json.dumps(peak - before))
"""


@pytest.mark.slow
def test_memory_of_a_real_step_is_near_what_is_predicted():
    devices = 1
    words = [
        *("model.inner_channel=32", "model.channel_mults=[1,2]", "model.res_blocks=1"),
        *("model.norm_groups=8", "model.attn_res=[]", "data.patch=64", "sample.tile=64"),
        *("data.variables=[u,tp]", "data.levels=[850]"),
    ]
    batch_size = 16
    program = ask_compiler(config_text(load_config(None, words)), devices, batch_size)
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(devices), str(batch_size), json.dumps(words)],
        check=True,
        capture_output=True,
        text=True,
    )
    growth = int(measured.stdout.splitlines()[-1])
    predicted = devices * program.total_bytes
    print(f"{devices} device(s): predicted {predicted >> 20} MiB, measured {growth >> 20} MiB")
    # The convolutions take memory of their own that the compiler does not count.
    assert np.isclose(growth, predicted, rtol=0.3)
