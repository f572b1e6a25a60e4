"""Measures every row of the table of tolerances. The tests hold these numbers to the limits, and
`python -m parity_tests.table` prints them."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from jaxrain import convert
from jaxrain.config import load_config, save_config
from jaxrain.diffusion import process, samplers, schedules
from jaxrain.training.checkpoint import open_checkpoints
from jaxrain.training.dialects import from_torch, to_torch
from jaxrain.training.settings import TrainConfig
from model import samplers as torch_samplers
from model.diffusion import GaussianDiffusion
from model.schedules import make_betas, make_buffers
from parity_tests.cases import CASES, Case, fixture
from parity_tests.frameworks import (
    channels_first,
    channels_last,
    fresh_torch_network,
    jax_network,
    relative_error,
    run_jax,
    run_torch,
    torch_network,
)
from parity_tests.training import JaxTraining, TorchTraining, batches, worst

CLIMATE, SR3 = CASES[1], CASES[2]
TORCH: dict[Any, torch.dtype] = {np.float32: torch.float32, np.float64: torch.float64}
SETTINGS = TrainConfig(learning_rate=1e-4, weight_decay=0.01, clip_norm=0.3, ema_decay=0.9)


def forward(dtype: Any) -> float:
    """Largest error of any fixture's network."""
    errors = []
    for case in CASES:
        network = torch_network(case, TORCH[dtype])
        x, s = fixture(case, "input"), fixture(case, "level")
        ours = run_jax(jax_network(case, network, dtype), x, s)
        errors.append(relative_error(ours, run_torch(network, x, s)))
    return max(errors)


def forward_rounded() -> float:
    """Values of any fixture's output that differ once rounded to float32."""
    unequal = 0
    for case in CASES:
        network = torch_network(case, torch.float64)
        ours = run_jax(
            jax_network(case, network, np.float64), fixture(case, "input"), fixture(case, "level")
        )
        theirs = fixture(case, "output")
        unequal += int(np.sum(ours.astype(np.float32) != theirs.astype(np.float32)))
    return unequal


def loss_and_gradient(dtype: Any, *, each: bool) -> float:
    """Error of loss and global gradient norm, or of each parameter's gradient where `each`."""
    errors = []
    kinds: tuple[tuple[Case, dict[str, Any]], ...] = (
        (CLIMATE, {"prediction": "v", "weighting": "min_snr"}),
        (SR3, {"loss": "l1"}),
    )
    for case, kind in kinds:
        theirs = TorchTraining(case, SETTINGS, TORCH[dtype], **kind)
        ours = JaxTraining(case, SETTINGS, dtype, **kind)
        batch = next(batches(case, 1))
        gradient = jax.jit(jax.value_and_grad(ours.loss, has_aux=True))
        key = jax.random.key(0)
        (loss, _), grads = gradient(ours.state.params, ours.device_batch(batch), key)
        expected = theirs.process.loss_at(
            **{name: torch.tensor(a, dtype=TORCH[dtype]) for name, a in batch.items()}
        )
        expected.backward()
        flat = to_torch(jax.tree.map(np.asarray, grads), case.dialect)
        torch_flat = [np.asarray(p.grad) for p in theirs.process.network.parameters()]
        pairs = list(zip(flat.values(), torch_flat, strict=True))
        if each:
            largest = max(float(np.max(np.abs(b))) for _, b in pairs)
            errors.append(max(float(np.max(np.abs(a - b))) for a, b in pairs) / largest)
        else:
            norms = [np.sqrt(sum(np.sum(np.float64(p[i]) ** 2) for p in pairs)) for i in (0, 1)]
            errors += [abs(float(loss) / expected.item() - 1), abs(norms[0] / norms[1] - 1)]
    return max(errors)


def training(steps: int) -> float:
    """Error of weights, and average, with clipping and weight decay."""
    theirs = TorchTraining(CLIMATE, SETTINGS, torch.float64)
    ours = JaxTraining(CLIMATE, SETTINGS, np.float64)
    theirs.run(batches(CLIMATE, steps))
    ours.run(batches(CLIMATE, steps))
    return max(
        worst(ours.state.params, theirs.weights(), CLIMATE.dialect),
        worst(ours.state.ema, theirs.averaged(), CLIMATE.dialect),
    )


def schedule_buffers() -> float:
    """Values of the twelve buffers of all schedules in which the packages differ."""
    differ = 0
    for name in schedules.SCHEDULES:
        ours = schedules.buffers(schedules.make_schedule(name, 2000, 1e-6, 1e-2))
        theirs = make_buffers(make_betas(name, 2000, 1e-6, 1e-2))
        assert ours.keys() == theirs.keys()
        differ += sum(int(np.sum(ours[key] != theirs[key])) for key in ours)
    return differ


def schedule_formula() -> float:
    """Error of betas (of the largest) and alpha_bar (of each) against long-double formulas."""
    steps, start, end = 2000, np.longdouble(1e-4), np.longdouble(2e-2)
    i = np.arange(steps, dtype=np.longdouble)
    ramp = i / (steps - 1)

    def warmup(warm: int) -> np.ndarray:
        return start + (end - start) * np.minimum(i / (warm - 1), 1)

    j = np.arange(steps + 1, dtype=np.longdouble)
    pi = np.longdouble(4) * np.arctan(np.longdouble(1))
    offset, span = np.longdouble("0.008"), np.longdouble("1.008")
    cosine = np.cos((j / steps + offset) / span * pi / 2) ** 2
    formulas = {
        "linear": start + (end - start) * ramp,
        "quad": (np.sqrt(start) + (np.sqrt(end) - np.sqrt(start)) * ramp) ** 2,
        "const": np.full(steps, end),
        "jsd": 1 / (steps - i),
        "warmup10": warmup(steps // 10),
        "warmup50": warmup(steps // 2),
        "cosine": np.minimum(1 - cosine[1:] / cosine[:-1], np.longdouble("0.999")),
    }
    assert formulas.keys() == schedules.SCHEDULES.keys()
    errors = []
    for name, betas in formulas.items():
        ours = schedules.make_schedule(name, steps, 1e-4, 2e-2)
        alpha_bar = np.cumprod(1 - betas)
        errors.append(np.max(np.abs(ours.betas - betas)) / np.max(betas))
        left = alpha_bar > 0
        errors.append(np.max(np.abs(ours.alpha_bar[1:][left] / alpha_bar[left] - 1)))
    return float(max(errors))


def noising_and_posterior() -> float:
    """Error of q_sample and of the posterior's mean and log variance, float64."""
    rng = np.random.default_rng(0)
    x0, x = rng.normal(size=(2, 3, 8, 8, 1))
    betas = make_betas("cosine", 2000)
    theirs = GaussianDiffusion(torch.nn.Identity(), betas, dtype=torch.float64)
    schedule = schedules.make_schedule("cosine", 2000)
    errors = []
    for t in (1, 2, 700, 1999, 2000):
        s = schedule.s[t]
        level = torch.tensor(s)
        noised = theirs.q_sample(torch.tensor(x0), level, torch.tensor(x)).numpy()
        errors.append(relative_error(process.q_sample(jnp.asarray(x0), s, jnp.asarray(x)), noised))
        mean, log_variance = process.posterior(schedule, jnp.asarray(x0), jnp.asarray(x), t)
        other, other_log = theirs.posterior(torch.tensor(x0), torch.tensor(x), t)
        errors.append(relative_error(mean, other.numpy()))
        errors.append(relative_error(log_variance, other_log.numpy()))
    return max(errors)


def chain(dtype: Any, name: str, steps: int, **options: Any) -> float:
    """Error of a whole chain's end from shared noise, a network with random weights."""
    case, schedule = SR3, schedules.make_schedule("cosine", 2000)
    network = torch_network(case, TORCH[dtype])
    theirs = GaussianDiffusion(network, schedule.betas, dtype=TORCH[dtype])
    rng = np.random.default_rng(case.seed)
    size, height, width = case.shape
    condition = rng.normal(size=(size, case.in_channels - 1, height, width)).astype(dtype)
    noises = rng.normal(size=(steps + 1, size, 1, height, width)).astype(dtype)
    expected = getattr(torch_samplers, name)(
        lambda x, s: theirs.denoise(x, torch.tensor(condition), s),
        lambda k: torch.tensor(noises[k]),
        theirs.alpha_bar,
        steps=steps,
        **options,
    ).numpy()
    net = jax_network(case, network, dtype)

    @jax.jit
    def run(condition: jax.Array, noises: jax.Array) -> jax.Array:
        denoise = process.denoiser(
            lambda x, s: net(x, s), condition, process.DiffusionConfig(prediction="eps")
        )
        sample = samplers.SAMPLERS[name]
        return sample(denoise, lambda k: noises[k], schedule, steps=steps, **options)

    ours = run(channels_last(condition), np.moveaxis(noises, 2, -1))
    assert ours.dtype == dtype
    return relative_error(channels_first(np.asarray(ours)), expected)


def chains(dtype: Any) -> float:
    """The largest error of the chains that the promise names."""
    return max(
        chain(dtype, "ddpm", 2000),
        chain(dtype, "ddim", 250),
        chain(dtype, "ddim", 250, eta=0.5),
        chain(dtype, "dpmpp_2m", 20),
        chain(dtype, "heun", 39),
        chain(dtype, "heun", 39, eta=0.5),
    )


FULL = Case(
    name="full_size", dialect="sr3", in_channels=5, image_size=128, shape=(1, 128, 128), seed=7
)


def full_size(dtype: Any) -> float:
    """Error of the source's network, 61 million parameters, on a 128 x 128 input."""
    torch.manual_seed(FULL.seed)
    network = fresh_torch_network(FULL).to(TORCH[dtype]).eval()
    x, s = torch.randn(1, 5, 128, 128).numpy(), np.array([[0.6]], np.float32)
    return relative_error(
        run_jax(jax_network(FULL, network, dtype), x, s), run_torch(network, x, s)
    )


RESUME_CONFIG = """
data: {{patch: 32, store: {folder}/none}}
model: {{norm_groups: 4, attn_res: []}}
diffusion: {{steps: 200}}
sample: {{tile: 32, overlap: 8}}
train: {{learning_rate: 1e-4, clip_norm: 0.3, run: {folder}/run}}
"""


def resume() -> float:
    """20 steps in either package, conversion by the command, 20 in the other; against 40."""
    settings = TrainConfig(learning_rate=1e-4, clip_norm=0.3)

    def torch_run() -> TorchTraining:
        return TorchTraining(CLIMATE, settings, torch.float64)

    def jax_run() -> JaxTraining:
        return JaxTraining(CLIMATE, settings, np.float64)

    whole = torch_run()
    whole.run(batches(CLIMATE, 40))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "c.yaml").write_text(RESUME_CONFIG.format(folder=folder))

        half = torch_run()
        half.run(batches(CLIMATE, 20))
        torch.save(half.process.state_dict(), folder / "half_gen.pth")
        state = {"epoch": 0, "iter": 20, "scheduler": None}
        torch.save(state | {"optimizer": half.optimizer.state_dict()}, folder / "half_opt.pth")
        words = [str(folder / "half_gen.pth"), str(folder / "run")]
        assert convert.main([*words, "--config", str(folder / "c.yaml")]) == 0
        ours = jax_run()
        with open_checkpoints(folder / "run") as checkpoints:
            ours.state, _ = checkpoints.restore(ours.state)
        ours.run(batches(CLIMATE, 20, first=20))
        there = worst(ours.state.params, whole.weights(), CLIMATE.dialect)

        ours = jax_run()
        ours.run(batches(CLIMATE, 20))
        (folder / "other").mkdir()
        save_config(load_config(folder / "run" / "config.yaml"), folder / "other" / "config.yaml")
        with open_checkpoints(folder / "other") as checkpoints:
            checkpoints.save(ours.state, {})
        assert convert.main([str(folder / "other"), str(folder / "back_gen.pth")]) == 0
        half = torch_run()
        half.process.load_state_dict(torch.load(folder / "back_gen.pth", weights_only=True))
        adam = torch.load(folder / "back_opt.pth", weights_only=True)
        half.optimizer.load_state_dict(adam["optimizer"])
        half.step = 20
        half.run(batches(CLIMATE, 20, first=20))
        arrived = from_torch(half.weights(), CLIMATE.dialect)
        back = worst(arrived, whole.weights(), CLIMATE.dialect)
    return max(there, back)


# Row of the table -> what measures it, and whether it takes long.
MEASURES: dict[str, tuple[Callable[[], float], bool]] = {
    "forward_float64": (partial(forward, np.float64), False),
    "forward_rounded": (forward_rounded, False),
    "forward_float32": (partial(forward, np.float32), False),
    "loss_float64": (partial(loss_and_gradient, np.float64, each=False), False),
    "loss_float32": (partial(loss_and_gradient, np.float32, each=False), True),
    "gradient_float64": (partial(loss_and_gradient, np.float64, each=True), True),
    "step_float64": (partial(training, 1), False),
    "training_float64": (partial(training, 100), True),
    "schedule": (schedule_buffers, False),
    "schedule_formula": (schedule_formula, False),
    "process": (noising_and_posterior, False),
    "chain_float64": (partial(chains, np.float64), True),
    "chain_float32": (partial(chains, np.float32), True),
    "full_float64": (partial(full_size, np.float64), True),
    "full_float32": (partial(full_size, np.float32), True),
    "resume_float64": (resume, True),
}
