"""The networks that the fixtures hold, and where their numbers lie."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxrain.training.dialects import Dialect

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network, its input's shape, and the seed of all its numbers.

    Attributes:
      name: stem of its files.
      dialect: decides names, upsampling and kind of dropout.
      in_channels: condition and noisy target.
      image_size: what attention's place is decided from.
      shape: (batch, height, width) of the input.
      seed: of weights and input.
      network: further settings, the same keys in both packages.
    """

    name: str
    dialect: Dialect
    in_channels: int
    image_size: int
    shape: tuple[int, int, int]
    seed: int
    network: dict[str, Any] = field(default_factory=dict)

    @property
    def upsample(self) -> str:
        return "nearest" if self.dialect == "sr3" else "bicubic"


CASES = (
    # The source's configuration, with 4 channels for 64 and 32 pixels for 128.
    Case(
        name="source_shrunk",
        dialect="sr3",
        in_channels=5,
        image_size=32,
        shape=(3, 32, 32),
        seed=1,
        network={"inner_channel": 4, "norm_groups": 2, "attn_res": (4,)},
    ),
    Case(
        name="climate_middle_attention",
        dialect="climate",
        in_channels=22,
        image_size=32,
        shape=(3, 24, 40),
        seed=2,
        network={
            "inner_channel": 8,
            "norm_groups": 4,
            "channel_mults": (1, 2),
            "res_blocks": 1,
            "attn_res": (),
        },
    ),
    Case(
        name="nearest_orthogonal",
        dialect="sr3",
        in_channels=9,
        image_size=32,
        shape=(1, 12, 20),
        seed=3,
        network={
            "inner_channel": 8,
            "norm_groups": 8,
            "channel_mults": (1, 2, 4),
            "res_blocks": 1,
            "attn_res": (16,),
            "init": "orthogonal",
        },
    ),
    Case(
        name="bicubic_normal",
        dialect="climate",
        in_channels=5,
        image_size=32,
        shape=(1, 28, 12),
        seed=4,
        network={
            "inner_channel": 8,
            "norm_groups": 4,
            "channel_mults": (1, 3, 4),
            "res_blocks": 1,
            "attn_res": (16, 8),
            "init": "normal",
        },
    ),
    # What the public networks lack: space-to-depth and the log-SNR embedding.
    Case(
        name="patchified_log_snr",
        dialect="sr3",
        in_channels=9,
        image_size=64,
        shape=(1, 40, 56),
        seed=5,
        network={
            "inner_channel": 8,
            "norm_groups": 4,
            "channel_mults": (1, 2),
            "res_blocks": 2,
            "attn_res": (16,),
            "patchify": 2,
            "embedding": "log_snr",
        },
    ),
)


def fixture(case: Case, part: str) -> np.ndarray:
    """One of a case's arrays.

    weights: float32 [P], all parameters in PyTorch's order and layout, end to end.
    input: float32 [B, C, H, W]. level: float32 [B, 1]. output: float64 [B, 1, H, W], PyTorch's.
    """
    return np.load(FIXTURES / f"{case.name}.{part}.npy", allow_pickle=False)
