import numpy as np
import pytest

from jaxrain.verification import spectra
from jaxrain.verification.spectra import (
    decibels,
    effective_resolution_km,
    spectrum_sums,
    squares,
    wavelengths,
)


def test_white_noise_has_its_variance_at_every_wavelength():
    # A density integrates to the variance over wavenumbers up to 1 / spacing each way.
    spacing, sigma = 2.0, 3.0
    members = np.random.default_rng(0).normal(0, sigma, (40, 64, 64))
    waves = wavelengths([128.0], [spacing])
    sums = spectrum_sums(members, members[0], spacing, waves)
    np.testing.assert_allclose(sums["spectrum"][3:], sigma**2 * spacing**2, rtol=0.12)
    assert sums["spectrum"].mean() == pytest.approx(sigma**2 * spacing**2, rel=0.03)


def test_a_wave_shows_at_its_wavelength():
    x = np.arange(96)
    field = np.tile(np.sin(2 * np.pi * x / 12), (96, 1))
    waves = wavelengths([96.0], [1.0])
    spectrum = spectrum_sums(field[None], field, 1.0, waves)["spectrum"]
    assert waves[spectrum.argmax()] == pytest.approx(12)


def test_a_constant_field_has_no_power():
    waves = wavelengths([32.0], [1.0])
    sums = spectrum_sums(np.full((2, 32, 32), 7.0), np.full((32, 32), 3.0), 1.0, waves)
    assert sums["spectrum"].max() < 1e-20


def test_members_spectra_are_averaged_not_the_members():
    noise = np.random.default_rng(2).normal(size=(1, 32, 32))
    both = np.concatenate([noise, -noise])
    waves = wavelengths([32.0], [1.0])
    sums = spectrum_sums(both, noise[0], 1.0, waves)
    np.testing.assert_allclose(sums["spectrum"], sums["truth_spectrum"])


def test_unknown_points_are_dry_on_both_sides_and_too_many_end_it():
    rng = np.random.default_rng(3)
    truth, members = rng.random((32, 32)), rng.random((2, 32, 32))
    truth[:4] = np.nan
    waves = wavelengths([32.0], [1.0])
    sums = spectrum_sums(members, truth, 1.0, waves)
    members[:, :4] = 99
    np.testing.assert_array_equal(
        spectrum_sums(members, truth, 1.0, waves)["spectrum"], sums["spectrum"]
    )
    truth[:10] = np.nan
    assert spectrum_sums(members, truth, 1.0, waves)["spectrum_squares"] == 0


def test_long_fields_are_cut_into_centred_squares():
    assert squares(10, 10) == [(slice(0, 10), slice(0, 10))]
    assert squares(4, 9) == [(slice(0, 4), slice(0, 4)), (slice(0, 4), slice(4, 8))]
    assert squares(9, 4) == [(slice(0, 4), slice(0, 4)), (slice(4, 8), slice(0, 4))]
    truth = np.random.default_rng(4).random((16, 40))
    waves = wavelengths([16.0], [1.0])
    assert spectrum_sums(truth[None], truth, 1.0, waves)["spectrum_squares"] == 2


def test_wavelengths_are_those_that_all_squares_resolve():
    np.testing.assert_allclose(wavelengths([8.0], [1.0]), [8, 4, 8 / 3])
    np.testing.assert_allclose(wavelengths([9.0], [1.0]), [9, 4.5, 3, 2.25])
    shared = wavelengths([64.0, 100.0], [1.0, 2.0])
    assert shared[0] == 64
    assert shared[-1] > 4


def test_decibels_of_powers():
    found = decibels(np.array([3, 6, 0.3, 0.0]), np.array(3.0))
    np.testing.assert_allclose(found, [0, 3.0103, -10, -np.inf], atol=1e-4)
    assert np.isnan(decibels(np.zeros(1), np.zeros(1)))


def test_effective_resolution_of_a_step():
    waves = np.array([64.0, 32, 16, 8, 4, 2])
    falls = np.array([0.1, 1, 1, 0.1, 0.1, 0.1])
    # At 16 km the mean of 1, 1, 0.1 is above one half, at 8 km that of 1, 0.1, 0.1 is below;
    # 64 km is too long to tell.
    assert effective_resolution_km(falls, waves) == 8
    assert effective_resolution_km(np.ones(6), waves) == 2
    one_ring = np.array([1, 0.4, 1, 1, 1, 1])
    assert effective_resolution_km(one_ring, waves) == 2
    assert np.isnan(effective_resolution_km(np.full(6, np.nan), waves))
    assert spectra.SHORTEST_KM == 4.0
