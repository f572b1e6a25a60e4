import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.one_step import SCALES, fair_crps_of_two, generate
from jaxrain.diffusion.process import DiffusionConfig, denoiser, training_loss
from jaxrain.diffusion.schedules import make_schedule


def fields(seed=0, shape=(2, 20, 24, 1)):
    first, second, x0 = np.random.default_rng(seed).normal(size=(3, *shape)).astype("f4")
    return first, second, x0, np.ones(shape, "f4")


def test_points_and_blocks_are_scored_as_written_out():
    first, second, x0, mask = fields()
    expected = np.zeros(len(x0))
    for scale in SCALES:
        for y in range(0, 20, scale):
            for x in range(0, 24, scale):
                block = np.s_[:, y : y + scale, x : x + scale, 0]
                a, b, truth = (f[block].mean((1, 2)) for f in (first, second, x0))
                points = first[block][0].size
                expected += points * (abs(a - truth) + abs(b - truth) - abs(a - b)) / 2
    found = fair_crps_of_two(first, second, x0, mask)
    np.testing.assert_allclose(found, expected / len(SCALES), rtol=1e-5)


def test_equal_members_have_their_absolute_error():
    first, _, x0, mask = fields(shape=(3, 1, 1, 1))
    found = fair_crps_of_two(first, first, x0, mask)
    np.testing.assert_allclose(found, abs(first - x0)[:, 0, 0, 0], rtol=1e-5)


def test_missing_points_do_not_count_whatever_they_hold():
    first, second, x0, mask = fields()
    mask[:, 3:9, :7] = 0
    known = fair_crps_of_two(first, second, x0, mask)
    x0[:, 3:9, :7] = np.nan
    first[:, 3:9, :7] = 1e3
    np.testing.assert_array_equal(fair_crps_of_two(first, second, x0, mask), known)


def test_drawing_as_truth_is_drawn_scores_better_than_sharper_or_wider():
    rng = np.random.default_rng(1)
    first, second, x0 = rng.normal(size=(3, 1, 512, 512, 1)).astype("f4")
    mask = np.ones_like(x0)

    def score(spread):
        return float(fair_crps_of_two(spread * first, spread * second, x0, mask)[0])

    assert score(1.0) < min(score(0.8), score(1.2), score(0.0))


@pytest.mark.parametrize("prediction", ["v", "x0"])
def test_a_member_is_what_a_denoiser_says_of_pure_noise(prediction):
    noise, _, condition, _ = fields(shape=(2, 4, 4, 1))

    def network(x, s):
        return (x[..., :1] + 3 * x[..., 1:]) * (1 + s[:, :, None, None])

    member = generate(network, condition, noise, prediction)
    denoise = denoiser(network, condition, DiffusionConfig(prediction=prediction))
    np.testing.assert_allclose(member, denoise(noise, 0.0), rtol=1e-6)
    one = denoiser(network, condition, DiffusionConfig(objective="crps", prediction=prediction))
    np.testing.assert_array_equal(one(noise, 0.7), member)


def test_the_loss_draws_two_members_and_is_least_at_the_truths_spread():
    config = DiffusionConfig(objective="crps", prediction="x0")
    schedule = make_schedule("cosine", 100)
    x0 = jax.random.normal(jax.random.key(5), (4, 64, 64, 1))
    condition = jnp.zeros((4, 64, 64, 2))

    def loss(spread):
        network = lambda x, s: spread * x[..., 2:]  # noqa: E731
        return float(training_loss(network, config, schedule, jax.random.key(1), x0, condition)[0])

    assert loss(1.0) < min(loss(0.8), loss(1.25), loss(0.0))


def test_noise_alone_has_no_eps_to_tell():
    with pytest.raises(ValueError, match="objective=crps"):
        DiffusionConfig(objective="crps", prediction="eps")
