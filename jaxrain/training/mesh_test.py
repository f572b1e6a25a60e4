import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh, PartitionSpec
from pydantic import ValidationError

from jaxrain.errors import InputError
from jaxrain.training.mesh import (
    check_batch,
    create_mesh,
    mesh_shape,
    put_batch,
    put_state,
    sharded,
    spread,
)
from jaxrain.training.settings import MeshConfig


class FakeMesh:
    shape = {"data": 4, "fsdp": 2, "space": 1}  # noqa: RUF012


def test_mesh_takes_all_devices_unless_told():
    assert create_mesh().devices.size == len(jax.devices())
    assert create_mesh(1).devices.size == 1


def test_more_devices_than_there_are_is_a_users_error():
    with pytest.raises(InputError, match=r"train.devices=4096"):
        create_mesh(4096)


@pytest.mark.parametrize(("size", "says"), [(12, "8 or 16"), (3, "make it 8")])
def test_a_batch_that_devices_cannot_share_is_refused(size, says):
    with pytest.raises(InputError, match=says):
        check_batch(size, 1, 8, FakeMesh())
    check_batch(16, 1, 8, FakeMesh())


@pytest.mark.parametrize(
    ("count", "sizes", "shape"),
    [
        (8, {}, (8, 1, 1)),
        (8, {"fsdp": 2, "space": 2}, (2, 2, 2)),
        (8, {"data": 2, "fsdp": -1}, (2, 4, 1)),
        (1, {}, (1, 1, 1)),
    ],
)
def test_one_size_fills_itself(count, sizes, shape):
    assert mesh_shape(count, MeshConfig(**sizes)) == shape


@pytest.mark.parametrize("sizes", [{"fsdp": 3}, {"data": 2, "fsdp": 2}, {"space": 16}])
def test_sizes_that_do_not_make_up_the_devices_are_refused(sizes):
    with pytest.raises(InputError, match=r"train\.mesh: data=.* the 8 devices"):
        mesh_shape(8, MeshConfig(**sizes))


@pytest.mark.parametrize("sizes", [{"data": 0}, {"fsdp": -1}, {"space": -2}])
def test_sizes_that_mean_nothing_are_refused(sizes):
    with pytest.raises(ValidationError):
        MeshConfig(**sizes)


def test_parts_and_bands_are_refused_with_what_would_do():
    with pytest.raises(InputError, match=r"in 3 parts .*; make it 24"):
        check_batch(16, 3, 8, FakeMesh())
    banded = FakeMesh()
    banded.shape = FakeMesh.shape | {"space": 3}
    with pytest.raises(InputError, match=r"train.mesh.space=3 cannot share patches of 8 rows"):
        check_batch(16, 1, 8, banded)


def test_large_arrays_are_cut_along_their_longest_axis_that_fits_and_small_ones_are_whole():
    devices = AbstractMesh((1, 2, 1), ("data", "fsdp", "space"))

    def cut(*shape):
        return sharded(jax.ShapeDtypeStruct(shape, np.float32), devices).spec

    assert cut(3, 3, 64, 128) == PartitionSpec(None, None, None, "fsdp")
    assert cut(3, 3, 64, 33) == PartitionSpec(None, None, "fsdp")
    assert cut(3, 3, 5, 7) == cut(129, 33, 1) == PartitionSpec()
    assert cut(2048) == PartitionSpec()


def test_put_keeps_values_and_places():
    mesh = create_mesh()
    batch = {"x": np.arange(6.0, dtype=np.float32).reshape(2, 3)}
    put = put_batch(batch, mesh)["x"]
    np.testing.assert_array_equal(put, batch["x"])
    assert put.sharding == spread(mesh)
    assert put_state(batch, mesh)["x"].sharding.is_fully_replicated
