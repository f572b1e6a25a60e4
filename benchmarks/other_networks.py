"""The process in which `jaxrain.bench` times what a user would pick otherwise, from the registry.

Each U-Net has the widths, blocks and input of the network that it stands beside, with its library's
own blocks and attention. Its operations are counted by PyTorch on a forward pass, and its speed is
compared operation for operation.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from model.bench_worker import serve, step_of


class Unet2D(nn.Module):
    """diffusers' UNet2DModel under the reference's signature; attention in the middle."""

    def __init__(self, model: dict[str, Any], in_channels: int, image_size: int):
        from diffusers import UNet2DModel

        super().__init__()
        levels = len(model["channel_mults"])
        self.inner = UNet2DModel(
            sample_size=image_size,
            in_channels=in_channels,
            out_channels=1,
            block_out_channels=tuple(model["inner_channel"] * m for m in model["channel_mults"]),
            layers_per_block=model["res_blocks"],
            norm_num_groups=model["norm_groups"],
            down_block_types=("DownBlock2D",) * levels,
            up_block_types=("UpBlock2D",) * levels,
            attention_head_dim=None,
        )

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x [B, C, H, W], s [B, 1] -> [B, 1, H, W]."""
        return self.inner(x, s[:, 0] * 1000).sample


class Denoising(nn.Module):
    """denoising-diffusion-pytorch's Unet, with its two blocks a level and linear attention."""

    def __init__(self, model: dict[str, Any], in_channels: int, image_size: int):
        from denoising_diffusion_pytorch import Unet

        super().__init__()
        self.inner = Unet(
            dim=model["inner_channel"],
            dim_mults=tuple(model["channel_mults"]),
            channels=in_channels,
            out_dim=1,
        )

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x [B, C, H, W], s [B, 1] -> [B, 1, H, W]."""
        return self.inner(x, s[:, 0] * 1000)


class Song(nn.Module):
    """PhysicsNeMo's SongUNet (DDPM++), CorrDiff's network; attention in the middle."""

    def __init__(self, model: dict[str, Any], in_channels: int, image_size: int):
        from physicsnemo.models.diffusion_unets import SongUNet

        super().__init__()
        self.inner = SongUNet(
            img_resolution=image_size,
            in_channels=in_channels,
            out_channels=1,
            model_channels=model["inner_channel"],
            channel_mult=list(model["channel_mults"]),
            num_blocks=model["res_blocks"],
            attn_resolutions=list(model["attn_res"]),
            dropout=0.0,
        )

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x [B, C, H, W], s [B, 1] -> [B, 1, H, W]."""
        return self.inner(x, s[:, 0], class_labels=None)


NETWORKS: dict[str, type[nn.Module]] = {
    "unet2d": Unet2D,
    "unet": Denoising,
    "song_unet": Song,
}


def network_of(job: dict[str, Any]) -> nn.Module:
    """The network that a job's `mode`, a key of NETWORKS, asks for."""
    return NETWORKS[job["mode"]](job["model"], job["in_channels"], job["image_size"])


def make_step(job: dict[str, Any], device: torch.device) -> Callable[[], Any]:
    """The step that a job asks for; its keys are those of `model.bench_worker.make_step`."""
    return step_of(network_of(job), job | {"mode": "channels_last"}, device)


def count_operations(job: dict[str, Any]) -> int:
    """Of a job's step: a forward pass counted by PyTorch, a train step as three of them."""
    x = torch.zeros(job["batch"], job["in_channels"], job["image_size"], job["image_size"])
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network_of(job)(x, torch.zeros(job["batch"], 1))
    return counter.get_total_flops() * (3 if job["task"] == "train_step" else 1)


if __name__ == "__main__":
    serve(make_step, count_operations)
