"""Pinned numerics for all parity tests, taken back afterwards: others test in float32."""

import jax
import pytest

from parity_tests.frameworks import pin_numerics


@pytest.fixture(autouse=True)
def pinned():
    before = jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision
    pin_numerics()
    yield
    jax.config.update("jax_enable_x64", before[0])
    jax.config.update("jax_default_matmul_precision", before[1])
