"""Several processes for real, on this machine: gloo carries what NCCL carries between nodes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from jaxrain.training.hosts import COORDINATOR, COUNT, INDEX, Hosts, find_hosts
from jaxrain.training.saved import saved_steps

pytestmark = pytest.mark.usefixtures("own_cache")

CONFIGS = Path(__file__).parents[1] / "configs"
STEPS = 50

# Trains, in float64 and in float32, and samples; the first process writes what came of it, each
# what it has read.
PROGRAM = """
import sys
from pathlib import Path
import jax
from jaxrain.training.hosts import is_first, join_hosts
join_hosts()
jax.config.update("jax_enable_x64", True)
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxrain.config import load_config
from jaxrain.diffusion.unet import UNet
from jaxrain.ensembles.canvas import make_canvas
from jaxrain.ensembles.chain import make_downscale
from jaxrain.pairs.loader import training_batches
from jaxrain.pairs.store import open_store
from jaxrain.training.mesh import (
    create_mesh, put_batch, put_state, run_key, share_of_host, whole_here
)
from jaxrain.training.network import make_draw, make_loss
from jaxrain.training.state import create_state, make_train_step

config_path, out, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
config = load_config(config_path, sys.argv[4:])
store = open_store(config.data.store, config.data)
scaling = store.scaling(config.data)
mesh = create_mesh(None, config.train.mesh)
share, shares = share_of_host(mesh)
found, seen = {}, []
for dtype in (np.float64, np.float32):
    graph, weights = nnx.split(UNet(
        config.model,
        in_channels=len(store.channels) * len(config.data.interpolations) + 1,
        image_size=config.data.patch,
        param_dtype=np.float64,
        rngs=nnx.Rngs(0),
    ))
    cast = lambda tree: jax.tree.map(lambda leaf: np.asarray(leaf, dtype), tree)
    def apply(params, x, s, key=None):
        net = nnx.merge(graph, params)
        net.dtype = net.param_dtype = dtype
        return net(x, s)
    loss = make_loss(apply, config.diffusion, scaling)
    update = make_train_step(loss, config.train, mesh, make_draw(config.diffusion))
    state = put_state(create_state(config.train, cast(nnx.to_pure_dict(weights))), mesh)
    batches = training_batches(
        store, config.data, batch_size=config.train.batch_size, seed=0, host=share, hosts=shares
    )
    losses = []
    for _ in range(steps):
        here = next(batches)
        if dtype == np.float64:
            seen.append(here["fine"])
        batch = put_batch(cast(here), mesh)
        state, metrics = update(state, batch, run_key(0, mesh), dtype(1e-3))
        losses.append(float(metrics["loss"]))
    found["losses " + np.dtype(dtype).name] = losses
    if dtype == np.float64:  # these agree to the last digits, whatever the devices
        trained = jax.tree.map(np.asarray, whole_here(state.ema, mesh))

weights = cast(trained)
jax.config.update("jax_enable_x64", False)  # rain is drawn in float32
area = store.areas[0]
canvas = make_canvas(
    area.fine_grid, area.coarse_grid, interpolations=tuple(config.data.interpolations),
    tile=config.data.patch, overlap=4,
)
devices = Mesh(mesh.devices.reshape(-1, min(mesh.size, 2)), ("data", "space"))
downscale = make_downscale(apply, scaling, config.diffusion, config.sample, mesh=devices)
coarse = np.broadcast_to(area.coarse(0), (6, *area.coarse(0).shape))
rain = downscale(weights, canvas, coarse, np.arange(6), np.zeros(6, int))
rain = jax.jit(lambda x: x, out_shardings=NamedSharding(devices, PartitionSpec()))(rain)
found["rain"] = np.asarray(rain.addressable_data(0))
np.save(out.with_suffix(f".{jax.process_index()}.npy"), np.stack(seen))
if is_first():
    np.savez(out, **found)
"""


def environment(devices, **further):
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    # What is compared does not need fast machine code, which takes long to make. Devices that share
    # few cores come late to a sum; XLA would take that for a deadlock.
    flags = "--xla_backend_optimization_level=0"
    flags += " --xla_cpu_collective_call_terminate_timeout_seconds=300"
    clean |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    return clean | {"JAX_NUM_CPU_DEVICES": str(devices)} | further


def free_port(first=20000, last=60000):
    for port in np.random.default_rng().permutation(np.arange(first, last)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(port))):
                return int(port)
    raise AssertionError("no free port")


def train_and_sample(config_file, out, processes, devices, *words):
    """Losses, samples, and the rows that each process has read."""
    # v, for a chain of eps multiplies rounding some hundred times where its noise is greatest.
    settings = ["train.batch_size=8", "diffusion.prediction=v"]
    arguments = [str(config_file), str(out), str(STEPS), *settings, *words]
    coordinator = f"127.0.0.1:{free_port()}"
    running = []
    for index in range(processes):
        names = {COORDINATOR: coordinator, COUNT: str(processes), INDEX: str(index)}
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *arguments],
                env=environment(devices, **names),
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in running:
        _, said = process.communicate(timeout=900)
        assert process.returncode == 0, said[-3000:]
    seen = [np.load(out.with_suffix(f".{index}.npy")) for index in range(processes)]
    return np.load(out.with_suffix(".npz")), np.concatenate(seen, axis=1)


@pytest.mark.slow
def test_processes_train_and_sample_as_one_device_does(config_file, tmp_path):
    one, rows = train_and_sample(config_file, tmp_path / "1x1", 1, 1)
    limits = {"losses float64": 1e-9, "losses float32": 1e-4, "rain": 1e-5}
    for processes, devices in ((1, 8), (2, 4)):
        name = f"{processes}x{devices}"
        many, rows_of_many = train_and_sample(config_file, tmp_path / name, processes, devices)
        np.testing.assert_array_equal(rows_of_many, rows)
        for what, limit in limits.items():
            scale = np.nanmax(np.abs(one[what])) if what == "rain" else np.abs(one[what])
            difference = np.nanmax(np.abs(many[what] - one[what]) / scale)
            print(f"{name} {what}: {difference:.1e}")
            assert difference < limit


# What `srun` and `scontrol` do of which the script can tell: two tasks, the highest status of them.
SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do shift; done
for task in 0 1; do
  SLURM_PROCID=$task SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=localhost "$@" &
  tasks+=($!)
done
echo "${tasks[1]}" > "$STUBS/second.pid"
highest=0
for task in "${tasks[@]}"; do
  wait "$task"; status=$?
  (( status > highest )) && highest=$status
done
exit "$highest"
"""
SCONTROL = """#!/bin/bash
echo "$@" >> "$STUBS/scontrol.txt"
"""


@pytest.fixture
def stubs(tmp_path):
    folder = tmp_path / "stubs"
    folder.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.slow
def test_the_slurm_script_requeues_what_one_hosts_signal_has_stopped(config_file, tmp_path, stubs):
    run = tmp_path / "run"
    job = 4096 * 7 + free_port(61440, 65535) - 61440  # its port is free
    path = f"{stubs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = environment(2, PATH=path, STUBS=str(stubs), SLURM_JOB_ID=str(job))
    env |= {"CONFIG": str(config_file), "PYTHONPATH": str(CONFIGS.parent)}

    def start(steps):
        words = [f"train.run={run}", f"train.steps={steps}", "train.checkpoint_every=100000"]
        return subprocess.Popen(
            ["bash", CONFIGS / "slurm" / "nodes.sbatch", *words],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    first = start(100000)
    for line in first.stdout:
        if line.startswith("step "):
            break
    os.kill(int((stubs / "second.pid").read_text()), signal.SIGUSR1)
    told, said = first.communicate(timeout=60)
    assert first.returncode == 75, said[-3000:]
    assert (stubs / "scontrol.txt").read_text() == f"requeue {job}\n"
    (step,) = saved_steps(run)
    assert said.count("stopped by SIGUSR1") == 1
    assert not re.search(r"^beginning", told, re.MULTILINE)  # that was read before, and once

    again = start(step + 6)
    told, said = again.communicate(timeout=600)
    assert again.returncode == 0, said[-3000:]
    assert told.count("going on with") == told.count("trained: ") == 1
    assert saved_steps(run)[-1] == step + 6
    lines = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines == sorted(set(lines))
    assert lines[-1] == step + 6


@pytest.mark.parametrize("name", ["one_node.sbatch", "nodes.sbatch"])
def test_slurm_scripts_are_sound(name):
    script = CONFIGS / "slurm" / name
    subprocess.run(["bash", "-n", script], check=True, timeout=10)
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.defpath}")
    if shellcheck:
        subprocess.run([shellcheck, script], check=True, timeout=30)
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", script.read_text(), re.MULTILINE))
    assert options["signal"].startswith("USR1@")  # to the step, not with B: to the shell alone
    assert {"requeue", "nodes", "ntasks-per-node"} <= set(options)


def test_the_jobset_has_what_kubernetes_and_the_hosts_ask_for():
    jobset = yaml.safe_load((CONFIGS / "kubernetes" / "jobset.yaml").read_text())
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (replicated,) = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    assert job["completionMode"] == "Indexed"
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy asks for it
    assert {volume["name"] for volume in pod["volumes"]} == {
        mount["name"] for mount in container["volumeMounts"]
    }
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    environment = {entry["name"]: entry for entry in container["env"]}
    assert set(environment) == {COORDINATOR, COUNT, INDEX}
    field = environment[INDEX]["valueFrom"]["fieldRef"]["fieldPath"]
    assert field == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    count = environment[COUNT]["value"]
    assert count == str(job["completions"]) == str(job["parallelism"])
    # The name that JobSet gives its first pod.
    first = f"{jobset['metadata']['name']}-{replicated['name']}-0-0.{jobset['metadata']['name']}"
    (port,) = container["ports"]
    coordinator = environment[COORDINATOR]["value"]
    assert coordinator == f"{first}:{port['containerPort']}"
    assert find_hosts({COORDINATOR: coordinator, COUNT: count, INDEX: "1"}) == Hosts(
        coordinator, int(count), 1
    )
