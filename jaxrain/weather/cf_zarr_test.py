import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.cf import write_netcdf
from jaxrain.weather.cf_zarr import write_zarr

pytest.importorskip("zarr")


def ensemble(size=6):
    rain = np.random.default_rng(0).gamma(0.3, 4.0, (2, 3, size, size + 1)).astype(np.float32)
    rain[0, 0, 0, 0] = np.nan
    return xr.Dataset(
        {"precipitation": (("time", "member", "latitude", "longitude"), rain)},
        {
            "time": np.array(["2022-06-01T01", "2022-06-01T02"], "datetime64[ns]"),
            "member": np.arange(3, dtype=np.int32),
            "latitude": np.linspace(24, 23, size),
            "longitude": np.linspace(112, 113, size + 1),
        },
        {"origin": np.int32([4, 7])},
    )


def same(store, file, group=None):
    with (
        xr.open_dataset(store, engine="zarr", group=group) as a,
        xr.open_dataset(file, group=group) as b,
    ):
        xr.testing.assert_equal(a.load(), b.load())
        for name in (None, *b.variables):
            ours, theirs = (each.attrs if name is None else each[name].attrs for each in (a, b))
            assert {k: np.asarray(v).tolist() for k, v in ours.items()} == {
                k: np.asarray(v).tolist() for k, v in theirs.items()
            }


def test_a_store_holds_what_the_file_holds(tmp_path):
    attributes = {"seed": np.int32(3), "title": "one"}
    store = write_zarr(ensemble(), tmp_path / "a.zarr", attributes=attributes)
    same(store, write_netcdf(ensemble(), tmp_path / "a.nc", attributes=attributes))
    with xr.open_dataset(store, engine="zarr", chunks={}) as lazy:
        assert lazy["precipitation"].data.chunksize == (1, 1, 6, 7)


def test_one_group_a_case(tmp_path):
    cases = {"north": ensemble(5), "south": ensemble(6)}
    store = write_zarr(cases, tmp_path / "a.zarr", attributes={"seed": 3})
    file = write_netcdf(cases, tmp_path / "a.nc", attributes={"seed": 3})
    for group in (None, *cases):
        same(store, file, group)


def test_a_store_is_whole_or_not_there(tmp_path):
    class Stopped(Exception):
        pass

    def stop(block):
        raise Stopped

    store = tmp_path / "a.zarr"
    left = tmp_path / ".a.zarr.0123abcd.partial"
    left.mkdir()
    broken = ensemble().chunk({"time": 1}).map_blocks(stop, template=ensemble().chunk({"time": 1}))
    with pytest.raises(Stopped):
        write_zarr(broken, store)
    assert list(tmp_path.iterdir()) == []
    write_zarr(ensemble(), store)
    with pytest.raises(InputError, match=r"a\.zarr: exists; .* --overwrite"):
        write_zarr(ensemble(), store)
    with pytest.raises(Stopped):
        write_zarr(broken, store, overwrite=True)
    assert xr.open_dataset(store, engine="zarr").sizes["latitude"] == 6
    write_zarr(ensemble(9), store, overwrite=True)
    assert xr.open_dataset(store, engine="zarr").sizes["latitude"] == 9
    assert list(tmp_path.iterdir()) == [store]


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(InputError, match="is no Zarr store"):
        write_zarr(ensemble(), tmp_path, overwrite=True)
    assert (tmp_path / "precious").read_text() == "mine"
