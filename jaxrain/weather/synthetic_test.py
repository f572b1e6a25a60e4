import numpy as np
import pytest

from jaxrain.weather.synthetic import LEVELS, Waves, make_domain, simulate
from jaxrain.weather.variables import VARIABLES


@pytest.mark.parametrize("size", [16, 50, 128, 131])
def test_coarse_cells_hold_25_points_and_surround_the_fine_grid(size):
    domain = make_domain(size)
    assert len(domain.fine_latitude) == len(domain.fine_longitude) == size
    np.testing.assert_allclose(np.diff(domain.coarse_longitude), 0.25)
    np.testing.assert_allclose(np.diff(domain.fine_latitude), -0.01)
    # The wide grid's points are 25 to a cell, centred on the coarse points.
    wide = len(domain.coarse_latitude) * 25
    latitude = domain.coarse_latitude[0] + 0.12 - 0.01 * np.arange(wide)
    longitude = domain.coarse_longitude[0] - 0.12 + 0.01 * np.arange(wide)
    row, column = domain.offset
    np.testing.assert_allclose(latitude[row : row + size], domain.fine_latitude)
    np.testing.assert_allclose(longitude[column : column + size], domain.fine_longitude)
    for fine, coarse in (
        (domain.fine_latitude, domain.coarse_latitude),
        (domain.fine_longitude, domain.coarse_longitude),
    ):
        assert coarse.min() <= fine.min() - 0.25 + 1e-9
        assert coarse.max() >= fine.max() + 0.25 - 1e-9


def test_gradient_of_waves_is_their_derivative():
    waves = Waves(
        np.array([1.0, 0.5]), np.array([[0.02, 0.03], [0.01, -0.02]]), np.ones(2), np.ones(2)
    )
    x, y, step = np.array([10.0, 20.0]), np.array([5.0]), 1e-4
    ahead, behind = (waves.value(waves.angle(x + d, y, 3.0)) for d in (step, -step))
    scale = np.sqrt(np.mean((waves.k**2).sum(axis=0)))
    east, _ = waves.gradient(waves.angle(x, y, 3.0))
    np.testing.assert_allclose(east, (ahead - behind) / (2 * step) / scale, rtol=1e-6)


@pytest.fixture(scope="module")
def hours():
    return list(simulate(make_domain(128), np.arange(0, 96, 3), seed=0, stream=0))


def test_rain_is_intermittent_heavy_tailed_and_zero_elsewhere(hours):
    rain = np.stack([hour.fine_rain_mm for hour in hours])
    assert 0.3 < (rain >= 0.1).mean() < 0.5
    assert (rain == 0).mean() > 0.4
    assert 25 < np.quantile(rain, 0.999) < 45
    assert rain.max() < 90
    assert rain.min() == 0


def test_spectrum_falls_as_rain_does(hours):
    rain = np.stack([hour.fine_rain_mm for hour in hours])
    power = (np.abs(np.fft.fft2(rain - rain.mean(axis=(1, 2), keepdims=True))) ** 2).mean(axis=0)
    number = np.rint(128 * np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128))).astype(int)
    mean = np.bincount(number.ravel(), power.ravel()) / np.bincount(number.ravel())
    band = np.arange(128 // 16, 128 // 4 + 1)
    assert -3.2 < np.polyfit(np.log(band), np.log(mean[band]), 1)[0] < -2.4
    assert mean[60] < 0.2 * mean[32]  # no white noise at the grid's scale


def test_coarse_rain_is_the_block_mean_but_for_an_error(hours):
    domain = make_domain(128)
    row, column = domain.offset
    first_row, first_column = -row % 25, -column % 25
    ratios = []
    for hour in hours:
        fine = hour.fine_rain_mm[first_row : first_row + 100, first_column : first_column + 100]
        blocks = fine.reshape(4, 25, 4, 25).mean(axis=(1, 3))
        r, c = (row + first_row) // 25, (column + first_column) // 25
        coarse = hour.coarse_rain_mm[r : r + 4, c : c + 4]
        np.testing.assert_array_equal(coarse == 0, blocks == 0)
        ratios.append(np.log(coarse[blocks > 0] / blocks[blocks > 0]))
    ratios = np.concatenate(ratios)
    assert abs(ratios.mean()) < 0.03
    assert 0.08 < ratios.std() < 0.2


def test_fields_are_plausible_and_none_is_constant(hours):
    for name in ("u", "v", "t", "r", "z"):
        field = np.stack([hour.fields[name] for hour in hours])
        low, high = VARIABLES[name].plausible
        assert low < field.min() < field.max() < high
        assert field.shape[1] == len(LEVELS)
        assert np.all(field.std(axis=0) > 0)
        assert np.all(field.std(axis=(2, 3)) > 0)


def test_rain_depends_on_moisture(hours):
    moisture = np.array([hour.fields["r"][0].mean() for hour in hours])
    rain = np.array([hour.fine_rain_mm.mean() for hour in hours])
    assert np.corrcoef(moisture, rain)[0, 1] > 0.3


def test_stream_moves_the_cells_and_not_the_weather():
    domain = make_domain(32)
    (first,), (same,), (other,) = (
        list(simulate(domain, np.array([5]), seed=2, stream=stream)) for stream in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.fine_rain_mm, same.fine_rain_mm)
    for name in first.fields:
        np.testing.assert_array_equal(first.fields[name], other.fields[name])
    assert np.any(first.fine_rain_mm != other.fine_rain_mm)
