"""The process in which `jaxrain.bench` times PyTorch: one repetition at a time when asked.

Standard input brings a job, a JSON object on one line, then a count of steps a line; each count is
answered on standard output by the seconds that so many steps took. A new job replaces the last.
The steps are those of the JAX worker: same loss, clipping, AdamW and running average.
"""

import copy
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from model.diffusion import GaussianDiffusion, update_ema
from model.samplers import ddim
from model.schedules import make_betas
from model.unet import UNet, UNetConfig

LAYOUTS = {
    "eager_nchw": torch.contiguous_format,
    "channels_last": torch.channels_last,
    "compile": torch.channels_last,
    "cuda_graphs": torch.channels_last,
}


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Autocast(nn.Module):
    """A network whose arithmetic is in bfloat16 where PyTorch finds that safe."""

    def __init__(self, network: nn.Module, device: torch.device):
        super().__init__()
        self.network, self.device = network, device

    def forward(self, x: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        """x [B, C, H, W], s [B, 1] -> [B, 1, H, W] in float32."""
        with torch.autocast(self.device.type, torch.bfloat16):
            return self.network(x, s).float()


def make_step(job: dict[str, Any], device: torch.device) -> Callable[[], Any]:
    """The step that a job asks for, with random inputs already on the device.

    Args:
      job: `task` (gemm, copy, forward, train_step, sampling_step or member); for gemm and copy
        `size`, for gemm `size_on_gpu` too; for the others `model` (fields of UNetConfig),
        `in_channels`, `image_size`, `batch` and `mode` (a key of LAYOUTS); for member also
        `source_steps`. `precision`, a key of DTYPES, is float32 where it is not given.
      device: where all of it lies.
    """
    torch.manual_seed(0)
    if job["task"] == "gemm":
        size = _gemm_size(job, device)
        a = torch.randn(size, size, device=device, dtype=DTYPES[job["precision"]])
        return lambda: a @ a

    if job["task"] == "copy":
        b = torch.zeros(job["size"], device=device)
        c = torch.empty_like(b)
        return lambda: torch.add(b, 1, out=c)

    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in job["model"].items()
    }
    network = UNet(
        UNetConfig(**fields), in_channels=job["in_channels"], image_size=job["image_size"]
    )
    return step_of(network, job, device)


def _gemm_size(job: dict[str, Any], device: torch.device) -> int:
    size: int = job["size" if device.type == "cpu" else "size_on_gpu"]
    return size


def step_of(network: nn.Module, job: dict[str, Any], device: torch.device) -> Callable[[], Any]:
    """The step of a task for any network(x [B, C, H, W], s [B, 1]); job as in `make_step`."""
    layout = LAYOUTS[job["mode"]]
    batch, edge = job["batch"], job["image_size"]
    if job.get("precision") == "bfloat16":
        network = Autocast(network, device)
    process = GaussianDiffusion(network, make_betas("cosine", 2000)).to(device)
    process.to(memory_format=layout)  # type: ignore[call-overload]
    condition, x = (
        torch.randn(batch, channels, edge, edge, device=device).contiguous(memory_format=layout)
        for channels in (job["in_channels"] - 1, 1)
    )
    if job["mode"] == "compile":
        network.compile()
    if job["mode"] == "cuda_graphs":
        if device.type != "cuda":
            raise SystemExit("CUDA graphs need a GPU")
        network.compile(mode="reduce-overhead")
    if job["task"] == "train_step":
        return _training(process, x, condition)

    process.eval()
    if job["task"] == "forward":
        both = torch.cat([condition, x], 1).contiguous(memory_format=layout)
        s = torch.full((batch, 1), 0.5, device=device)
        return torch.inference_mode()(lambda: network(both, s))

    @torch.inference_mode()
    def sample() -> torch.Tensor:
        return ddim(
            lambda x, s: process.denoise(x, condition, s),
            lambda k: x,
            process.alpha_bar,
            steps=job["source_steps"] if job["task"] == "member" else 1,
        )

    return sample


def _training(
    process: GaussianDiffusion, x0: torch.Tensor, condition: torch.Tensor
) -> Callable[[], Any]:
    network = process.network
    average = copy.deepcopy(network)
    # fused: the fastest of its three implementations.
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.0, fused=True)

    def step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = process(x0, condition)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        update_ema(average, network, 0.9999)
        return loss.detach()

    return step


def serve(
    make_step: Callable[[dict[str, Any], torch.device], Callable[[], Any]],
    count_operations: Callable[[dict[str, Any]], int] | None = None,
) -> None:
    """Answers until standard input ends.

    Args:
      make_step: makes a job's step.
      count_operations: of a job's step, for networks that the asker cannot count.
    """
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is not an answer
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    accelerated = torch.cuda.is_available()
    device = torch.device("cuda" if accelerated else "cpu")
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, dict):
            step = make_step(request, device)
            operations = count_operations(request) if count_operations else None
            if request["task"] == "gemm":
                operations = 2 * _gemm_size(request, device) ** 3
            continue
        start = time.perf_counter()
        for _ in range(request):
            step()
        if accelerated:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        # On CPU the process's memory is watched from outside.
        peak = torch.cuda.max_memory_allocated() / 2**20 if accelerated else None
        print(json.dumps([seconds, peak, operations]), file=answers, flush=True)


if __name__ == "__main__":
    serve(make_step)
