"""Attention in half precision agrees with the exact one; cuDNN gets only heads that it takes."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrain.diffusion.attention import _attend, _attend_in_half, _kernel


def test_in_half_precision_it_is_what_it_is_in_float32():
    drawn = jax.random.normal(jax.random.key(0), (3, 2, 64, 24), jnp.bfloat16)
    found = _attend_in_half(*drawn)
    assert found.dtype == jnp.bfloat16
    exact = _attend(*drawn.astype(jnp.float32))
    # bfloat16 keeps 8 bits of each value and weight.
    np.testing.assert_allclose(found.astype(jnp.float32), exact, atol=2**-7)


def test_cudnn_gets_only_heads_that_it_takes():
    assert _kernel(128, "gpu") == "cudnn"
    assert _kernel(512, "gpu") == "xla"  # the source's
    assert _kernel(100, "gpu") == "xla"
    assert _kernel(128, "cpu") == "xla"
