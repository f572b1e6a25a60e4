import dataclasses
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxrain import plan
from jaxrain.config import load_config
from jaxrain.planning.outlook import Outlook, Row
from jaxrain.planning.program import Program, look_at_step
from jaxrain.planning.roofline import Step
from jaxrain.planning.words import explain

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
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
        (["--device", "tpu"], "--device tpu: expected one of h800, h100, h200, a100, cpu"),
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
    state, held = (1_000_000, 4_000_000, 12_000_000, 0), (1000, 50_000_000, 500, 7_000_000)
    program = Program(*state, *held, 1e12, 1e9, {}, {})
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
    config = load_config("gpu8", [f"data.store={tmp_path}", "train.steps=10000000"])
    text = explain(config, outlook(8), None, 0.45)
    assert "1.00 million parameters on 8 x H800" in text
    assert "128 patches of 128 x 128 points with 22 channels, 16 a device" in text
    assert "gradients" in text
    assert f"no store at {tmp_path} yet" in text
    # 1.28e9 patches at 1024 x 16 in 12 ms.
    assert "| 1024 | 16384 | 12 | 17% | 80% | 1.37e+06 | 78125 | 15.6 min | - |" in text
    assert "the patches of 10000000 steps of 128 take 1.4 d" in text
    assert len(text.splitlines()) < 60


def test_a_batch_that_cannot_be_shared_is_told_of(tmp_path):
    config = load_config("gpu8", [f"data.store={tmp_path}"])
    text = explain(config, outlook(1024, per_device=1), None, 0.45)
    assert (
        "train.batch_size=128 cannot be shared by 1024 devices: planned, and to be set, is 1024"
        in text
    )


def test_what_eigen_takes_counts_on_a_cpu_alone(tmp_path):
    config = load_config("gpu8", [f"data.store={tmp_path}"])
    of_gpu = outlook(8)
    machine = dataclasses.replace(of_gpu.machine, title="this CPU")
    assert "Eigen" not in explain(config, of_gpu, None, 0.45)
    text = explain(config, dataclasses.replace(of_gpu, machine=machine), None, 0.45)
    assert re.search(r"Eigen's for its convolutions +7 MB\n  together +73 MB\n", text)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_memory_of_a_real_step_is_near_what_is_predicted(devices):
    spec = importlib.util.spec_from_file_location("plan_memory", BENCHMARKS / "plan_memory.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    predicted, measured = module.compare(devices, batch_size=32)
    print(f"{devices} device(s): predicted {predicted >> 20} MiB, measured {measured >> 20} MiB")
    assert np.isclose(measured, predicted, rtol=0.15)
