"""The two networks are one: forward passes over every committed fixture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from parity_tests.cases import CASES, FIXTURES, fixture
from parity_tests.frameworks import (
    jax_network,
    relative_error,
    run_jax,
    run_torch,
    torch_network,
)
from parity_tests.make_fixtures import make
from parity_tests.tolerances import limit

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@each_case
def test_fixtures_are_what_their_script_makes(case):
    made = make(case)
    for part, array in made.items():
        stored = fixture(case, part)
        assert array.dtype == stored.dtype
        # Another processor may round its QR factorisation and sines otherwise.
        assert relative_error(array, stored) < 1e-6, part
    output = run_torch(
        torch_network(case, torch.float64), fixture(case, "input"), fixture(case, "level")
    )
    assert relative_error(output, fixture(case, "output")) <= limit("forward_float64")


@each_case
def test_forward_float64_and_rounded(case):
    x, s, expected = (fixture(case, part) for part in ("input", "level", "output"))
    network = jax_network(case, torch_network(case, torch.float64), jnp.float64)
    output = run_jax(network, x, s)
    assert output.dtype == np.float64
    assert relative_error(output, expected) <= limit("forward_float64")
    unequal = int(np.sum(output.astype(np.float32) != expected.astype(np.float32)))
    print(f"{case.name}: {unequal} of {output.size} unequal in float32")
    assert unequal <= limit("forward_rounded")


@each_case
def test_forward_float32(case):
    x, s = fixture(case, "input"), fixture(case, "level")
    theirs = torch_network(case, torch.float32)
    output = run_jax(jax_network(case, theirs, jnp.float32), x, s)
    assert output.dtype == np.float32
    row = "forward_float32" if jax.default_backend() == "cpu" else "forward_float32_gpu"
    assert relative_error(output, run_torch(theirs, x, s)) <= limit(row)


def test_fixtures_are_small():
    files = list(FIXTURES.glob("*.npy"))
    assert len(files) == 4 * len(CASES)
    assert sum(path.stat().st_size for path in files) < 8e6
