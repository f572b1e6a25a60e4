"""Noise that lasts from hour to hour, so that a sequence does not flicker.

An hour's noise is a weighted sum of the white fields of the last K hours, each carried along by
the steering wind in whole pixels, so that it stays white. The window is fixed: any hour can be
made alone and is the same in a sequence.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from jaxrain.ensembles.noise import white_noise

_MINUTES = 60  # from one hour's field to the next


def hour_weights(correlation: float, hours: int) -> NDArray[np.float32]:
    """Weights of this hour's field, the one before, ...: w_j = a^j, normalised to sum w_j^2 = 1.

    Args:
      correlation: of one hour's noise with the next hour's, sum w_j w_(j+1): 0, or less than
        (K - 1) / K, which equal weights have.
      hours: K.

    Returns:
      [K].

    Raises:
      ValueError: no such weights have this correlation.
    """
    most = (hours - 1) / hours
    if correlation and correlation >= most:
        raise ValueError(
            f"noise_correlation={correlation} takes more than noise_hours={hours}, whose noise is "
            f"correlated by less than {most:.3g}: make it {int(1 / (1 - correlation)) + 1} or more"
        )
    low, high = 0.0, 1.0
    for _ in range(60):  # the correlation grows with a
        middle = (low + high) / 2
        weights = _normalised(middle, hours)
        low, high = (middle, high) if weights[:-1] @ weights[1:] < correlation else (low, middle)
    return _normalised(low, hours).astype(np.float32)


def _normalised(a: float, hours: int) -> NDArray[np.float64]:
    weights = a ** np.arange(hours)
    return weights / np.sqrt(weights @ weights)


def lasting_noise(
    seed: jax.Array,
    members: jax.Array,
    minutes: jax.Array,
    step: jax.Array,
    origin: jax.Array,
    shape: tuple[int, int],
    weights: NDArray[np.float32],
    shifts: jax.Array,
) -> jax.Array:
    """Standard normal noise of one window, correlated in time.

    Args:
      seed, members, minutes, step, origin, shape: as of `white_noise`.
      weights: of the last K hours' fields, from `hour_weights`, [K].
      shifts: how far each has come since, rows and columns, int32 [n, K, 2].

    Returns:
      float32 [n, height, width], white in space.
    """

    def add(
        total: jax.Array, back: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, None]:
        hours, weight, shift = back
        then = minutes - _MINUTES * hours
        white = white_noise(seed, members, then, step, origin - shift, shape)
        return total + weight * white, None

    several = (jnp.arange(len(weights)), jnp.asarray(weights), shifts.swapaxes(0, 1))
    return jax.lax.scan(add, jnp.zeros((len(members), *shape), jnp.float32), several)[0]
