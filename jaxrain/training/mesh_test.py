import jax
import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.training.mesh import check_batch, create_mesh, put_batch, put_state, spread


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


def test_put_keeps_values_and_places():
    mesh = create_mesh()
    batch = {"x": np.arange(6.0, dtype=np.float32).reshape(2, 3)}
    put = put_batch(batch, mesh)["x"]
    np.testing.assert_array_equal(put, batch["x"])
    assert put.sharding == spread(mesh)
    assert put_state(batch, mesh)["x"].sharding.is_fully_replicated
