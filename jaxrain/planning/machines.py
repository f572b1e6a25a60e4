"""What a device can do at its best, from its maker's sheets; a CPU's is measured on the spot."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Machine:
    """A device and how it is joined to others.

    Attributes:
      title: what people call it.
      operations: a second, of dense matrix products in bfloat16 [1/s].
      float32_operations: likewise in float32, by units that round nothing off [1/s].
      memory_bandwidth: of its own memory [byte/s].
      memory_bytes: it has; 0 where that is not fixed.
      link_bandwidth: to the others of its node, both directions together [byte/s].
      network_bandwidth: of its own share of the node's network, one direction [byte/s].
      node: devices in a node.
      latency: of one hop of a collective [s].
    """

    title: str
    operations: float
    float32_operations: float
    memory_bandwidth: float
    memory_bytes: float
    link_bandwidth: float
    network_bandwidth: float
    node: int = 8
    latency: float = 10e-6

    def peak(self, precision: str) -> float:
        """Operations a second in 'bfloat16' or 'float32'."""
        return self.operations if precision == "bfloat16" else self.float32_operations


# jaxrain's float32 is float32: TF32, JAX's default there, is not asked for, and matrix units do no
# other. 8 x 400 Gb/s leave a node.
MACHINES = {
    "h800": Machine("H800", 989e12, 67e12, 3.35e12, 80e9, 400e9, 50e9),
    "h100": Machine("H100 SXM", 989e12, 67e12, 3.35e12, 80e9, 900e9, 50e9),
    "h200": Machine("H200 SXM", 989e12, 67e12, 4.8e12, 141e9, 900e9, 50e9),
    "a100": Machine("A100 SXM", 312e12, 19.5e12, 2.0e12, 80e9, 600e9, 50e9),
}
NAMES = (*MACHINES, "cpu")
# Shares of the peak that training reaches: measured on an H200 with the source's network, batch 16
# in bfloat16, and taken for its kin and for float32, which was not measured; on CPUs less than the
# bench finds, for loops stand beside it.
REACHED = dict.fromkeys(MACHINES, 0.18) | {"cpu": 0.45}


def measure_cpu(size: int = 1024, repeats: int = 5) -> Machine:
    """This machine's processor as one device: the best of a few matrix products and copies.

    Args:
      size: of the square matrices; the copy moves 32 times as much.
      repeats: of each; the best counts, for a busy machine is slower and never faster.
    """
    import numpy as np

    a = np.ones((size, size), np.float32)
    source = np.ones(32 * size**2, np.float32)
    target = np.empty_like(source)
    a @ a  # starts the threads of the library
    products = 2 * size**3 / min(_seconds(lambda: a @ a) for _ in range(repeats))
    copied = min(_seconds(lambda: np.copyto(target, source)) for _ in range(repeats))
    bandwidth = 2 * source.nbytes / copied  # read and written
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return Machine("this CPU", products, products, bandwidth, memory, bandwidth, bandwidth)


def shared_by(machine: Machine, devices: int) -> Machine:
    """One of several virtual devices that share a machine in equal parts."""
    return replace(
        machine,
        operations=machine.operations / devices,
        float32_operations=machine.float32_operations / devices,
        memory_bandwidth=machine.memory_bandwidth / devices,
        memory_bytes=machine.memory_bytes / devices,
        link_bandwidth=machine.link_bandwidth / devices,
        node=max(machine.node, devices),
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
