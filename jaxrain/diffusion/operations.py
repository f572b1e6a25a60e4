"""Nominal operations of the U-Net: arithmetic on its config, nothing is run.

Twice the multiply-adds of the direct algorithms (convolutions, linear layers, attention), whatever
an implementation really does, so that two implementations are measured with one yardstick.
"""

from jaxrain.diffusion.unet import UNetConfig


def forward_operations(
    config: UNetConfig, *, in_channels: int, out_channels: int = 1, image_size: int, batch: int = 1
) -> int:
    """Operations of one forward pass; norms, activations and additions count nothing.

    Args:
      config: shape of the network.
      in_channels: channels of the condition plus those of the noisy target.
      out_channels: channels of the target.
      image_size: edge of the square input in pixels, a multiple of config.divisor.
      batch: examples.
    """
    width, cell = config.inner_channel, config.patchify**2
    edge = image_size // config.patchify

    def conv(inputs: int, outputs: int, size: int = 3) -> int:
        return 2 * edge**2 * size**2 * inputs * outputs  # edge: of the output

    def stage(inputs: int, outputs: int, attention: bool) -> int:
        count = conv(inputs, outputs) + conv(outputs, outputs) + 2 * width * outputs
        if inputs != outputs:
            count += conv(inputs, outputs, 1)
        if attention:  # qkv and out; then scores and weighted values, N x N x C each
            count += conv(outputs, 4 * outputs, 1) + 2 * 2 * edge**4 * outputs
        return count

    total = 2 * 2 * width * 4 * width  # the noise embedding's two layers
    total += conv(in_channels * cell, width)
    channels, skips = width, [width]
    for level, mult in enumerate(config.channel_mults):
        if level:
            edge //= 2
            total += conv(channels, channels)
            skips.append(channels)
        for _ in range(config.res_blocks):
            total += stage(channels, width * mult, edge in config.attn_res)
            channels = width * mult
            skips.append(channels)
    total += stage(channels, channels, True) + stage(channels, channels, False)
    for level, mult in reversed(list(enumerate(config.channel_mults))):
        for _ in range(config.res_blocks + 1):
            total += stage(channels + skips.pop(), width * mult, edge in config.attn_res)
            channels = width * mult
        if level:
            edge *= 2
            total += conv(channels, channels)
    return batch * (total + conv(channels, out_channels * cell))
