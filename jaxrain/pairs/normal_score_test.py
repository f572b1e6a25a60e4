from statistics import NormalDist

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.pairs.normal_score import fit_knots, from_score, to_score
from jaxrain.pairs.quantiles import rain_counts


@pytest.fixture(scope="module")
def rain():
    """70 % dry, the rest exponential with a mean of 3 mm above 0.1 mm."""
    rng = np.random.default_rng(0)
    amounts = 0.1 + rng.exponential(3.0, 200_000)
    return np.where(rng.random(200_000) < 0.7, 0.0, amounts)


def test_scores_are_those_of_a_normal_distribution(rain):
    knots = fit_knots(rain_counts(rain))
    normal = NormalDist()
    foot = normal.inv_cdf(0.7) - 0.125  # the score of 0 mm, one step below the first amount
    for share in (0.75, 0.9, 0.99, 0.999):
        amount = 0.1 - 3 * np.log((1 - share) / 0.3)
        score = foot + float(to_score(np.float64(amount), knots, np))
        assert score == pytest.approx(normal.inv_cdf(share), abs=0.04)


def test_scores_rise_and_come_back_beyond_the_last_amount_too(rain):
    knots = fit_knots(rain_counts(rain))
    mm = np.concatenate([np.linspace(0, 0.2, 50), np.linspace(0.3, 5 * rain.max(), 2000)])
    scores = to_score(mm, knots, np)
    assert (np.diff(scores) > 0).all()
    np.testing.assert_allclose(from_score(scores, knots, np), mm, rtol=1e-9, atol=1e-12)
    beyond = to_score(np.asarray([100.0, 200.0, 300.0]), knots, np)
    assert beyond[2] - beyond[1] == pytest.approx(beyond[1] - beyond[0])


def test_dry_is_exactly_dry_and_nothing_is_below(rain):
    knots = fit_knots(rain_counts(rain))
    assert to_score(0.0, knots, np) == 0
    np.testing.assert_array_equal(from_score(np.asarray([-5.0, -1e-3, 0.0]), knots, np), 0)
    assert np.isnan(to_score(np.nan, knots, np))


def test_where_it_hardly_rains_there_are_no_quantiles():
    counts = rain_counts(np.append(np.zeros(1000), np.full(30, 2.0)))
    with pytest.raises(InputError, match="30 of 1030 points"):
        fit_knots(counts)
    amounts, scores = fit_knots(rain_counts(np.append(np.zeros(1000), np.full(300, 2.0))))
    assert (np.diff(amounts) > 0).all()
    assert (np.diff(scores) > 0).all()
