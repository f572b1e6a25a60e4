"""The SR3 U-Net (Saharia et al. 2021, arXiv:2104.07636) in PyTorch: the reference.

Names of parameters are those of the two public dialects of this network, so that their checkpoints
load with plain `load_state_dict(strict=True)`. Channels first.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Dialect = Literal["sr3", "climate"]
Initialisation = Literal["kaiming", "normal", "orthogonal"]


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Shape of the network; attributes as in the JAX package's, which explains them.

    Attributes:
      dialect: names of parameters, and what `upsample` and `dropout_kind` are where None: sr3 is
        nearest with dropout of elements, climate is bicubic with dropout of channels.
    """

    dialect: Dialect = "sr3"
    inner_channel: int = 64
    channel_mults: tuple[int, ...] = (1, 2, 4, 8)
    res_blocks: int = 2
    norm_groups: int = 32
    attn_res: tuple[int, ...] = (16,)
    dropout: float = 0.0
    dropout_kind: Literal["element", "channel"] | None = None
    upsample: Literal["nearest", "bicubic"] | None = None
    init: Initialisation = "kaiming"
    patchify: int = 1
    embedding: Literal["level", "log_snr"] = "level"


class Sinusoids(nn.Module):
    """s [B, 1] -> [B, size]: sines and cosines of the noise level."""

    def __init__(self, size: int, kind: Literal["level", "log_snr"]):
        super().__init__()
        self.size = size
        self.kind = kind

    def forward(self, s: Tensor) -> Tensor:
        """[B, 1] -> [B, size]."""
        if self.kind == "log_snr":
            tiny = torch.finfo(s.dtype).tiny
            noise = torch.log(torch.clamp((1 - s) * (1 + s), min=tiny))
            s = 2.5 * torch.clamp(0.5 * noise - torch.log(torch.clamp(s, min=tiny)), -10, 10)
        half = self.size // 2
        k = torch.arange(half, dtype=s.dtype, device=s.device)
        angle = s * torch.exp(-math.log(1e4) * k / half)
        return torch.cat([torch.sin(angle), torch.cos(angle)], -1)


class NoiseShift(nn.Module):
    """Adds Linear(embedding) to the channels; the dialects name the same layer differently."""

    def __init__(self, embedding: int, channels: int, dialect: Dialect):
        super().__init__()
        linear = nn.Linear(embedding, channels)
        self.noise_func = nn.Sequential(linear) if dialect == "sr3" else linear

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x [B, C, H, W], embedding [B, D] -> [B, C, H, W]."""
        return x + self.noise_func(embedding)[:, :, None, None]


class Block(nn.Module):
    """GroupNorm, swish, dropout, 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, groups: int, dropout: nn.Module | None = None):
        super().__init__()
        self.block = nn.Sequential(
            nn.GroupNorm(groups, inputs),
            nn.SiLU(),
            nn.Identity() if dropout is None else dropout,
            nn.Conv2d(inputs, outputs, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, H, W] -> [B, O, H, W]."""
        return self.block(x)


class ResidualBlock(nn.Module):
    """Two blocks with the noise embedding between them, around a skip connection."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig):
        super().__init__()
        kind = config.dropout_kind or ("element" if config.dialect == "sr3" else "channel")
        drop = (nn.Dropout if kind == "element" else nn.Dropout2d)(config.dropout)
        # The optimizer's state is kept by order of registration: noise_func comes first.
        self.noise_func = NoiseShift(config.inner_channel, outputs, config.dialect)
        self.block1 = Block(inputs, outputs, config.norm_groups)
        self.block2 = Block(outputs, outputs, config.norm_groups, drop if config.dropout else None)
        self.res_conv = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x [B, I, H, W], embedding [B, D] -> [B, O, H, W]."""
        h = self.noise_func(self.block1(x), embedding)
        return self.block2(h) + self.res_conv(x)


class SelfAttention(nn.Module):
    """One head over all positions, with its residual."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same."""
        query, key, value = self.qkv(self.norm(x)).flatten(2).chunk(3, 1)  # [B, C, N] each
        score = torch.einsum("bcq,bck->bqk", query, key) / math.sqrt(x.shape[1])
        mixed = torch.einsum("bqk,bck->bcq", torch.softmax(score, -1), value)
        return x + self.out(mixed.reshape(x.shape))


class Stage(nn.Module):
    """A residual block, and self-attention after it at some resolutions."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig, attention: bool):
        super().__init__()
        self.res_block = ResidualBlock(inputs, outputs, config)
        if attention:
            self.attn = SelfAttention(outputs, config.norm_groups)
        self.attention = attention

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x [B, I, H, W], embedding [B, D] -> [B, O, H, W]."""
        h = self.res_block(x, embedding)
        return self.attn(h) if self.attention else h


class Down(nn.Module):
    """Halves both axes with a strided 3x3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H / 2, W / 2]."""
        return self.conv(x)


class Up(nn.Module):
    """Doubles both axes, then a 3x3 convolution."""

    def __init__(self, channels: int, config: UNetConfig):
        super().__init__()
        self.method = config.upsample or ("nearest" if config.dialect == "sr3" else "bicubic")
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, 2 H, 2 W]."""
        return self.conv(F.interpolate(x, scale_factor=2, mode=self.method))


class UNet(nn.Module):
    """The denoising network; arguments as in the JAX package."""

    def __init__(
        self, config: UNetConfig, *, in_channels: int, out_channels: int = 1, image_size: int
    ):
        super().__init__()
        self.config = config
        width, cell = config.inner_channel, config.patchify**2
        embedding = nn.Sequential(
            Sinusoids(width, config.embedding),
            nn.Linear(width, 4 * width),
            nn.SiLU(),
            nn.Linear(4 * width, width),
        )
        if config.dialect == "sr3":
            self.noise_level_mlp = embedding
        else:
            self.time_embedding = embedding

        resolution = image_size // config.patchify
        channels, skips = width, [width]
        downs: list[nn.Module] = [nn.Conv2d(in_channels * cell, width, 3, padding=1)]
        for level, mult in enumerate(config.channel_mults):
            if level:
                downs.append(Down(channels))
                skips.append(channels)
                resolution //= 2
            for _ in range(config.res_blocks):
                attention = resolution in config.attn_res
                downs.append(Stage(channels, width * mult, config, attention))
                channels = width * mult
                skips.append(channels)
        mid = [Stage(channels, channels, config, attention) for attention in (True, False)]
        ups: list[nn.Module] = []
        for level, mult in reversed(list(enumerate(config.channel_mults))):
            for _ in range(config.res_blocks + 1):
                attention = resolution in config.attn_res
                ups.append(Stage(channels + skips.pop(), width * mult, config, attention))
                channels = width * mult
            if level:
                ups.append(Up(channels, config))
                resolution *= 2
        self.downs, self.mid = nn.ModuleList(downs), nn.ModuleList(mid)
        self.ups = nn.ModuleList(ups)
        self.final_conv = Block(channels, out_channels * cell, config.norm_groups)
        initialise(self, config.init)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x [B, in_channels, H, W], s [B, 1] = sqrt(alpha_bar) -> [B, out_channels, H, W]."""
        sr3 = self.config.dialect == "sr3"
        embedding = (self.noise_level_mlp if sr3 else self.time_embedding)(s)
        h = F.pixel_unshuffle(x, self.config.patchify)
        skips = []
        for layer in self.downs:
            h = layer(h, embedding) if isinstance(layer, Stage) else layer(h)
            skips.append(h)
        for layer in self.mid:
            h = layer(h, embedding)
        for layer in self.ups:
            if isinstance(layer, Stage):
                h = layer(torch.cat([h, skips.pop()], 1), embedding)
            else:
                h = layer(h)
        return F.pixel_shuffle(self.final_conv(h), self.config.patchify)


@torch.no_grad()
def initialise(network: nn.Module, kind: Initialisation) -> None:
    """Draws every convolution's and linear layer's weight anew; biases become 0.

    kaiming: normal with std sqrt(2 / fan_in); normal: std 0.02; orthogonal: of [O, fan_in].
    """
    for module in network.modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        match kind:
            case "kaiming":
                nn.init.kaiming_normal_(module.weight, a=0, mode="fan_in")
            case "normal":
                nn.init.normal_(module.weight, 0, 0.02)
            case "orthogonal":
                nn.init.orthogonal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
