import numpy as np
import pytest

from jaxrain.pairs.correlation import correlation_length, suggested_patch


def smoothed_noise(rng, size, sigma):
    """White noise under a Gaussian kernel of width sigma, on a torus."""
    frequency = np.fft.fftfreq(size)
    radius = frequency[:, None] ** 2 + frequency[None] ** 2
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * radius)
    return np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * kernel).real


@pytest.mark.parametrize("sigma", [2.0, 5.0])
def test_smoothed_noise_has_twice_the_width_of_its_kernel(sigma):
    # Its autocorrelation is exp(-r^2 / (4 sigma^2)), which is 1/e at r = 2 sigma.
    rng = np.random.default_rng(0)
    fields = [smoothed_noise(rng, 192, sigma) for _ in range(6)]
    assert correlation_length(fields) == pytest.approx(2 * sigma, rel=0.1)


def test_missing_points_do_not_count():
    rng = np.random.default_rng(1)
    fields = [smoothed_noise(rng, 160, 4.0) for _ in range(6)]
    for field in fields:
        field[:, 100:] = np.nan
        field[rng.random(field.shape) < 0.3] = np.nan
    assert correlation_length(fields) == pytest.approx(8.0, rel=0.15)


def test_white_noise_knows_nothing_of_its_neighbour():
    noise = np.random.default_rng(2).standard_normal((64, 64))
    assert 0 < correlation_length([noise]) < 1


def test_where_nothing_varies_there_is_no_length():
    assert correlation_length([np.zeros((16, 16))]) is None
    assert correlation_length([np.full((16, 16), np.nan)]) is None
    assert correlation_length([]) is None


def test_a_patch_is_eight_lengths_and_a_multiple_of_the_divisor():
    assert suggested_patch(7.9, 8) == 64
    assert suggested_patch(8.1, 8) == 72
    assert suggested_patch(0.2, 8) == 8
    assert suggested_patch(10.0, 32) == 96
