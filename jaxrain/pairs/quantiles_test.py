import numpy as np
import pytest

from jaxrain.pairs.quantiles import EDGES_MM, quantile, rain_counts


@pytest.mark.parametrize("probability", [0.5, 0.99, 0.999])
def test_within_half_a_per_cent_of_numpy(probability):
    values = np.random.default_rng(0).gamma(0.8, 5, 400_000)
    exact = np.quantile(values, probability)
    assert quantile(rain_counts(values), probability) == pytest.approx(exact, rel=0.005)


def test_uniform_values_have_their_probability_as_quantile():
    counts = rain_counts(np.linspace(0, 100, 1_000_001))
    assert quantile(counts, 0.7) == pytest.approx(70, rel=1e-3)


def test_counts_leave_out_the_unknown_and_keep_the_extreme():
    counts = rain_counts(np.array([np.nan, 0.0, 5.0, 5000.0]))
    assert counts.sum() == 3
    assert counts[0] == 1
    assert counts[-1] == 1
    assert len(counts) == len(EDGES_MM) - 1


def test_batches_are_apart_and_nothing_counted_is_unknown():
    counts = np.stack([rain_counts(np.full(10, 3.0)), rain_counts(np.full(4, np.nan))])
    low, high = np.floor(3.0), 3.1
    found = quantile(counts, 0.5)
    assert low < found[0] < high
    assert np.isnan(found[1])
