import dataclasses

import pytest

from jaxrain.planning.machines import MACHINES, Machine, measure_cpu, shared_by
from jaxrain.planning.roofline import reduction_time, step_time

ROUND = Machine(
    "round", 100.0, 50.0, 10.0, 1e3, link_bandwidth=4.0, network_bandwidth=0.5, latency=0
)


def test_the_ring_within_a_node_and_across_nodes():
    assert reduction_time(ROUND, 1, 16.0) == 0
    # 2 * 7/8 of 16 bytes at 2 bytes a second in one direction.
    assert reduction_time(ROUND, 8, 16.0) == pytest.approx(14.0)
    # And then each device its eighth, 2 * 3/4 of 2 bytes over half a byte a second.
    assert reduction_time(ROUND, 32, 16.0) == pytest.approx(14.0 + 6.0)


def test_hops_cost_even_where_nothing_is_sent():
    slow = dataclasses.replace(ROUND, latency=1.0)
    assert reduction_time(slow, 1, 0.0) == 0
    assert reduction_time(slow, 8, 0.0) == 14
    assert (
        reduction_time(slow, 1024, 0.0) == 14 + 14
    )  # 128 nodes, a tree of 7 levels there and back


def test_a_step_is_the_slower_of_arithmetic_and_memory_and_what_is_exposed():
    keys = {"gradient_bytes": 16.0, "share": 0.5}
    fast = step_time(ROUND, 8, operations=100, bytes_accessed=1, precision="bfloat16", **keys)
    assert (fast.compute, fast.memory, fast.communication) == pytest.approx((2.0, 0.1, 14.0))
    assert fast.seconds == pytest.approx(16.0)
    assert fast.bound == "network"
    hidden = step_time(
        ROUND, 8, operations=100, bytes_accessed=90, precision="float32", overlap=1.0, **keys
    )
    assert (hidden.seconds, hidden.bound) == (pytest.approx(9.0), "memory")


def test_the_table_of_devices():
    h800, h100, a100 = (MACHINES[name] for name in ("h800", "h100", "a100"))
    assert h800.peak("bfloat16") == h100.peak("bfloat16") == 989e12
    assert (h800.link_bandwidth, h100.link_bandwidth) == (400e9, 900e9)
    assert h800.network_bandwidth * h800.node * 8 == 8 * 400e9  # bits a second of a node
    assert (a100.peak("bfloat16"), a100.memory_bandwidth) == (312e12, 2.0e12)


def test_this_processor_is_measured_and_shared():
    machine = measure_cpu(size=128, repeats=1)
    assert machine.peak("float32") > 1e6
    assert machine.memory_bandwidth > 1e6
    half = shared_by(machine, 2)
    assert half.peak("float32") == machine.peak("float32") / 2
    assert half.memory_bytes == machine.memory_bytes / 2
