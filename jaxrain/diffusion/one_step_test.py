import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.one_step import INCREMENTS, SCALES, fair_crps_of_two, generate
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


def test_increments_are_scored_as_written_out_between_blocks_known_whole():
    first, second, x0, mask = fields(shape=(1, 17, 24, 1))
    mask[0, 5, 7] = 0
    expected = 0.0
    for side in INCREMENTS:
        for dy, dx in ((side, 0), (0, side)):
            for y in range(0, 17 - dy, side):
                for x in range(0, 24 - dx, side):
                    one, two = (
                        np.s_[0, y + a : y + a + side, x + b : x + b + side, 0]
                        for a, b in ((0, 0), (dy, dx))
                    )
                    if min(mask[one].sum(), mask[two].sum()) < side * side:
                        continue
                    a, b, truth = (f[two].mean() - f[one].mean() for f in (first, second, x0))
                    expected += side**2 * (abs(a - truth) + abs(b - truth) - abs(a - b)) / 2
    plain = fair_crps_of_two(first, second, x0, mask)
    found = fair_crps_of_two(first, second, x0, mask, increments=3.0) - plain
    np.testing.assert_allclose(found, 3 * expected / (2 * len(INCREMENTS)), rtol=1e-4)


def test_increments_ask_for_the_truths_roughness_where_points_alone_do_not():
    rng = np.random.default_rng(2)
    rough = rng.normal(size=(3, 1, 256, 256, 1)).astype("f4")
    smooth = np.repeat(np.repeat(rough[:, :, :64, :64], 4, 2), 4, 3)
    first, second, x0 = smooth
    mask = np.ones_like(x0)

    def score(a, b, weight):
        return float(fair_crps_of_two(a, b, x0, mask, weight)[0]) / x0.size

    # The same values at each point, but without neighbours alike.
    assert score(first, second, 1.0) < score(*rough[:2], 1.0) - 0.1


def test_amounts_are_scored_in_mm_where_asked_and_never_where_missing():
    plain = DiffusionConfig(objective="crps", prediction="x0")
    in_mm = DiffusionConfig(objective="crps", prediction="x0", crps_amounts=2.0)
    schedule = make_schedule("cosine", 100)
    condition, key = jnp.zeros((2, 8, 8, 1)), jax.random.key(1)
    x0 = jax.random.normal(jax.random.key(5), (2, 8, 8, 1)).at[0, 0, 0].set(jnp.nan)
    mask = jnp.isfinite(x0).astype("f4")

    def loss(config, amounts):
        network = lambda x, s: x[..., 1:]  # noqa: E731
        found = training_loss(network, config, schedule, key, x0, condition, mask, amounts)
        return float(found[0])

    # Three times as large values have three times the score.
    assert loss(in_mm, lambda x: 3 * x) == pytest.approx(7 * loss(plain, None), rel=1e-5)
    with pytest.raises(ValueError, match="amounts"):
        loss(in_mm, None)


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
