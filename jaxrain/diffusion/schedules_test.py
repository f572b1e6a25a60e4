import numpy as np
import pytest

from jaxrain.diffusion.schedules import (
    SCHEDULES,
    buffers,
    make_schedule,
    posterior_coefficients,
)


def test_closed_forms():
    assert make_schedule("linear", 11, 0.1, 0.2).betas[5] == pytest.approx(0.15, rel=1e-15)
    assert make_schedule("quad", 11, 0.04, 0.16).betas[5] == pytest.approx(0.09, rel=1e-15)
    assert set(make_schedule("const", 9, 0.1, 0.2).betas) == {0.2}
    np.testing.assert_array_equal(make_schedule("jsd", 4).betas, [1 / 4, 1 / 3, 1 / 2, 1])
    for name, warm in (("warmup10", 10), ("warmup50", 50)):
        betas = make_schedule(name, 100, 0.1, 0.2).betas
        assert betas[0] == 0.1
        assert betas[warm - 1] == betas[-1] == pytest.approx(0.2, rel=1e-15)
        assert betas[warm - 2] < 0.2
        assert np.all(betas[warm:] == 0.2)


def test_cosine_alpha_bar_is_the_squared_cosine_until_betas_are_clipped():
    schedule = make_schedule("cosine", 2000)
    i = np.arange(2001)
    cosine = np.cos((i / 2000 + 0.008) / 1.008 * np.pi / 2) ** 2
    expected = cosine / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(schedule.alpha_bar[:1999], expected[:1999], rtol=1e-9)
    assert schedule.betas[-1] == 0.999
    assert np.sum(schedule.betas == 0.999) == 1


@pytest.mark.parametrize("name", SCHEDULES)
def test_signal_falls_from_1_to_almost_nothing(name):
    schedule = make_schedule(name, 2000)
    assert schedule.steps == 2000
    assert schedule.alpha_bar[0] == 1
    assert np.all(np.diff(schedule.alpha_bar) < 0)
    assert schedule.alpha_bar[-1] < 1e-4
    # jsd ends with no signal at all.
    assert np.isinf(schedule.sigma[-1]) == (name == "jsd")
    s, sigma = schedule.s[:-1], schedule.sigma[:-1]
    np.testing.assert_allclose(s**2 * (1 + sigma**2), 1, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"jsd"}))
def test_buffers_agree_with_each_other_and_with_the_posterior_of_any_two_levels(name):
    schedule = make_schedule(name, 1000)
    b = buffers(schedule)
    assert len(b) == 12
    assert all(values.shape == (1000,) for values in b.values())
    np.testing.assert_allclose(b["sqrt_recipm1_alphas_cumprod"], schedule.sigma[1:], rtol=1e-11)
    np.testing.assert_allclose(
        np.exp(b["log_one_minus_alphas_cumprod"]), b["sqrt_one_minus_alphas_cumprod"] ** 2
    )
    on_x0, on_x, log_variance = posterior_coefficients(
        schedule.alpha_bar[1:], schedule.alpha_bar[:-1]
    )
    np.testing.assert_allclose(on_x0, b["posterior_mean_coef1"], rtol=1e-9)
    np.testing.assert_allclose(on_x, b["posterior_mean_coef2"], rtol=1e-9)
    np.testing.assert_allclose(log_variance, b["posterior_log_variance_clipped"], atol=1e-9)
    assert log_variance[0] == pytest.approx(np.log(1e-20))


def test_posterior_of_two_levels_is_bayes_rule():
    # x_previous ~ N(sqrt(p) x0, 1 - p), x | x_previous ~ N(sqrt(a/p) x_previous, 1 - a/p).
    a, p, x0, x = 0.3, 0.7, 0.4, -1.1
    prior, likelihood = 1 / (1 - p), (a / p) / (1 - a / p)
    variance = 1 / (prior + likelihood)
    mean = variance * (prior * np.sqrt(p) * x0 + likelihood * x / np.sqrt(a / p))
    on_x0, on_x, log_variance = posterior_coefficients(np.array(a), np.array(p))
    assert on_x0 * x0 + on_x * x == pytest.approx(mean, rel=1e-14)
    assert np.exp(log_variance) == pytest.approx(variance, rel=1e-14)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="unknown schedule 'cosin', expected one of linear"):
        make_schedule("cosin", 10)
    with pytest.raises(ValueError, match=r"schedule linear from 0\.5 to 2\.0 has betas"):
        make_schedule("linear", 10, 0.5, 2.0)
