import pytest

from jaxrain.speed.rows import ratio, summary, table
from jaxrain.speed.turns import Measured


def row(task, system, mode, seconds, operations=4e10, **more):
    job = {"task": task, "network": "small", "operations": operations, **more}
    return summary(job, (system, mode), Measured([seconds], None, None))


ROWS = [
    row("gemm", "jaxrain", "jit", 1.0),
    row("gemm", "torch", "eager_nchw", 2.0),
    row("copy", "jaxrain", "jit", 2.0, 0, bytes=8e9),
    row("copy", "torch", "eager_nchw", 1.0, 0, bytes=8e9),
    row("forward", "jaxrain", "jit", 2.0, 2e10),
    row("forward", "torch", "eager_nchw", 5.0, 2e10),
    row("forward", "torch", "channels_last", 3.0, 2e10),
    row("train_step", "torch", "eager_nchw", 0.1),
]


def line(rows, words):
    return next(line for line in table(rows).splitlines() if line.startswith(words))


def test_ratio_is_to_the_best_mode_of_the_same_task():
    assert ratio(ROWS, ROWS[4]) == pytest.approx(1.5)
    assert "| 1.50 |" in line(ROWS, "| forward | small | jaxrain")
    assert ratio(ROWS[:1] + ROWS[4:5], ROWS[4]) is None


def test_shares_are_of_the_fastest_product_and_the_fastest_copy():
    assert "| 25% |" in line(ROWS, "| forward | small | jaxrain")
    assert "| 50% |" in line(ROWS, "| copy | small | jaxrain")
    assert table(ROWS).endswith("GEMM peak: 40 GFLOP/s (float32); copy peak: 8.0 GB/s")


def test_a_system_that_counts_its_own_operations_is_compared_operation_for_operation():
    job = {"task": "forward", "network": "small", "operations": 2e10}
    other = summary(job, ("diffusers", "unet2d"), Measured([3.0], None, int(4e10)))
    assert ratio([*ROWS, other], other) == pytest.approx(2.0)


def test_summary_is_median_quartiles_and_rate():
    job = {"task": "forward", "network": "small", "operations": 6 * 10**9}
    found = summary(job, ("torch", "x"), Measured([5, 1, 2, 4, 3], 7.0, None))
    assert (found["low"], found["seconds"], found["high"]) == (2, 3, 4)
    assert found["gflops"] == 2.0
    assert found["peak_memory_mib"] == 7.0


def test_a_step_that_draws_several_members_is_told_by_the_member():
    job = {"task": "member", "network": "demo", "operations": 6 * 10**9, "members": 4}
    found = summary(job, ("torch", "x"), Measured([8.0], None, None))
    assert (found["seconds"], found["gflops"]) == (2.0, 3.0)
