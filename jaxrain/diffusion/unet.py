"""The SR3 U-Net (Saharia et al. 2021, arXiv:2104.07636) in flax.nnx, channels last.

It predicts noise (or x0, or v) from the condition and the noisy target, given one noise level per
example. Modules bear the names of the public PyTorch implementations, so that their checkpoints map
one to one.
"""

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from jaxrain.diffusion.attention import SelfAttention
from jaxrain.diffusion.embedding import NoiseEmbedding
from jaxrain.diffusion.initial import initialise
from jaxrain.diffusion.layers import Conv, GroupNorm, Linear, dropout
from jaxrain.diffusion.resample import depth_to_space, space_to_depth, upsample
from jaxrain.diffusion.settings import UNetConfig, Upsampling


class Block(nnx.Module):
    """GroupNorm, swish, dropout, 3x3 convolution, [B, H, W, I] -> [B, H, W, O]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        config: UNetConfig,
        *,
        drop: bool = False,
        param_dtype: DTypeLike,
    ):
        self.norm = GroupNorm(inputs, config.norm_groups, swish=True, param_dtype=param_dtype)
        self.conv = Conv(inputs, outputs, param_dtype=param_dtype)
        self.rate = config.dropout if drop else 0.0
        self.whole_channels = config.dropout_kind == "channel"

    def __call__(self, x: Array, rngs: nnx.Rngs | None = None) -> Array:
        """Drops nothing where rngs is None."""
        h = self.norm(x)
        if self.rate and rngs is not None:
            h = dropout(h, self.rate, rngs.dropout(), whole_channels=self.whole_channels)
        return self.conv(h)


class ResidualBlock(nnx.Module):
    """Two blocks with the noise embedding between them, around a skip connection."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        config: UNetConfig,
        *,
        param_dtype: DTypeLike,
    ):
        self.noise_func = Linear(config.inner_channel, outputs, param_dtype=param_dtype)
        self.block1 = Block(inputs, outputs, config, param_dtype=param_dtype)
        self.block2 = Block(outputs, outputs, config, drop=True, param_dtype=param_dtype)
        self.res_conv = (
            Conv(inputs, outputs, size=1, param_dtype=param_dtype) if inputs != outputs else None
        )

    def __call__(self, x: Array, embedding: Array, rngs: nnx.Rngs | None) -> Array:
        """x [B, H, W, I], embedding [B, D] -> [B, H, W, O]."""
        shift = self.noise_func(embedding).astype(x.dtype)
        h = self.block1(x) + shift[:, None, None]
        h = self.block2(h, rngs)
        return h + (x if self.res_conv is None else self.res_conv(x))


class Stage(nnx.Module):
    """A residual block, and self-attention after it at some resolutions."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        config: UNetConfig,
        *,
        attention: bool,
        param_dtype: DTypeLike,
    ):
        self.res_block = ResidualBlock(inputs, outputs, config, param_dtype=param_dtype)
        self.attn = (
            SelfAttention(outputs, config.norm_groups, param_dtype=param_dtype)
            if attention
            else None
        )

    def __call__(self, x: Array, embedding: Array, rngs: nnx.Rngs | None) -> Array:
        """x [B, H, W, I], embedding [B, D] -> [B, H, W, O]."""
        h = self.res_block(x, embedding, rngs)
        return h if self.attn is None else self.attn(h)


class Down(nnx.Module):
    """Halves both axes with a strided 3x3 convolution."""

    def __init__(self, channels: int, config: UNetConfig, *, param_dtype: DTypeLike):
        self.conv = Conv(channels, channels, stride=2, param_dtype=param_dtype)

    def __call__(self, x: Array) -> Array:
        """[B, H, W, C] -> [B, H/2, W/2, C]."""
        return self.conv(x)


class Up(nnx.Module):
    """Doubles both axes, then a 3x3 convolution."""

    def __init__(self, channels: int, config: UNetConfig, *, param_dtype: DTypeLike):
        self.method: Upsampling = config.upsample
        self.conv = Conv(channels, channels, param_dtype=param_dtype)

    def __call__(self, x: Array) -> Array:
        """[B, H, W, C] -> [B, 2 H, 2 W, C]."""
        return self.conv(upsample(x, self.method))


class UNet(nnx.Module):
    """The denoising network.

    Args:
      config: its shape.
      in_channels: channels of the condition plus those of the noisy target.
      out_channels: channels of the target.
      image_size: edge of the training patches in pixels, before patchify. It only decides at which
        levels attention sits: those where (image_size / patchify) / 2^level is in `attn_res`. The
        network then takes any size that is a multiple of `config.divisor`.
      dtype: of the activations; None means param_dtype. bfloat16 keeps parameters, noise embedding,
        statistics, softmax and the output in float32.
      param_dtype: of the parameters and the output.
      rngs: `rngs.params` draws the weights.
    """

    def __init__(
        self,
        config: UNetConfig,
        *,
        in_channels: int,
        out_channels: int = 1,
        image_size: int,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.config = config
        self.in_channels = in_channels
        self.dtype = param_dtype if dtype is None else dtype
        self.param_dtype = param_dtype
        width, cell = config.inner_channel, config.patchify**2
        self.noise_embedding = NoiseEmbedding(width, kind=config.embedding, param_dtype=param_dtype)

        def stage(inputs: int, outputs: int, *, attention: bool) -> Stage:
            return Stage(inputs, outputs, config, attention=attention, param_dtype=param_dtype)

        resolution = image_size // config.patchify
        channels, skips = width, [width]
        downs: list[nnx.Module] = [Conv(in_channels * cell, width, param_dtype=param_dtype)]
        for level, mult in enumerate(config.channel_mults):
            if level:
                downs.append(Down(channels, config, param_dtype=param_dtype))
                skips.append(channels)
                resolution //= 2
            for _ in range(config.res_blocks):
                attention = resolution in config.attn_res
                downs.append(stage(channels, width * mult, attention=attention))
                channels = width * mult
                skips.append(channels)
        mid = [stage(channels, channels, attention=attention) for attention in (True, False)]
        ups: list[nnx.Module] = []
        for level, mult in reversed(list(enumerate(config.channel_mults))):
            for _ in range(config.res_blocks + 1):
                attention = resolution in config.attn_res
                ups.append(stage(channels + skips.pop(), width * mult, attention=attention))
                channels = width * mult
            if level:
                ups.append(Up(channels, config, param_dtype=param_dtype))
                resolution *= 2
        self.downs, self.mid, self.ups = nnx.List(downs), nnx.List(mid), nnx.List(ups)
        self.final_conv = Block(channels, out_channels * cell, config, param_dtype=param_dtype)
        initialise(self, config.init, rngs.params())

    def __call__(
        self,
        x: Array,
        s: Array,
        *,
        deterministic: bool = True,
        rngs: nnx.Rngs | None = None,
        rematerialise: int = 0,
    ) -> Array:
        """Predicts what the process asks for.

        Args:
          x: [B, H, W, in_channels], condition first, noisy target last.
          s: [B, 1], sqrt(alpha_bar), the share of signal in the noisy target's amplitude.
          deterministic: no dropout.
          rngs: `rngs.dropout` is drawn from where dropout is on.
          rematerialise: so many of the outermost levels keep what goes in and out of a stage alone,
            and compute the rest again in the backward pass.

        Returns:
          [B, H, W, out_channels] in param_dtype.

        Raises:
          ValueError: sizes that the levels cannot halve, wrong channels, or dropout without rngs.
        """
        _check(x, self.in_channels, self.config)
        if deterministic:
            rngs = None
        elif self.config.dropout and rngs is None:
            raise ValueError("dropout needs rngs where deterministic is False")
        embedding = self.noise_embedding(s.astype(self.param_dtype))
        h = space_to_depth(x.astype(self.dtype), self.config.patchify)

        def run(layer: nnx.Module, level: int, *parts: Array) -> Array:
            again = isinstance(layer, Stage) and level < rematerialise
            return (nnx.remat(_run) if again else _run)(layer, parts, embedding, rngs)

        skips, level = [], 0
        for layer in self.downs:
            level += isinstance(layer, Down)
            h = run(layer, level, h)
            skips.append(h)
        for layer in self.mid:
            h = run(layer, level, h)
        for layer in self.ups:
            h = run(layer, level, h, skips.pop()) if isinstance(layer, Stage) else layer(h)
            level -= isinstance(layer, Up)
        h = self.final_conv(h).astype(self.param_dtype)
        return depth_to_space(h, self.config.patchify)


def _run(
    layer: nnx.Module, parts: tuple[Array, ...], embedding: Array, rngs: nnx.Rngs | None
) -> Array:
    """One layer on inputs that are joined along the channels."""
    h = jnp.concatenate(parts, -1) if len(parts) > 1 else parts[0]
    return layer(h, embedding, rngs) if isinstance(layer, Stage) else layer(h)


def _check(x: Array, in_channels: int, config: UNetConfig) -> None:
    _, height, width, channels = x.shape
    if channels != in_channels:
        raise ValueError(f"input has {channels} channels, the network takes {in_channels}")
    if height % config.divisor or width % config.divisor:
        raise ValueError(f"input is {height} x {width}, expected multiples of {config.divisor}")
