import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.process import (
    DiffusionConfig,
    denoiser,
    draw_levels,
    loss_at,
    posterior,
    q_sample,
    regress,
    training_loss,
)
from jaxrain.diffusion.schedules import make_schedule, posterior_coefficients

SCHEDULE = make_schedule("cosine", 2000)
PREDICTIONS = ("eps", "v", "x0")


def numbers(batch=3, seed=0):
    rng = np.random.default_rng(seed)
    x0, eps = rng.normal(size=(2, batch, 4, 4, 1)).astype("f4")
    condition = rng.normal(size=(batch, 4, 4, 2)).astype("f4")
    return x0, eps, condition, rng.uniform(0.1, 0.9, (batch, 1)).astype("f4")


def knowing(x0, prediction, offset=0.0):
    """A network that knows the clean field; its output is off by a constant."""

    def network(x, s):
        assert x.shape[-1] == 3
        s, x = s[:, :, None, None], x[..., 2:]
        eps = (x - s * x0) / jnp.sqrt(1 - s * s)
        v = s * eps - jnp.sqrt(1 - s * s) * x0
        return {"eps": eps, "v": v, "x0": x0 * jnp.ones_like(x)}[prediction] + offset

    return network


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_who_knows_the_field_has_no_loss_and_denoises_exactly(prediction):
    x0, eps, condition, s = numbers()
    config = DiffusionConfig(prediction=prediction)
    network = knowing(x0, prediction)
    loss, _ = loss_at(network, config, x0, condition, s, eps)
    assert float(loss) < 1e-10
    x = q_sample(x0, s[:, :, None, None], eps)
    np.testing.assert_allclose(denoiser(network, condition, config)(x, s), x0, atol=1e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_min_snr_weighs_each_prediction_alike(prediction):
    x0, eps, condition, s = numbers(batch=1)
    config = DiffusionConfig(prediction=prediction, weighting="min_snr")
    loss, aux = loss_at(knowing(x0, prediction, 0.1), config, x0, condition, s, eps)
    snr = float(s[0, 0] ** 2 / (1 - s[0, 0] ** 2))
    # In x0 an error e of eps is e / sqrt(snr), one of v is e / sqrt(snr + 1).
    in_x0 = 0.01 / {"eps": snr, "v": snr + 1, "x0": 1}[prediction]
    assert float(loss) == pytest.approx(min(snr, 5) * in_x0, rel=1e-3)
    assert float(aux["per_example"][0]) == pytest.approx(0.01, rel=1e-3)


def test_a_prediction_of_v_is_edms_preconditioning_of_a_target_of_unit_variance():
    # Karras et al. 2022, table 1 with sigma_data = 1: D = c_skip y + c_out F(c_in y), y = x / s.
    x0, eps, condition, s = numbers()
    s = s.astype("f8")
    level = s[:, :, None, None]
    sigma = np.sqrt(1 - level**2) / level
    c_skip, c_out = 1 / (sigma**2 + 1), sigma / np.sqrt(sigma**2 + 1)
    c_in, weight = 1 / np.sqrt(sigma**2 + 1), (sigma**2 + 1) / sigma**2
    y = x0 + sigma * eps

    def of_edm(noisy):
        return jnp.sin(3 * noisy)

    def network(x, _):
        return -of_edm(x[..., 2:])

    config = DiffusionConfig(prediction="v")
    with jax.enable_x64(True):
        expected = c_skip * y + c_out * np.asarray(of_edm(c_in * y))
        x = q_sample(jnp.asarray(x0, "f8"), level, eps)
        np.testing.assert_allclose(denoiser(network, condition, config)(x, s), expected, atol=1e-12)
        loss, _ = loss_at(network, config, jnp.asarray(x0, "f8"), condition, s, eps)
        assert float(loss) == pytest.approx(np.mean(weight * (expected - x0) ** 2), rel=1e-12)


@pytest.mark.parametrize(("kind", "expected"), [("l2", 0.25), ("l1", 0.5)])
def test_missing_points_do_not_count_whatever_they_hold(kind, expected):
    x0, eps, condition, s = numbers()
    mask = np.ones_like(x0)
    mask[0] = 0
    mask[1, :2] = 0
    network = knowing(x0, "eps", 0.5)
    config = DiffusionConfig(loss=kind)
    holes = np.where(mask > 0, x0, np.nan).astype("f4")

    def loss(holes):
        return loss_at(network, config, holes, condition, s, eps, mask)

    value, aux = loss(jnp.asarray(holes))
    assert float(value) == pytest.approx(expected, rel=1e-3)
    assert float(aux["known"]) == 0.5
    assert float(aux["per_example"][0]) == 0
    nothing, _ = loss_at(network, config, x0, condition, s, eps, np.zeros_like(mask))
    assert float(nothing) == 0


def test_continuous_levels_are_uniform_over_steps_and_within_each():
    like = jnp.zeros((20000, 1))
    s = np.asarray(draw_levels(jax.random.key(0), DiffusionConfig(), SCHEDULE, like))[:, 0]
    # The rank of s among the schedule's levels is a uniform t; ends are where nothing else is.
    t = np.interp(s, SCHEDULE.s[::-1], np.arange(2000, -1, -1.0))
    quantiles = np.quantile(t, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(quantiles, [200, 1000, 1800], atol=4 * 2000 * 0.5 / np.sqrt(20000))
    within = t - np.floor(t)
    assert np.mean(within) == pytest.approx(0.5, abs=0.02)
    assert len(np.unique(s)) > 15000


def test_lognormal_levels_have_the_moments_asked_for():
    config = DiffusionConfig(noise_levels="lognormal", p_mean=-0.5, p_std=1.5)
    like = jnp.zeros((20000, 1))
    s = np.asarray(draw_levels(jax.random.key(0), config, SCHEDULE, like), np.float64)
    ln_sigma = np.log(np.sqrt(1 - s**2) / s)
    assert np.mean(ln_sigma) == pytest.approx(-0.5, abs=4 * 1.5 / np.sqrt(20000))
    assert np.std(ln_sigma) == pytest.approx(1.5, rel=0.02)


def test_noised_fields_keep_unit_variance_and_posterior_goes_one_step_back():
    rng = np.random.default_rng(0)
    x0, eps = rng.normal(size=(2, 100_000)).astype("f4")
    for s in (0.1, 0.7, 0.99):
        assert float(jnp.var(q_sample(x0, s, eps))) == pytest.approx(1, rel=0.03)
    mean, log_variance = posterior(SCHEDULE, x0, eps, 700)
    on_x0, on_x, expected = posterior_coefficients(*SCHEDULE.alpha_bar[[700, 699], None])
    np.testing.assert_allclose(mean, on_x0 * x0 + on_x * eps, atol=1e-6)
    assert float(log_variance) == pytest.approx(float(expected[0]), rel=1e-5)


def test_loss_follows_its_key_alone():
    x0, _, condition, _ = numbers()
    config = DiffusionConfig()

    def loss(seed):
        network = lambda x, s: x[..., :1] * s[:, :, None, None]  # noqa: E731
        key = jax.random.key(seed)
        return float(training_loss(network, config, SCHEDULE, key, x0, condition)[0])

    assert loss(0) == loss(0)
    assert loss(0) != loss(1)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown schedule 'sine'"):
        DiffusionConfig(schedule="sine")


@pytest.mark.parametrize(("kind", "expected"), [("l2", 0.25), ("l1", 0.5)])
def test_a_regression_is_scored_on_the_field_itself_without_noise(kind, expected):
    x0, _, condition, _ = numbers()
    config = DiffusionConfig(objective="regression", loss=kind, prediction="eps")

    def network(x, s):  # knows the field but for 0.5, where nothing of noise is shown to it
        return x0 + 0.5 + 9 * x[..., 2:] + 9 * s[:, :, None, None]

    loss, aux = training_loss(network, config, SCHEDULE, jax.random.key(0), x0, condition)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(aux["s"], 0)
    np.testing.assert_allclose(regress(network, condition), x0 + 0.5, rtol=1e-6)
    noisy = denoiser(network, condition, config)(jnp.full_like(x0, 7), 0.3)
    np.testing.assert_allclose(noisy, x0 + 0.5, rtol=1e-6)


def test_squared_error_finds_the_mean_and_absolute_error_the_median():
    x0 = jnp.asarray([0.0, 0.0, 6.0]).reshape(3, 1, 1, 1)
    condition = jnp.zeros((3, 1, 1, 2))

    def slope(value, kind):
        config = DiffusionConfig(objective="regression", loss=kind)
        loss = lambda c: training_loss(  # noqa: E731
            lambda x, s: jnp.full_like(x0, c), config, SCHEDULE, jax.random.key(0), x0, condition
        )[0]
        return float(jax.grad(loss)(value))

    assert slope(2.0, "l2") == pytest.approx(0, abs=1e-6)
    assert slope(-0.1, "l1") < 0 < slope(0.1, "l1")
