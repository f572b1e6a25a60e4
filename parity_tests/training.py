"""The same training in both packages: one set of batches, levels and noise, one optimizer."""

import copy
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx

from jaxrain.diffusion.process import DiffusionConfig, loss_at
from jaxrain.training.dialects import from_torch, to_torch
from jaxrain.training.mesh import create_mesh, put_batch, put_state
from jaxrain.training.settings import TrainConfig
from jaxrain.training.state import TrainState, create_state, make_train_step
from model.diffusion import GaussianDiffusion
from model.schedules import make_betas
from model.training import create_optimizer, train_step
from parity_tests.cases import Case
from parity_tests.frameworks import channels_last, jax_graph, torch_network, torch_state

Batch = dict[str, np.ndarray]
STEPS_OF_SCHEDULE = 200


def batches(case: Case, count: int, first: int = 0) -> Iterator[Batch]:
    """Batches first, first + 1, ...: x0, eps, condition [B, C, H, W], s [B, 1], mask, float64."""
    size, height, width = case.shape
    for number in range(first, first + count):
        rng = np.random.default_rng([case.seed, number])
        field = (size, 1, height, width)
        yield {
            "x0": rng.uniform(-1, 1, field),
            "eps": rng.normal(size=field),
            "condition": rng.normal(size=(size, case.in_channels - 1, height, width)),
            "s": rng.uniform(0.01, 0.99, (size, 1)),
            "mask": (rng.uniform(size=field) < 0.9).astype(np.float64),
        }


class TorchTraining:
    """A run in PyTorch from the fixture's weights."""

    def __init__(self, case: Case, config: TrainConfig, dtype: torch.dtype, **process: Any):
        network = torch_network(case, dtype)
        self.config, self.dtype = config, dtype
        self.process = GaussianDiffusion(
            network,
            make_betas("cosine", STEPS_OF_SCHEDULE),
            dialect=case.dialect,
            dtype=dtype,
            **process,
        )
        self.average = copy.deepcopy(network)
        self.optimizer = create_optimizer(
            network, beta2=config.beta2, weight_decay=config.weight_decay
        )
        self.step = 0

    def run(self, data: Iterator[Batch]) -> list[float]:
        """Trains on batches; returns their losses."""
        losses = []
        for batch in data:
            tensors = {name: torch.tensor(a, dtype=self.dtype) for name, a in batch.items()}
            loss, _ = train_step(
                self.process,
                self.average,
                self.optimizer,
                tensors,
                step=self.step,
                learning_rate=self.config.learning_rate,
                clip_norm=self.config.clip_norm,
                ema_decay=self.config.ema_decay,
            )
            losses.append(float(loss))
            self.step += 1
        return losses

    def weights(self) -> dict[str, np.ndarray]:
        return torch_state(self.process.network)

    def averaged(self) -> dict[str, np.ndarray]:
        return torch_state(self.average)


class JaxTraining:
    """A run with jaxrain's own compiled step, from the same weights."""

    def __init__(self, case: Case, config: TrainConfig, dtype: Any, **process: Any):
        graph, _ = jax_graph(case, dtype)
        diffusion = DiffusionConfig(**process)

        def loss(params: Any, batch: dict[str, jax.Array], key: jax.Array) -> Any:
            network = nnx.merge(graph, params)
            x0, condition, s, eps, mask = (
                batch[name] for name in ("x0", "condition", "s", "eps", "mask")
            )
            value, _ = loss_at(network, diffusion, x0, condition, s, eps, mask)
            return value, {}

        self.loss = loss
        self.config, self.dtype, self.mesh = config, dtype, create_mesh(1)
        weights = torch_state(torch_network(case, torch.float64))
        params = jax.tree.map(
            lambda a: jax.numpy.asarray(a, dtype), from_torch(weights, case.dialect)
        )
        self.state: TrainState = put_state(create_state(config, params), self.mesh)
        self.update = make_train_step(loss, config, self.mesh)

    def device_batch(self, batch: Batch) -> dict[str, jax.Array]:
        """Channels last, in this run's dtype."""
        arrays = {
            name: (channels_last(a) if a.ndim == 4 else a).astype(self.dtype)
            for name, a in batch.items()
        }
        return put_batch(arrays, self.mesh)

    def run(self, data: Iterator[Batch]) -> list[float]:
        """Trains on batches; returns their losses."""
        losses, key = [], jax.random.key(0)
        for batch in data:
            rate = self.dtype(self.config.learning_rate)
            self.state, metrics = self.update(self.state, self.device_batch(batch), key, rate)
            losses.append(float(metrics["loss"]))
        return losses


def worst(ours: Any, theirs: dict[str, np.ndarray], dialect: Any) -> float:
    """Largest difference of any weight, relative to the largest weight of all."""
    flat = to_torch(jax.tree.map(np.asarray, ours), dialect)
    assert list(flat) == list(theirs)
    difference = max(float(np.max(np.abs(flat[name] - a))) for name, a in theirs.items())
    return difference / max(float(np.max(np.abs(a))) for a in theirs.values())
