"""What is timed: three networks, and what one step of a task counts."""

from jaxrain.diffusion.operations import forward_operations
from jaxrain.diffusion.unet import UNetConfig
from jaxrain.speed.rows import Row

# Fields of UNetConfig, then the sizes of what it is given.
NETWORKS: dict[str, Row] = {
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
GEMM_SIZE_ON_GPU = 8192  # where the smaller one is over before its launch has paid
COPY_SIZE = 2**26  # float32 numbers, 256 MiB: far beyond any cache


def pass_jobs(name: str, precision: str = "float32", batch: int | None = None) -> list[Row]:
    """The jobs of one network, in PASSES' order.

    Args:
      name: of the network.
      precision: of its arithmetic, 'float32' or 'bfloat16'; weights stay float32.
      batch: instead of the network's own.
    """
    network = NETWORKS[name] | ({} if batch is None else {"batch": batch})
    asked = {"network": name, "precision": precision}
    return [
        {**network, **asked, "task": task, "operations": operations(network, task)}
        for task in PASSES
    ]


def operations(network: Row, task: str) -> int:
    """Nominal operations of one step of a task; one yardstick for all systems."""
    sizes = {key: network[key] for key in ("in_channels", "image_size", "batch")}
    return PASSES[task] * forward_operations(UNetConfig(**network["model"]), **sizes)


def peak_jobs(
    gemm_size: int = GEMM_SIZE, copy_size: int = COPY_SIZE, precision: str = "float32"
) -> list[Row]:
    """The machine's two limits: a matrix product, and a pass that reads and writes float32."""
    return [
        {
            "task": "gemm",
            "size": gemm_size,
            "size_on_gpu": GEMM_SIZE_ON_GPU,
            "precision": precision,
            "operations": 2 * gemm_size**3,
        },
        {"task": "copy", "size": copy_size, "operations": 0, "bytes": 8 * copy_size},
    ]
