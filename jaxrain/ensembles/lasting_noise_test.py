from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.ensembles.lasting_noise import hour_weights, lasting_noise

SHAPE = (192, 256)
START = 27_000_000
WAY = np.int32([3, -5])  # an hour
draw = jax.jit(lasting_noise, static_argnames="shape")


def fields(hours, *, correlation=0.8, back=6, members=0, origin=(0, 0), shape=SHAPE, way=WAY):
    ints = partial(jnp.asarray, dtype=jnp.int32)
    weights = hour_weights(correlation, back)
    shifts = np.broadcast_to(np.arange(back)[:, None] * way, (len(hours), back, 2))
    minutes = START + 60 * np.asarray(hours)
    return np.asarray(
        draw(
            jnp.uint32(1),
            ints([members] * len(hours)),
            ints(minutes),
            ints(0),
            ints(origin),
            shape=shape,
            weights=weights,
            shifts=ints(shifts),
        )
    )


@pytest.mark.parametrize(("correlation", "hours"), [(0.0, 1), (0.5, 3), (0.8, 6), (0.95, 48)])
def test_weights_have_unit_norm_and_the_correlation_asked_for(correlation, hours):
    weights = hour_weights(correlation, hours)
    assert weights.shape == (hours,)
    assert weights @ weights == pytest.approx(1, abs=1e-6)
    assert weights[:-1] @ weights[1:] == pytest.approx(correlation, abs=1e-6)
    assert (np.diff(weights) <= 0).all()


@pytest.mark.parametrize(("correlation", "hours"), [(0.5, 2), (0.9, 10), (0.1, 1)])
def test_too_short_a_memory_is_refused_with_one_that_will_do(correlation, hours):
    with pytest.raises(ValueError, match="noise_hours") as error:
        hour_weights(correlation, hours)
    enough = int(str(error.value).split("make it ")[1].split()[0])
    assert hour_weights(correlation, enough).shape == (enough,)


def test_noise_is_normal_white_and_correlated_along_the_wind():
    now, later = fields([0, 1])
    points = now.size
    assert abs(now.std() - 1) < 4 / np.sqrt(2 * points)
    assert abs(now.mean()) < 4 / np.sqrt(points)
    for shift in [(0, 1), (1, 0), (3, -5), (64, 0)]:
        assert abs(np.mean(now * np.roll(now, shift, (0, 1)))) < 4 / np.sqrt(points)
    carried = np.roll(now, tuple(WAY), (0, 1))[8:-8, 8:-8]
    assert np.mean(carried * later[8:-8, 8:-8]) == pytest.approx(0.8, abs=4 / np.sqrt(points))
    assert abs(np.mean(now * later)) < 4 / np.sqrt(points)  # where it stood, it is gone


def test_noise_is_forgotten_after_the_window():
    first, last = fields([0, 3], back=3, correlation=0.5, way=np.int32([0, 0]))
    assert abs(np.mean(first * last)) < 4 / np.sqrt(first.size)


def test_an_hour_alone_is_that_of_the_sequence_in_any_window():
    sequence = fields([0, 1, 2])
    np.testing.assert_array_equal(fields([2])[0], sequence[2])
    window = fields([1], origin=(50, 70), shape=(40, 30))[0]
    np.testing.assert_array_equal(window, sequence[1, 50:90, 70:100])
    assert not np.array_equal(fields([1], members=1)[0], sequence[1])
