"""A Gaussian target N(mean, c^2) has a denoiser, a posterior chain and an ODE in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.process import epsilon_scaled
from jaxrain.diffusion.samplers import SAMPLERS, ddim, ddpm, dpmpp_2m, heun
from jaxrain.diffusion.samplers.stepping import karras_sigmas, uniform_steps
from jaxrain.diffusion.schedules import make_schedule, posterior_coefficients
from jaxrain.diffusion.settings import SAMPLER_NAMES

SCHEDULE = make_schedule("cosine", 1000)
MEAN, C = 0.3, 0.5


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def gaussian(x, s):
    """E[x0 | x] where x0 ~ N(MEAN, C^2)."""
    return MEAN + s * C**2 / (s**2 * C**2 + 1 - s**2) * (x - s * MEAN)


def noise(k):
    return jax.random.normal(jax.random.fold_in(jax.random.key(3), k), (20000,), jnp.float64)


def test_the_settings_know_the_samplers():
    assert set(SAMPLERS) == set(SAMPLER_NAMES)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_point_target_is_hit_exactly_and_clip_holds(name):
    sample = SAMPLERS[name]
    point = jnp.linspace(-2, 2, 5)

    def run(clip):
        return sample(
            lambda x, s: point, lambda k: jnp.zeros(5) + k, SCHEDULE, steps=7, clip=clip, eta=0.5
        )

    np.testing.assert_allclose(run(None), point, atol=1e-12)
    np.testing.assert_allclose(run((-1.0, 0.5)), np.clip(point, -1, 0.5), atol=1e-12)


def linear_chain(coefficients):
    """Mean and variance after steps x <- on_x0 x0_hat(x) + on_x x + std z, from N(0, 1)."""
    mean, variance = 0.0, 1.0
    for s, on_x0, on_x, std in coefficients:
        slope = s * C**2 / (s**2 * C**2 + 1 - s**2)
        factor = on_x0 * slope + on_x
        mean = factor * mean + on_x0 * (MEAN - slope * s * MEAN)
        variance = factor**2 * variance + std**2
    return mean, variance


@pytest.mark.parametrize("steps", [10, 100])
def test_ddpm_has_the_mean_and_variance_of_its_chain(steps):
    alpha_bar = SCHEDULE.alpha_bar[uniform_steps(SCHEDULE, steps)]
    on_x0, on_x, log_variance = posterior_coefficients(alpha_bar[:-1], alpha_bar[1:])
    std = np.append(np.exp(0.5 * log_variance[:-1]), 0)
    mean, variance = linear_chain(zip(np.sqrt(alpha_bar[:-1]), on_x0, on_x, std, strict=True))
    x = ddpm(gaussian, noise, SCHEDULE, steps=steps, clip=None)
    assert float(jnp.mean(x)) == pytest.approx(mean, abs=4 * np.sqrt(variance / 20000))
    assert float(jnp.var(x)) == pytest.approx(variance, rel=4 * np.sqrt(2 / 20000))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_schedule_without_signal_at_its_end_can_be_sampled(name):
    schedule = make_schedule("jsd", 50)

    def from_noise(x, s):  # what a network that predicts noise 0.9 x says, as `denoiser` turns it
        return (x - jnp.sqrt(1 - s * s) * 0.9 * x) / jnp.maximum(s, jnp.finfo(x.dtype).tiny)

    x = SAMPLERS[name](from_noise, noise, schedule, steps=50)
    assert np.all(np.isfinite(x))
    assert np.max(np.abs(x)) <= 1


def test_the_full_chain_draws_from_the_target():
    x = ddpm(gaussian, noise, SCHEDULE, steps=1000, clip=None)
    assert float(jnp.mean(x)) == pytest.approx(MEAN, abs=4 * C / np.sqrt(20000))
    assert float(jnp.std(x)) == pytest.approx(C, rel=0.03)


def test_ddim_with_eta_1_is_ddpm():
    # Same variance, and the same mean in another form (Song et al. 2020, section 4.1).
    one = ddim(gaussian, noise, SCHEDULE, steps=20, eta=1.0, clip=None)
    other = ddpm(gaussian, noise, SCHEDULE, steps=20, clip=None)
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_heun_draws_from_the_target_with_fresh_noise_and_without():
    for eta in (0.0, 0.3, 1.0):
        x = heun(gaussian, noise, SCHEDULE, steps=399, eta=eta, clip=None)
        assert float(jnp.mean(x)) == pytest.approx(MEAN, abs=4 * C / np.sqrt(20000))
        assert float(jnp.std(x)) == pytest.approx(C, rel=0.015)


def test_heuns_fresh_noise_makes_another_member_of_the_same_start():
    def run(eta, seed):
        def fresh(k):
            key = jax.random.fold_in(jax.random.key(seed), k)
            return jax.random.normal(key, (4,)) if not isinstance(k, int) else jnp.ones(4)

        return heun(gaussian, fresh, SCHEDULE, steps=15, eta=eta, clip=None)

    np.testing.assert_array_equal(run(0.0, 1), run(0.0, 2))
    assert np.all(np.abs(run(0.5, 1) - run(0.5, 2)) > 1e-3)


def test_ddim_needs_noise_only_at_the_start():
    def only_the_first(k):
        assert isinstance(k, int)
        return jnp.ones(3)

    ddim(gaussian, only_the_first, SCHEDULE, steps=5)
    dpmpp_2m(gaussian, only_the_first, SCHEDULE, steps=5)
    heun(gaussian, only_the_first, SCHEDULE, steps=5)


@pytest.mark.parametrize(
    ("sampler", "order", "options"),
    [
        (ddim, 1, {"clip": None}),
        (dpmpp_2m, 2, {"clip": None, "sigma_min": 1e-3, "sigma_max": 20.0}),
        (heun, 2, {"clip": None, "sigma_min": 1e-3, "sigma_max": 20.0}),
    ],
)
def test_order_of_convergence_to_the_probability_flow(sampler, order, options):
    schedule = make_schedule("linear", 4096, 1e-6, 4e-3)
    first = min(options.get("sigma_max", np.inf), schedule.sigma[-1])
    s = 1 / np.sqrt(1 + first**2)
    start = np.linspace(-2, 2, 5)
    exact = MEAN + (start / s - MEAN) * C / np.sqrt(C**2 + first**2)
    errors = []
    for steps in (32, 64, 128):
        x = sampler(gaussian, lambda k: jnp.asarray(start), schedule, steps=steps, **options)
        errors.append(np.max(np.abs(np.asarray(x) - exact)))
    measured = np.log2(np.array(errors[:-1]) / errors[1:])
    assert measured == pytest.approx(order, abs=0.3)


def exact_moments(sampler, schedule, steps, **options):
    """Mean and variance of what a chain draws: of a Gaussian target it is linear in its noises,
    so that a component each, and one without, say what it makes of them."""

    def each_alone(k):
        return jnp.asarray(jnp.arange(steps + 2) == k, jnp.float64)

    x = np.asarray(sampler(gaussian, each_alone, schedule, steps=steps, clip=None, **options))
    return x[-1], np.sum(np.square(x[:-1] - x[-1]))


@pytest.mark.parametrize(
    ("sampler", "order", "steps", "options"),
    [
        (ddpm, 1, 256, lambda steps: {}),
        (ddim, 1, 256, lambda steps: {"eta": 1.0}),
        # EDM's S_churn, as much fresh noise in all; the same at every step makes it a first order.
        (heun, 2, 64, lambda steps: {"eta": 8 / steps, "sigma_min": 1e-3, "sigma_max": 80.0}),
        (heun, 1, 128, lambda steps: {"eta": 1.0, "sigma_min": 1e-3, "sigma_max": 80.0}),
    ],
)
def test_order_of_convergence_of_the_variance_with_fresh_noise(sampler, order, steps, options):
    schedule = make_schedule("linear", 4096, 1e-6, 4e-3)
    found = [
        exact_moments(sampler, schedule, n, **options(n)) for n in (steps, 2 * steps, 4 * steps)
    ]
    means, variances = np.transpose(found)
    assert np.log2(np.diff(variances)[0] / np.diff(variances)[1]) == pytest.approx(order, abs=0.25)
    assert means[-1] == pytest.approx(MEAN, abs=2e-3)
    assert variances[-1] == pytest.approx(C**2, rel=0.03)


@pytest.mark.parametrize("scale", [0.95, 1.0, 1.05])
@pytest.mark.parametrize("sample", [dpmpp_2m, heun])
def test_chains_of_scaled_epsilon_follow_their_equation(sample, scale):
    # du / dsigma = (u - D(u)) / (scale sigma), u = x / s, D of N(MEAN, C^2).
    start, first = np.linspace(-2, 2, 5), 4.0
    x = sample(
        epsilon_scaled(gaussian, scale),
        lambda k: jnp.asarray(start),
        make_schedule("linear", 4096, 1e-6, 4e-3),
        steps=255,
        clip=None,
        sigma_min=1e-3,
        sigma_max=first,
    )
    u = start * np.sqrt(1 + first**2)
    exact = MEAN + (u - MEAN) * (C**2 / (C**2 + first**2)) ** (0.5 / scale)
    np.testing.assert_allclose(x, exact, atol=1e-3)


def test_scaled_epsilon_is_the_noise_divided_whatever_the_shape_of_levels():
    x, s = jax.random.normal(jax.random.key(0), (2, 3, 3, 1)), jnp.asarray([[0.4], [0.9]])
    level = s[:, :, None, None]

    def eps(x0):
        return (x - level * x0) / jnp.sqrt(1 - level**2)

    scaled = epsilon_scaled(lambda x, s: jnp.tanh(x), 1.02)
    np.testing.assert_allclose(eps(scaled(x, s)), eps(jnp.tanh(x)) / 1.02, atol=1e-12)
    np.testing.assert_allclose(scaled(x, 0.4)[0], scaled(x, s)[0], atol=1e-12)
    np.testing.assert_array_equal(scaled(x, 0.0), jnp.tanh(x))


def test_steps_run_over_all_times_or_evenly():
    np.testing.assert_array_equal(uniform_steps(SCHEDULE, 1000), np.arange(1000, -1, -1))
    np.testing.assert_array_equal(uniform_steps(SCHEDULE, 4), [1000, 750, 500, 250, 0])
    with pytest.raises(ValueError, match="1001 sampling steps, expected 1 to 1000"):
        uniform_steps(SCHEDULE, 1001)


def test_karras_sigmas_are_even_in_the_seventh_root_within_the_schedule():
    sigma = karras_sigmas(SCHEDULE, 9, 0.01, 80.0)
    assert (sigma[0], sigma[-1]) == (pytest.approx(80), pytest.approx(0.01))
    np.testing.assert_allclose(np.diff(sigma ** (1 / 7), 2), 0, atol=1e-12)
    whole = karras_sigmas(SCHEDULE, 2, 0.0, np.inf)
    np.testing.assert_allclose(whole, SCHEDULE.sigma[[-1, 1]])
    with pytest.raises(ValueError, match="no 2 steps, expected 3 or more"):
        heun(gaussian, noise, SCHEDULE, steps=2)
    with pytest.raises(ValueError, match="no 1 steps"):
        karras_sigmas(SCHEDULE, 1, 0.01, 80.0)
