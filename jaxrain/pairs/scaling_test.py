import dataclasses

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.scaling import (
    Scaling,
    decode_predictors,
    decode_rain,
    decode_target,
    encode_predictors,
    encode_rain,
    encode_target,
    target_bounds,
)

MANIFEST = {
    "channels": ["u850", "t850", "tp"],
    "statistics": {
        "channels": {
            "u850": {"min": -20.0, "max": 30.0},
            "t850": {"min": 270.0, "max": 300.0},
            "tp": {"min": 0.0, "max": 11.0},
        },
        "fine_rain": {"min": 0.0, "max": 40.0},
        "target": {"std": 0.125},
        "normal_score": {"mm": [0, 0.1, 0.5, 2, 9, 30], "score": [0.4, 0.5, 1, 1.6, 2.5, 3.2]},
    },
}
bends = st.sampled_from(["linear", "sqrt", "log1p", "normal_score"])
targets = st.sampled_from(["difference", "direct"])
rain = st.floats(0, 80, width=32)


def _scaling(**keys):
    return Scaling.from_manifest(MANIFEST, DataConfig(**keys))


def test_the_training_ranges_become_the_networks():
    scaling = _scaling()
    low = encode_predictors(scaling, jnp.asarray([-20.0, 270.0, 0.0]))
    high = encode_predictors(scaling, jnp.asarray([30.0, 300.0, 40.0]))
    np.testing.assert_allclose(low, [-1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(high, [1, 1, 1], atol=1e-6)


@given(bends, st.booleans(), st.lists(rain, min_size=4, max_size=4))
@settings(deadline=None)
def test_predictors_and_rain_come_back(bend, standardize, mm):
    scaling = _scaling(rain_scaling=bend, standardize=standardize)
    mm = jnp.asarray(mm, jnp.float32)
    np.testing.assert_allclose(
        decode_rain(scaling, encode_rain(scaling, mm)), mm, rtol=2e-5, atol=1e-5
    )
    fields = jnp.stack([mm - 40, mm + 230, mm], axis=-1)
    back = decode_predictors(scaling, encode_predictors(scaling, fields))
    np.testing.assert_allclose(back, fields, rtol=2e-5, atol=2e-5)


@given(bends, targets, st.booleans(), rain, rain)
@settings(deadline=None)
def test_the_target_comes_back_as_rain(bend, target, standardize, fine, coarse):
    scaling = _scaling(rain_scaling=bend, target=target, standardize=standardize)
    x0 = encode_target(scaling, jnp.float32(fine), jnp.float32(coarse))
    mm = decode_target(scaling, x0, jnp.float32(coarse))
    np.testing.assert_allclose(mm, fine, rtol=5e-5, atol=1e-4)


@given(bends, targets, st.booleans())
@settings(deadline=None)
def test_the_bounds_are_reached_at_the_ends_of_the_training_range(bend, target, standardize):
    scaling = _scaling(rain_scaling=bend, target=target, standardize=standardize)
    low, high = target_bounds(scaling)
    assert high == pytest.approx(8.0 if standardize else 1.0)
    np.testing.assert_allclose(encode_target(scaling, 40.0, 0.0), high, rtol=1e-6)
    np.testing.assert_allclose(encode_target(scaling, 0.0, 40.0), low, rtol=1e-6)


@pytest.mark.parametrize("bend", ["linear", "sqrt", "log1p", "normal_score"])
def test_rain_is_never_negative(bend):
    scaling = _scaling(rain_scaling=bend)
    assert float(decode_target(scaling, jnp.float32(-1.0), jnp.float32(3.0))) == 0.0


def test_a_scaling_is_a_pytree_that_jit_takes():
    scaling = _scaling(rain_scaling="log1p")
    fields = jnp.asarray([[1.0, 280.0, 3.0]])
    jitted = jax.jit(encode_predictors)(scaling, fields)
    np.testing.assert_allclose(jitted, encode_predictors(scaling, fields), rtol=1e-6)


def test_a_channel_that_never_varies_stays_finite():
    scaling = dataclasses.replace(_scaling(), low=np.float32([0, 5, 0]), high=np.float32([1, 5, 1]))
    encoded = encode_predictors(scaling, jnp.asarray([0.0, 5.0, 0.0]))
    assert np.isfinite(encoded).all()
    assert encoded[1] == 0
