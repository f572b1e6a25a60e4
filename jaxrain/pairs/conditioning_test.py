import jax
import jax.numpy as jnp
import numpy as np

from jaxrain.grids.regrid import bilinear_matrix, nearest_matrix
from jaxrain.pairs.conditioning import (
    assemble,
    coarse_rain,
    condition_fields,
    interpolate,
    with_surroundings,
)
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.scaling import Scaling, encode_predictors, encode_target

CHANNELS = ["u500", "tp"]
SCALING = Scaling.from_manifest(
    {
        "channels": CHANNELS,
        "statistics": {
            "channels": {"u500": {"min": -10.0, "max": 10.0}, "tp": {"min": 0.0, "max": 5.0}},
            "fine_rain": {"min": 0.0, "max": 20.0},
        },
    },
    DataConfig(rain_scaling="log1p"),
)


def _batch(seed=0, missing=None):
    rng = np.random.default_rng(seed)
    source_y, source_x = np.asarray([3.0, 2.0, 1.0]), np.asarray([0.0, 1.0, 2.0, 3.0])
    y, x = np.linspace(3.0, 1.0, 9), np.linspace(0.0, 3.0, 13)
    coarse = rng.gamma(1.0, 2.0, (2, 2, 3, 4)).astype(np.float32)
    if missing:
        coarse[missing] = np.nan
    stack = lambda s, t: np.stack([bilinear_matrix(s, t), nearest_matrix(s, t)])  # noqa: E731
    return {
        "fine": rng.gamma(0.5, 4.0, (2, 9, 13)).astype(np.float32),
        "coarse": coarse,
        "weights_y": np.tile(stack(source_y, y).astype(np.float32), (2, 1, 1, 1)),
        "weights_x": np.tile(stack(source_x, x).astype(np.float32), (2, 1, 1, 1)),
    }


def test_interpolation_is_the_two_matrices_of_each_channel():
    batch = _batch()
    fields = interpolate(batch["coarse"], batch["weights_y"], batch["weights_x"])
    assert fields.shape == (2, 9, 13, 4)
    for i in range(2):
        for c in range(2):
            wy, wx = batch["weights_y"][1, i], batch["weights_x"][1, i]
            expected = wy @ batch["coarse"][1, c] @ wx.T
            np.testing.assert_allclose(fields[1, :, :, 2 * i + c], expected, rtol=1e-5)


def test_physical_values_are_interpolated_before_they_are_scaled():
    batch = _batch()
    example = jax.jit(assemble)(batch, SCALING)
    fields = interpolate(batch["coarse"], batch["weights_y"], batch["weights_x"])
    np.testing.assert_allclose(example.coarse_rain_mm, fields[..., 1:2], rtol=1e-5)
    np.testing.assert_allclose(
        example.condition[..., 2:], encode_predictors(SCALING, fields[..., 2:]), atol=1e-6
    )
    x0 = encode_target(SCALING, jnp.asarray(batch["fine"])[..., None], fields[..., 1:2])
    np.testing.assert_allclose(example.x0, x0, atol=1e-6)
    assert example.mask.min() == 1


def test_missing_fine_points_are_masked_and_nothing_is_nan():
    batch = _batch()
    batch["fine"][0, 2, 3] = np.nan
    example = assemble(batch, SCALING)
    assert example.mask[0, 2, 3, 0] == 0
    assert example.mask.sum() == 2 * 9 * 13 - 1
    assert example.x0[0, 2, 3, 0] == 0
    assert all(np.isfinite(a).all() for a in example)


def test_a_missing_coarse_cell_masks_just_the_points_that_it_touches():
    batch = _batch(missing=(1, 0, 0, 0))  # the wind of one corner
    example = assemble(batch, SCALING)
    touched = np.einsum("ip,iq->pq", batch["weights_y"][1, :, :, 0], batch["weights_x"][1, :, :, 0])
    np.testing.assert_array_equal(example.mask[1, :, :, 0], touched == 0)
    assert example.mask[0].min() == 1
    assert all(np.isfinite(a).all() for a in example)
    np.testing.assert_array_equal(example.condition[1][touched > 0], 0)


def test_coarse_rain_alone_is_what_stands_beside_the_condition():
    batch = _batch(missing=(1, 0, 0, 0))
    batch["coarse"][0, 1, 2, 1] = np.nan
    given = SCALING, batch["coarse"], batch["weights_y"], batch["weights_x"]
    _, *expected = condition_fields(*given)
    for ours, theirs in zip(coarse_rain(*given), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert 0 < expected[0].mean() < 1


def test_maps_and_then_the_time_follow_the_predictors():
    batch = _batch(missing=(1, 0, 0, 0))
    rng = np.random.default_rng(1)
    maps = rng.normal(size=(2, 9, 13, 3)).astype(np.float32)
    clock = rng.normal(size=(2, 2)).astype(np.float32)
    plain = assemble(batch, SCALING)
    condition = assemble(batch | {"maps": maps, "clock": clock}, SCALING).condition
    assert condition.shape == (2, 9, 13, 4 + 3 + 2)
    np.testing.assert_array_equal(condition[..., :4], plain.condition)
    np.testing.assert_array_equal(condition[..., 4:7], maps)
    np.testing.assert_array_equal(condition[:, 3, 5, 7:], clock)
    np.testing.assert_array_equal(condition[:, 8, 0, 7:], clock)


def test_with_nothing_beside_the_weather_the_program_is_the_same():
    condition = assemble(_batch(), SCALING).condition
    assert with_surroundings(condition, None, None) is condition
