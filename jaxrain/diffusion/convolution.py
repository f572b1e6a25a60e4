"""The one place where the network's convolutions happen."""

from jax import Array, lax

# Float32 means float32: no TF32 on GPUs, no bfloat16 passes on TPUs. Asking for less is done with
# the dtype of the inputs, where everybody sees it.
PRECISION = lax.Precision.HIGHEST


def convolve(x: Array, kernel: Array, *, stride: int = 1) -> Array:
    """2-D cross-correlation with zeros added on every side.

    Args:
      x: [B, H, W, I].
      kernel: [k, k, I, O], k odd; same dtype as x.
      stride: of both axes.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), O]. Each side is padded by k // 2 whatever the stride,
      as PyTorch does with padding=k // 2; XLA's 'SAME' would pad one side only where stride is 2.
    """
    pad = kernel.shape[0] // 2
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=PRECISION,
    )
