"""Chains that begin from a first guess."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.ensembles.chain import make_chain, make_downscale
from jaxrain.ensembles.chain_test import GUESSED, MINUTES, PROCESS, SCALING, canvas, coarse_fields
from jaxrain.ensembles.settings import SampleConfig


def keeps(parameters, x, s):
    """A network that takes all it is shown, noise too, for rain: x0_hat = x / s."""
    return x[..., -1:] / s[:, :, None, None]


def ends(
    guess,
    *,
    steps=4,
    regress=None,
    members=(0, 1),
    minutes=(MINUTES, MINUTES),
    powers=None,
    **settings,
):
    """x0 at the end of a chain from a first guess, of two members or of two hours."""
    config = SampleConfig(**{"steps": steps, "batch": 4, **GUESSED, **settings})
    shared = {"finish": lambda drawn: drawn.x0, "centred": False}
    chain = make_chain(keeps, SCALING, PROCESS, config, guess=guess, regress=regress, **shared)
    coarse = coarse_fields(1).repeat(2, 0)
    return np.asarray(chain(0, canvas(), coarse, members, minutes, powers=powers))


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "heun"])
def test_a_chain_goes_on_from_the_guess_under_its_noise(sampler):
    """Where nothing is denoised, the end is the guess and noise of standard deviation sigma_max."""
    raised = ends(lambda _, condition, noise: jnp.full_like(noise, 0.5), sampler=sampler)
    flat = ends(lambda _, condition, noise: jnp.zeros_like(noise), sampler=sampler)
    np.testing.assert_allclose(raised - flat, 0.5, atol=1e-5)
    np.testing.assert_allclose(np.std(flat), 0.3, rtol=0.03)
    assert abs(np.corrcoef(flat[0].ravel(), flat[1].ravel())[0, 1]) < 0.05


def test_a_guess_has_noise_of_its_own():
    drawn = ends(lambda _, condition, noise: 0.3 * noise)
    np.testing.assert_allclose(np.var(drawn), 0.3**2 + 0.3**2, rtol=0.05)


def test_a_guess_is_turned_with_its_member():
    def shown(condition, noise):  # not the same from all sides
        across = jnp.linspace(0, 1, noise.shape[2])[:, None]
        return condition[..., :1] * (across + 2 * across[:, None])

    guesses = {}
    for turn in (False, True):
        raised, flat = (
            ends(lambda _, c, n, share=share: share * shown(c, n), turn=turn) for share in (1, 0)
        )
        guesses[turn] = raised - flat
    # Member 0 looks straight at the weather, member 1 from another side.
    np.testing.assert_allclose(guesses[True][0], guesses[False][0], atol=1e-5)
    assert np.abs(guesses[True][1] - guesses[False][1]).max() > 0.1
    # What is the same from all sides comes back as it went.
    plain, turned = (
        ends(lambda _, c, n: c[..., :1], turn=turn) - ends(lambda _, c, n: 0 * n, turn=turn)
        for turn in (False, True)
    )
    np.testing.assert_allclose(turned, plain, atol=1e-5)


def test_noise_that_lasts_lasts_in_the_guess_and_over_it():
    hours = {"members": (0, 0), "minutes": (MINUTES, MINUTES + 60), "noise_correlation": 0.6}
    over = ends(lambda _, c, n: 0 * n, **hours)
    inside = ends(lambda _, c, n: 0.3 * n, sigma_max=0.03, sigma_min=0.01, **hours)
    for first, second in (over, inside):
        correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        np.testing.assert_allclose(correlation, 0.6, atol=0.05)


def test_of_a_run_of_two_stages_the_guess_is_of_the_whole():
    whole = ends(lambda _, condition, noise: jnp.full_like(noise, 0.5))
    both = ends(
        lambda _, condition, noise: jnp.full_like(noise, 0.5),
        regress=lambda _, condition: condition[..., :1],
    )
    np.testing.assert_allclose(both, whole, atol=1e-5)


def test_only_a_chain_that_begins_at_sigma_max_can_begin_from_a_guess():
    with pytest.raises(ValueError, match="sampler=ddim begins from pure noise"):
        SampleConfig(first_guess="RUN", sampler="ddim", sigma_max=1)
    with pytest.raises(ValueError, match="takes sigma_max"):
        SampleConfig(first_guess="RUN", sampler="heun")
    with pytest.raises(ValueError, match="both or neither"):
        make_downscale(keeps, SCALING, PROCESS, SampleConfig(**GUESSED))
