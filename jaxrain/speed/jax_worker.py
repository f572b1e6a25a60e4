"""The process in which `jaxrain.bench` times JAX: one repetition at a time when asked.

What it is told and what it answers: `jaxrain.speed.turns`. A new job replaces the last.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrain.allocator import keep_freed_memory
from jaxrain.diffusion.convolution import PRECISION
from jaxrain.diffusion.process import DiffusionConfig, denoiser, training_loss
from jaxrain.diffusion.samplers import SAMPLERS
from jaxrain.diffusion.schedules import make_schedule
from jaxrain.diffusion.unet import UNetConfig
from jaxrain.downscaler import load
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.store import open_store
from jaxrain.training.mesh import create_mesh, keep_compiled_programs, put_batch, put_state
from jaxrain.training.network import define_network
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import create_state, make_train_step
from jaxrain.training.trimming import give_back_freed
from jaxrain.validation import choose_cases, draw

# Does one step and returns arrays that are ready when it is done.
Step = Callable[[], Any]


def make_step(job: dict[str, Any]) -> Step:
    """The step that a job asks for, with random inputs already on the device.

    Args:
      job: `task` (gemm, copy, forward, train_step, sampling_step or member); for gemm and copy
        `size`, for gemm `size_on_gpu` too; for member `run`, `sampler`, `steps`, `members`; for
        the others `model` (fields of UNetConfig), `in_channels`, `image_size`, `batch`. All but
        copy and member have `precision`, float32 or bfloat16, and `mode`, jit or rematerialise:
        all levels.
    """
    draw = np.random.default_rng(0).standard_normal
    if job["task"] == "gemm":
        a = jnp.asarray(draw((_gemm_size(job),) * 2), job["precision"])
        multiply = jax.jit(lambda a: jnp.matmul(a, a, precision=PRECISION))
        return lambda: multiply(a)
    if job["task"] == "copy":
        b = jnp.zeros(job["size"], jnp.float32)
        add = jax.jit(lambda b: b + 1)
        return lambda: add(b)
    if job["task"] == "member":
        return _member(job)

    diffusion = DiffusionConfig()
    schedule = make_schedule(diffusion.schedule, diffusion.steps, diffusion.start, diffusion.end)
    predictors, edge = job["in_channels"] - 1, job["image_size"]
    init, apply = define_network(
        UNetConfig(**job["model"]),
        DataConfig(patch=edge),
        channels=predictors,
        precision=job["precision"],
        rematerialise=len(job["model"]["channel_mults"]) if job["mode"] == "rematerialise" else 0,
    )
    params = init(0)
    shape = (job["batch"], edge, edge)
    batch = {
        "condition": draw((*shape, predictors)).astype(np.float32),
        "x0": draw((*shape, 1)).astype(np.float32),
    }
    if job["task"] == "train_step":
        return _training(apply, diffusion, schedule, params, batch)

    condition, x = jnp.asarray(batch["condition"]), jnp.asarray(batch["x0"])
    if job["task"] == "forward":
        forward = jax.jit(apply)
        both, s = jnp.concatenate([condition, x], -1), jnp.full((job["batch"], 1), 0.5)
        return lambda: forward(params, both, s)

    @jax.jit
    def sample(params: Any, condition: jax.Array, x: jax.Array) -> jax.Array:
        denoise = denoiser(lambda x, s: apply(params, x, s), condition, diffusion)
        return SAMPLERS["ddim"](denoise, lambda k: x, schedule, steps=1)

    return lambda: sample(params, condition, x)


def _gemm_size(job: dict[str, Any]) -> int:
    size: int = job["size" if jax.default_backend() == "cpu" else "size_on_gpu"]
    return size


def _member(job: dict[str, Any]) -> Step:
    """Members of a run, as `sample` draws them: predictors interpolated, one program a chain."""
    downscaler = load(job["run"])
    config = downscaler.config
    case = choose_cases(config, open_store(config.data.store, config.data))[0]
    sample = dataclasses.replace(config.sample, sampler=job["sampler"], steps=job["steps"])
    program = downscaler.program(sample)
    return lambda: draw(program, downscaler.weights, case, job["members"])


def _training(apply: Any, diffusion: Any, schedule: Any, params: Any, batch: Any) -> Step:
    def loss(params: Any, batch: Any, key: jax.Array) -> Any:
        def network(x: jax.Array, s: jax.Array) -> jax.Array:
            return apply(params, x, s)

        value, _ = training_loss(network, diffusion, schedule, key, batch["x0"], batch["condition"])
        return value, {}

    # One device: a bench of the machine's kernels, not of how they scale.
    config, mesh = TrainConfig(devices=1), create_mesh(1)
    train_step = make_train_step(loss, config, mesh)
    state = put_state(create_state(config, params), mesh)
    placed = put_batch(batch, mesh)
    key, rate = put_state((jax.random.key(1), jnp.float32(config.learning_rate)), mesh)

    def step() -> Any:
        nonlocal state
        state, metrics = train_step(state, placed, key, rate)
        return state, metrics

    return step


def _peak_memory_mib() -> float | None:
    """Of the device where it counts for itself; None on CPU, whose process is watched instead."""
    statistics = jax.devices()[0].memory_stats() or {}
    peak = statistics.get("peak_bytes_in_use")
    return None if peak is None else peak / 2**20


def main() -> None:
    """Serves until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is not an answer
    keep_compiled_programs()
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, dict):
            step, compiled = make_step(request), False
            counted = [2 * _gemm_size(request) ** 3] if request["task"] == "gemm" else []
            continue
        start = time.perf_counter()
        for _ in range(request):
            done = step()
        jax.block_until_ready(done)
        seconds = time.perf_counter() - start
        if not compiled:  # as training does once it compiled
            compiled = True
            give_back_freed()
        print(json.dumps([seconds, _peak_memory_mib(), *counted]), file=answers, flush=True)


if __name__ == "__main__":
    keep_freed_memory()  # as training and sampling do
    main()
