"""Every row of the table holds."""

import jax
import numpy as np
import pytest

from parity_tests.measures import MEASURES
from parity_tests.tolerances import TOLERANCES, limit

# Forward passes have tests of their own, fixture by fixture.
ROWS = [
    pytest.param(name, marks=[pytest.mark.slow] if slow else [])
    for name, (_, slow) in MEASURES.items()
    if not name.startswith("forward")
]


@pytest.mark.parametrize("name", ROWS)
def test_row_of_the_table(name):
    if name == "schedule_formula" and np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("this machine has no extended precision")
    if name.endswith("float32") and jax.default_backend() != "cpu":
        pytest.skip("the row is for CPUs")
    error = MEASURES[name][0]()
    print(f"{name}: {error:.2g}, limit {limit(name):g}")
    assert error <= limit(name)


def test_every_row_is_measured():
    assert TOLERANCES.keys() - MEASURES.keys() == {"forward_float32_gpu"}
    assert MEASURES.keys() <= TOLERANCES.keys()
