"""What is timed: three networks, and what one step of a task counts."""

from typing import Any

from jaxrain.diffusion.operations import forward_operations
from jaxrain.diffusion.unet import UNetConfig

# Fields of UNetConfig, then the sizes of what it is given.
NETWORKS: dict[str, dict[str, Any]] = {
    "small": {
        "model": {
            "inner_channel": 32,
            "channel_mults": [1, 2, 4],
            "res_blocks": 2,
            "norm_groups": 32,
            "attn_res": [],
        },
        "in_channels": 5,
        "image_size": 64,
        "batch": 8,
    },
    "source": {
        "model": {
            "inner_channel": 64,
            "channel_mults": [1, 2, 4, 8],
            "res_blocks": 2,
            "norm_groups": 32,
            "attn_res": [16],
        },
        "in_channels": 5,
        "image_size": 128,
        "batch": 2,
    },
    "tiny": {
        "model": {
            "inner_channel": 8,
            "channel_mults": [1, 2],
            "res_blocks": 1,
            "norm_groups": 4,
            "attn_res": [],
        },
        "in_channels": 5,
        "image_size": 16,
        "batch": 1,
    },
}
# Passes in units of a forward one: the backward pass has two products for each of its. In order
# of memory, because a process keeps what an earlier task took.
PASSES = {"forward": 1, "sampling_step": 1, "train_step": 3}

GEMM_SIZE = 2048  # rows and columns
COPY_SIZE = 2**26  # float32 numbers, 256 MiB: far beyond any cache


def operations(name: str, task: str) -> int:
    """Nominal operations of one step of a task; one yardstick for all systems."""
    network = NETWORKS[name]
    sizes = {key: value for key, value in network.items() if key != "model"}
    return PASSES[task] * forward_operations(UNetConfig(**network["model"]), **sizes)


def peak_jobs(gemm_size: int = GEMM_SIZE, copy_size: int = COPY_SIZE) -> list[dict[str, Any]]:
    """The machine's two limits: a float32 matrix product, and a pass that reads and writes."""
    return [
        {"task": "gemm", "size": gemm_size, "operations": 2 * gemm_size**3},
        {"task": "copy", "size": copy_size, "operations": 0, "bytes": 8 * copy_size},
    ]
