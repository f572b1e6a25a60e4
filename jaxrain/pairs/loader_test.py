import dataclasses
import itertools

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.grids.regrid import bilinear_matrix, nearest_matrix
from jaxrain.pairs.build import prepare
from jaxrain.pairs.conftest import hours
from jaxrain.pairs.loader import training_batches
from jaxrain.pairs.store import open_store
from jaxrain.pairs.symmetries import COUNT, turned

SHAPES = {
    "fine": (4, 16, 16),
    "coarse": (4, 11, 5, 5),
    "weights_y": (4, 2, 16, 5),
    "weights_x": (4, 2, 16, 5),
}


def _batches(world, **keys):
    config = world.config(interpolations=["bilinear", "nearest"], wet_fraction=0.5)
    store = open_store(config.store, config)
    return training_batches(store, config, **({"batch_size": 4, "seed": 3} | keys))


def _take(iterator, count):
    return list(itertools.islice(iterator, count))


def _assert_same(a, b):
    for key in SHAPES:
        np.testing.assert_array_equal(a[key], b[key])


def test_shapes_and_types(filled):
    batch = next(_batches(filled))
    assert {key: value.shape for key, value in batch.items()} == SHAPES
    assert {value.dtype for value in batch.values()} == {np.dtype(np.float32)}


def test_a_patchs_cells_interpolate_to_what_the_whole_field_does(filled):
    store = open_store(filled.config().store)
    (area,) = store.areas
    whole = {}
    for index in area.indices("train"):
        fine, coarse = np.asarray(area.fine(index)), np.asarray(area.coarse(index))
        for number, matrix in enumerate((bilinear_matrix, nearest_matrix)):
            wy = matrix(area.coarse_grid.y, area.fine_grid.y)
            wx = matrix(area.coarse_grid.x, area.fine_grid.x)
            whole[index, number] = fine, np.einsum("ph,chw,qw->cpq", wy, coarse, wx)
    for batch in _take(_batches(filled), 3):
        for row in range(4):
            for number in range(2):
                patch = np.einsum(
                    "ph,chw,qw->cpq",
                    batch["weights_y"][row, number],
                    batch["coarse"][row],
                    batch["weights_x"][row, number],
                )
                found = [
                    (y, x)
                    for fine, field in (whole[i, number] for i in area.indices("train"))
                    for y in range(25)
                    for x in range(33)
                    if np.array_equal(
                        fine[y : y + 16, x : x + 16], batch["fine"][row], equal_nan=True
                    )
                    and np.allclose(field[:, y : y + 16, x : x + 16], patch, rtol=1e-4)
                ]
                assert len(found) == 1


def test_any_step_can_be_begun_with_and_a_state_gone_on_from(filled):
    batches = _batches(filled)
    first = _take(batches, 4)
    state = batches.get_state()
    following = _take(batches, 2)
    _assert_same(next(_batches(filled, start_step=2)), first[2])
    again = _batches(filled)
    again.set_state(state)
    for expected, batch in zip(following, _take(again, 2), strict=True):
        _assert_same(batch, expected)


def test_hosts_share_each_batch_in_order(filled):
    whole = _take(_batches(filled), 3)
    halves = [_take(_batches(filled, host=host, hosts=2), 3) for host in (0, 1)]
    for batch, *parts in zip(whole, *halves, strict=True):
        joined = {key: np.concatenate([part[key] for part in parts]) for key in SHAPES}
        _assert_same(joined, batch)


def test_an_epoch_holds_each_training_hour_as_often_as_patches_fit(filled):
    store = open_store(filled.config().store)
    (area,) = store.areas
    rows = len(area.indices("train")) * (40 // 16) * (48 // 16)
    (epoch,) = _take(_batches(filled, batch_size=rows), 1)
    seen = []
    for fine in epoch["fine"]:
        seen += [
            index
            for index in range(len(area.hours))
            if np.isin(fine[8, 8], np.asarray(area.fine(index)))
        ]
    assert {index: seen.count(index) for index in set(seen)} == dict.fromkeys(
        area.indices("train"), 6
    )


def test_epochs_and_seeds_differ(filled):
    rows = 9 * 6
    first, second = _take(_batches(filled, batch_size=rows), 2)
    (other,) = _take(_batches(filled, batch_size=rows, seed=4), 1)
    assert not np.array_equal(first["fine"], second["fine"], equal_nan=True)
    assert not np.array_equal(first["fine"], other["fine"], equal_nan=True)


def test_augmented_each_patch_is_a_symmetry_of_the_plain_one(world):
    store, config = _of_rain_alone(world)
    keys = {"batch_size": 20, "seed": 3}
    plain = next(training_batches(store, config, **keys))["fine"]
    augmented = dataclasses.replace(config, augment=True)
    batch = next(training_batches(store, augmented, **keys))
    which = [
        [
            np.array_equal(fine, turned({**one, "fine": before}, symmetry)["fine"], equal_nan=True)
            for symmetry in range(COUNT)
        ].index(True)
        for before, fine, one in zip(plain, batch["fine"], _examples(batch), strict=True)
    ]
    assert len(set(which)) > 4
    (again,) = _take(training_batches(store, augmented, **keys), 1)
    _assert_same(batch, again)


def test_amounts_are_multiplied_alike_on_both_sides_within_the_factor(world):
    store, config = _of_rain_alone(world)
    keys = {"batch_size": 20, "seed": 3}
    plain = next(training_batches(store, config, **keys))
    multiplied = dataclasses.replace(config, augment_amounts=2)
    batch = next(training_batches(store, multiplied, **keys))
    factors = np.nanmax(batch["fine"], (1, 2)) / np.nanmax(plain["fine"], (1, 2))
    assert factors.min() >= 0.5
    assert factors.max() <= 2
    assert factors.max() / factors.min() > 2
    for key in ("fine", "coarse"):
        shape = (-1,) + (1,) * (plain[key].ndim - 1)
        np.testing.assert_allclose(batch[key], plain[key] * factors.reshape(shape), rtol=1e-5)
    for key in ("weights_y", "weights_x"):
        np.testing.assert_array_equal(batch[key], plain[key])
    (again,) = _take(training_batches(store, multiplied, **keys), 1)
    _assert_same(batch, again)


def test_rain_of_another_contrast_comes_with_the_coarse_cells_of_its_own(world):
    store, config = _of_rain_alone(world, interpolations=["nearest"])
    keys = {"batch_size": 20, "seed": 3}
    plain = next(training_batches(store, config, **keys))
    sharpened = dataclasses.replace(config, augment_contrast=1.5)
    batch = next(training_batches(store, sharpened, **keys))
    slopes = [_slope(*pair) for pair in zip(plain["fine"], batch["fine"], strict=True)]
    assert 1 / 1.5 <= min(slopes) < 0.8
    assert 1.2 < max(slopes) <= 1.5
    assert not np.array_equal(batch["coarse"], plain["coarse"], equal_nan=True)
    for key in ("weights_y", "weights_x"):
        np.testing.assert_array_equal(batch[key], plain[key])
    # Each cell that lies inside a patch is the mean of the points of it.
    inside = 0
    for row in range(20):
        rows, columns = (batch[f"weights_{axis}"][row, 0].argmax(axis=1) for axis in "yx")
        for y, x in itertools.product(set(rows), set(columns)):
            points = batch["fine"][row][np.ix_(rows == y, columns == x)]
            if points.shape == (5, 5) and np.isfinite(points).all():
                inside += 1
                np.testing.assert_allclose(points.mean(), batch["coarse"][row, 0, y, x], rtol=1e-5)
    assert inside > 20
    (again,) = _take(training_batches(store, sharpened, **keys), 1)
    _assert_same(batch, again)


def _slope(before, after):
    wet = before > 0
    return np.polyfit(np.log(before[wet]), np.log(after[wet]), 1)[0]


def _of_rain_alone(world, **keys):
    world.write_fine("a.nc", hours(3, 20))
    config = world.config(coarse=[], coarsen=5, variables=["tp"], levels=[], **keys)
    prepare(config, say=lambda line: None)
    return open_store(config.store), config


def _examples(batch):
    return [
        {key: values[row] for key, values in batch.items()} for row in range(len(batch["fine"]))
    ]


def test_what_does_not_fit_is_refused(filled):
    config = filled.config(patch=48)
    with pytest.raises(InputError, match=r"data\.patch=48 exceeds the area area0 of 40 x 48"):
        training_batches(open_store(config.store), config, batch_size=4, seed=0)
    with pytest.raises(InputError, match="does not divide among 3 hosts"):
        _batches(filled, hosts=3)


@pytest.mark.slow
def test_worker_processes_give_the_same_batches(filled):
    alone = _take(_batches(filled), 5)
    batches = _batches(filled, workers=2)
    for expected, batch in zip(alone[:3], _take(batches, 3), strict=True):
        _assert_same(batch, expected)
    state = batches.get_state()
    batches.close()
    again = _batches(filled, workers=2)
    again.set_state(state)
    _assert_same(next(again), alone[3])
    again.close()
