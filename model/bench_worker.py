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

from model.diffusion import GaussianDiffusion, update_ema
from model.samplers import ddim
from model.schedules import make_betas
from model.unet import UNet, UNetConfig

LAYOUTS = {"eager_nchw": torch.contiguous_format, "channels_last": torch.channels_last}


def make_step(job: dict[str, Any], device: torch.device) -> Callable[[], Any]:
    """The step that a job asks for, with random inputs already on the device.

    Args:
      job: `task` (gemm, forward, train_step or sampling_step); for gemm `size`; for the others
        `model` (fields of UNetConfig), `in_channels`, `image_size`, `batch` and `mode` (a key of
        LAYOUTS).
      device: where all of it lies.
    """
    torch.manual_seed(0)
    if job["task"] == "gemm":
        a = torch.randn(job["size"], job["size"], device=device)
        return lambda: a @ a

    layout = LAYOUTS[job["mode"]]
    batch, edge = job["batch"], job["image_size"]
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in job["model"].items()
    }
    config = UNetConfig(**fields)
    network = UNet(config, in_channels=job["in_channels"], image_size=edge)
    process = GaussianDiffusion(network, make_betas("cosine", 2000)).to(device)
    process.to(memory_format=layout)  # type: ignore[call-overload]
    condition, x = (
        torch.randn(batch, channels, edge, edge, device=device).contiguous(memory_format=layout)
        for channels in (job["in_channels"] - 1, 1)
    )
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
            lambda x, s: process.denoise(x, condition, s), lambda k: x, process.alpha_bar, steps=1
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


def main() -> None:
    """Serves until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is not an answer
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    accelerated = torch.cuda.is_available()
    device = torch.device("cuda" if accelerated else "cpu")
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, dict):
            step = make_step(request, device)
            continue
        start = time.perf_counter()
        for _ in range(request):
            step()
        if accelerated:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        # On CPU the process's memory is watched from outside.
        peak = torch.cuda.max_memory_allocated() / 2**20 if accelerated else None
        print(json.dumps([seconds, peak]), file=answers, flush=True)


if __name__ == "__main__":
    main()
