import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrain.diffusion.attention import SelfAttention
from jaxrain.diffusion.embedding import embedded_scalar, sinusoids
from jaxrain.diffusion.layers import dropout


@pytest.mark.parametrize("whole_channels", [False, True])
def test_dropout_keeps_the_mean_and_drops_what_it_says(whole_channels):
    x = jnp.ones((64, 4, 4, 64))
    y = np.asarray(dropout(x, 0.25, jax.random.key(0), whole_channels=whole_channels))
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    draws = 64 * 64 * (1 if whole_channels else 16)
    assert np.mean(y == 0) == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / draws))
    constant_in_space = np.all(y == y[:, :1, :1], (1, 2))
    assert np.mean(constant_in_space) == 1 if whole_channels else np.mean(constant_in_space) < 0.05


def test_sinusoids_are_sines_then_cosines_of_falling_frequency():
    embedding = np.asarray(sinusoids(jnp.array([[0.5]]), 8))[0]
    angle = 0.5 * 10.0 ** -np.arange(4.0)  # exp(-ln(1e4) k / 4) = 10^-k
    np.testing.assert_allclose(embedding, [*np.sin(angle), *np.cos(angle)], rtol=1e-6)


def test_log_snr_is_even_steps_of_ln_sigma_held_within_bounds():
    sigma = np.array([0.01, 0.1, 1, 10, 100])
    s = jnp.asarray(1 / np.sqrt(1 + sigma**2), jnp.float32)
    value = embedded_scalar(s, "log_snr")
    np.testing.assert_allclose(value, 2.5 * np.log(sigma), atol=4e-3)
    np.testing.assert_array_equal(embedded_scalar(jnp.array([0.0, 1.0]), "log_snr"), [25, -25])
    np.testing.assert_array_equal(embedded_scalar(s, "level"), s)


def filled(attention, **kernels):
    for name, kernel in kernels.items():
        getattr(attention, name).kernel[...] = jnp.asarray(kernel, jnp.float32)
    return attention


def test_attention_with_equal_scores_adds_the_mean_value_everywhere():
    channels = 4
    qkv = np.zeros((1, 1, channels, 3 * channels))
    qkv[0, 0, :, 2 * channels :] = np.eye(channels)  # queries and keys 0, values the input
    attention = filled(
        SelfAttention(channels, 2, param_dtype=jnp.float32),
        qkv=qkv,
        out=np.eye(channels)[None, None],
    )
    x = np.random.default_rng(0).normal(size=(2, 3, 5, channels)).astype(np.float32)
    mean = np.asarray(attention.norm(x)).mean((1, 2), keepdims=True)
    np.testing.assert_allclose(attention(x), x + mean, atol=1e-5)


def test_attention_divides_scores_by_the_root_of_the_channels():
    channels = 4
    qkv = np.concatenate([np.eye(channels)] * 3, 1)[None, None]  # q = k = v = the normed input
    attention = filled(
        SelfAttention(channels, 1, param_dtype=jnp.float32),
        qkv=qkv,
        out=np.eye(channels)[None, None],
    )
    x = np.random.default_rng(0).normal(size=(1, 2, 3, channels)).astype(np.float32)
    h = np.asarray(attention.norm(x)).reshape(6, channels)
    weight = np.exp(h @ h.T / np.sqrt(channels))
    mixed = (weight / weight.sum(1, keepdims=True)) @ h
    np.testing.assert_allclose(attention(x), x + mixed.reshape(x.shape), atol=1e-5)
