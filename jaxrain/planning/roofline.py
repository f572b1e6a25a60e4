"""How long a step takes on many devices: a roofline and the arithmetic of the ring.

    step = max(operations / (peak * share), bytes / bandwidth) + exposed communication

Williams, Waterman and Patterson 2009 (doi:10.1145/1498765.1498785). The gradients are reduced once
a step: within a node around a ring, then each device its part of them with its peers in the other
nodes over its own network card, then within the node again. Small messages and long rings pay for
their hops.
"""

import math
from dataclasses import dataclass

from jaxrain.planning.machines import Machine


@dataclass(frozen=True)
class Step:
    """Seconds of one step on one device.

    Attributes:
      compute: its operations need.
      memory: its bytes need.
      communication: of the gradients that no arithmetic hides.
    """

    compute: float
    memory: float
    communication: float

    @property
    def seconds(self) -> float:
        """Of the whole step."""
        return max(self.compute, self.memory) + self.communication

    @property
    def bound(self) -> str:
        """What takes most of it."""
        names = {"arithmetic": self.compute, "memory": self.memory, "network": self.communication}
        return max(names, key=lambda name: names[name])


def step_time(
    machine: Machine,
    devices: int,
    *,
    operations: float,
    bytes_accessed: float,
    gradient_bytes: float,
    precision: str,
    share: float,
    overlap: float = 0.0,
) -> Step:
    """The time of one step.

    Args:
      machine: each device.
      devices: that share the batch.
      operations: of one device's part.
      bytes_accessed: likewise.
      gradient_bytes: reduced over all devices once a step.
      precision: of the arithmetic, 'float32' or 'bfloat16'.
      share: of the peak that real kernels reach, 0..1.
      overlap: share of the communication that is hidden behind arithmetic, 0..1.
    """
    return Step(
        compute=operations / (machine.peak(precision) * share),
        memory=bytes_accessed / machine.memory_bandwidth,
        communication=(1.0 - overlap) * reduction_time(machine, devices, gradient_bytes),
    )


def reduction_time(machine: Machine, devices: int, gradient_bytes: float) -> float:
    """Seconds of an all-reduce over devices, in whole nodes where there are several.

    Within a node of n a ring moves 2 (n - 1) / n of the bytes over each link, in one direction;
    over m nodes the network moves 2 (m - 1) / m of a device's n-th part.
    """
    within = min(devices, machine.node)
    nodes = -(-devices // machine.node)
    one_way = machine.link_bandwidth / 2
    local = 2 * (within - 1) / within * gradient_bytes / one_way
    across = 2 * (nodes - 1) / nodes * gradient_bytes / within / machine.network_bandwidth
    # A ring takes a hop for each of its n - 1 stations, there and back; across nodes, a tree.
    hops = 2 * (within - 1) + 2 * math.ceil(math.log2(nodes))
    return local + across + hops * machine.latency
