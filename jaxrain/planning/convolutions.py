"""What convolutions take beside XLA's buffers on a CPU, read off the HLO text.

XLA leaves them to Eigen, which lays the window around every position of the output side by side,
positions x (window x input features), and multiplies that by the kernel: at most 320 columns at a
time, two such slices at once (its TensorContractionThreadPool). XLA's plan of memory does not know
of it. GPUs' libraries ask XLA for what they need.
"""

import math
import re

_COLUMNS, _SLICES = 320, 2
# `%name = f32[8,64,64,32]{3,2,1,0} convolution(...)`
_RESULT = re.compile(r"(?P<name>%?[\w.-]+) = [a-z]+(?P<bits>\d+)\w*\[(?P<sizes>[\d,]*)\]")
_OPERANDS = re.compile(r" convolution\((?P<operands>[^()]*)\)")
_NAME = re.compile(r"%?([\w.-]+)(?=, |$)")  # after its shape, where that is told
_LABELS = re.compile(r"dim_labels=\w+_(?P<kernel>\w+)->(?P<output>\w+)")


def largest_patches(text: str) -> int:
    """Bytes of the slices that the largest convolution multiplies at once; 0 where there is none.

    Args:
      text: of `compiled.as_text()`; what one device runs.
    """
    shapes: dict[str, list[int]] = {}
    largest = 0
    for line in text.splitlines():
        result = _RESULT.search(line)
        if result is None:
            continue
        sizes = [int(size) for size in result["sizes"].split(",") if size]
        shapes[result["name"].lstrip("%")] = sizes
        operands, labels = _OPERANDS.search(line), _LABELS.search(line)
        if operands is None or labels is None:
            continue
        kernel = shapes[_NAME.findall(operands["operands"])[-1]]
        positions = math.prod(sizes) // sizes[labels["output"].index("f")]
        columns = math.prod(kernel) // kernel[labels["kernel"].index("o")]
        slices = -(-columns // _COLUMNS)
        held = min(slices, _SLICES) * -(-columns // slices)
        largest = max(largest, positions * held * int(result["bits"]) // 8)
    return largest
