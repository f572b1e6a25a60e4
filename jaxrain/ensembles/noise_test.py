from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxrain.ensembles.noise import minutes_since_epoch, white_noise

HOUR = minutes_since_epoch(["2022-10-18T03"])
draw = jax.jit(white_noise, static_argnames="shape")


def field(origin=(0, 0), shape=(100, 90), *, seed=1, member=0, minutes=int(HOUR[0]), step=0):
    ints = partial(jnp.asarray, dtype=jnp.int32)
    seed = jnp.uint32(seed)
    return np.asarray(
        draw(seed, ints([member]), ints([minutes]), ints(step), ints(origin), shape=shape)[0]
    )


@settings(max_examples=20, deadline=None)
@given(st.tuples(st.integers(0, 150), st.integers(0, 150)))
def test_a_pixel_has_the_same_noise_in_every_window(origin):
    whole = field((0, 0), (200, 200))
    window = field(origin, (50, 40))
    y, x = origin
    seen = whole[y : y + 50, x : x + 40]
    np.testing.assert_array_equal(window[: seen.shape[0], : seen.shape[1]], seen)


@pytest.mark.parametrize("origin", [(63, 64), (64, 63), (0, 127)])
def test_windows_at_block_edges_are_cut_right(origin):
    y, x = origin
    whole = field((0, 0), (256, 256))
    np.testing.assert_array_equal(field(origin, (65, 65)), whole[y : y + 65, x : x + 65])


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"member": 1}, {"minutes": int(HOUR[0]) + 60}, {"step": 1}]
)
def test_every_name_of_a_field_makes_it_another(other):
    a, b = field((0, 0), (256, 256)), field((0, 0), (256, 256), **other)
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / 256


def test_member_and_step_are_no_sum():
    assert not np.array_equal(field(member=1, step=2), field(member=2, step=1))


def test_noise_is_standard_normal_and_white():
    a = field((0, 0), (512, 512))
    assert abs(a.mean()) < 4 / 512
    assert abs(a.std() - 1) < 4 / 512 / np.sqrt(2)
    assert abs(np.mean(a**4) - 3) < 4 * np.sqrt(96) / 512
    for shift in [(0, 1), (1, 0), (64, 0), (0, 64)]:
        assert abs(np.mean(a * np.roll(a, shift, (0, 1)))) < 4 / 512


def test_members_and_hours_together_are_members_and_hours_apart():
    ints = partial(jnp.asarray, dtype=jnp.int32)
    minutes = [int(HOUR[0]), int(HOUR[0]) + 60]
    both = draw(jnp.uint32(1), ints([3, 4]), ints(minutes), ints(0), ints([5, 6]), shape=(10, 11))
    for i, (member, minute) in enumerate(zip([3, 4], minutes, strict=True)):
        alone = field((5, 6), (10, 11), member=member, minutes=minute)
        np.testing.assert_array_equal(both[i], alone)


def test_hours_before_1970_have_noise_too():
    before = minutes_since_epoch(["1940-01-01T01", "1969-12-31T23"])
    assert (before < 0).all()
    assert not np.array_equal(*(field(minutes=int(m)) for m in before))
