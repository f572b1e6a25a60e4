import errno
import json
import os
import resource
import subprocess
import sys

import netCDF4
import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.cf import with_conventions, write_netcdf
from jaxrain.weather.era5 import read_coarse
from jaxrain.weather.fine_rain import fine_dataset

_RNG = np.random.default_rng(0)
_TIMES = np.array(["2022-06-01T01", "2022-06-01T02"], "datetime64[ns]")
# The checker wants groups to share dimensions of one name even where none refers to another's
# variables, which is all that CF 2.7.1 forbids.
_CHECKER_OVERREACHES = "Dimensions with the same name must be the same object (ID)."


def _ensemble(size=6):
    rain = _RNG.gamma(0.3, 4.0, (2, 3, size, size + 1)).astype(np.float32)
    return xr.Dataset(
        {
            "precipitation": (("time", "member", "latitude", "longitude"), rain),
            "coarse_precipitation": (("time", "latitude", "longitude"), rain.mean(axis=1)),
        },
        coords={
            "time": _TIMES,
            "member": np.arange(1, 4),
            "latitude": np.linspace(24, 23, size),
            "longitude": np.linspace(112, 113, size + 1),
        },
    )


def _projected():
    axes = {
        "y": ("y", np.arange(3.0)[::-1]),
        "x": ("x", np.arange(4.0)),
        "latitude": (("y", "x"), 50 + _RNG.random((3, 4))),
        "longitude": (("y", "x"), 10 + _RNG.random((3, 4))),
    }
    rain = _RNG.random((2, 3, 4))
    rain[0, 0, 0] = -1.0
    return fine_dataset(rain, _TIMES, axes, ("y", "x"))


# The checker's C libraries and ecCodes do not share a process: together they crash when it ends.
_CHECK = """
import json, sys
from compliance_checker.runner import CheckSuite
CheckSuite.load_all_available_checkers()
suite = CheckSuite()
((groups, errors),) = suite.run_all(suite.load_dataset(sys.argv[1]), ["cf:1.10"]).values()
failed = [each for each in groups if each.value is False or each.value[0] < each.value[1]]
print(json.dumps([str(errors)] if errors else [m for g in failed for m in g.msgs or [g.name]]))
"""


def _complaints(path):
    command = [sys.executable, "-W", "ignore", "-c", _CHECK, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def test_content_comes_back_to_the_bit(tmp_path):
    for name, dataset in (("flat.nc", _ensemble()), ("projected.nc", _projected())):
        with xr.open_dataset(write_netcdf(dataset, tmp_path / name)) as back:
            for variable in dataset.variables:
                np.testing.assert_array_equal(
                    back[variable].transpose(*dataset[variable].dims), dataset[variable]
                )


def test_canonical_files_satisfy_the_checker(tmp_path, shared_data):
    coarse = read_coarse(
        shared_data / "grib" / "era5_like" / "pl_regular_ll.grib",
        variables=["u", "v", "t", "r", "z"],
        levels=[850, 500],
    )
    for name, dataset in (
        ("coarse.nc", coarse),
        ("projected.nc", _projected()),
        ("ensemble.nc", _ensemble()),
    ):
        assert _complaints(write_netcdf(dataset, tmp_path / name)) == []


def test_what_xarray_would_write_comes_back_alike(tmp_path):
    for name, dataset in (("flat.nc", _ensemble()), ("projected.nc", _projected())):
        with_conventions(dataset).to_netcdf(tmp_path / "by_xarray.nc")
        written = write_netcdf(dataset, tmp_path / name)
        with xr.open_dataset(written) as ours, xr.open_dataset(tmp_path / "by_xarray.nc") as theirs:
            assert set(ours.coords) == {*theirs.coords, "time_bnds"}
            assert set(ours.data_vars) == set(theirs.data_vars)
            xr.testing.assert_equal(ours.drop_vars("time_bnds"), theirs)
            for variable in theirs.variables:
                ours[variable].attrs.pop("bounds", None)
                assert ours[variable].attrs == theirs[variable].attrs


def test_lazy_fields_are_written_as_those_in_memory(tmp_path):
    lazy = _ensemble()
    lazy = lazy.assign({name: lazy[name].chunk(time=1) for name in lazy.data_vars})
    write_netcdf(lazy, tmp_path / "lazy.nc")
    write_netcdf(lazy.load(), tmp_path / "loaded.nc")
    assert (tmp_path / "lazy.nc").read_bytes() == (tmp_path / "loaded.nc").read_bytes()


def test_small_fields_share_a_chunk_and_large_ones_do_not(tmp_path):
    def chunks(size):
        path = write_netcdf(_ensemble(size), tmp_path / "a.nc", overwrite=True)
        with netCDF4.Dataset(path) as file:
            return file["precipitation"].chunking()

    assert chunks(6) == [3, 2, 6, 7]
    assert chunks(150) == [1, 1, 150, 151]


def test_one_group_a_case(tmp_path):
    cases = {"north": _ensemble(5), "south": _ensemble(6)}
    path = write_netcdf(cases, tmp_path / "a.nc", attributes={"seed": 3, "title": "two cases"})
    assert set(_complaints(path)) <= {_CHECKER_OVERREACHES}
    with xr.open_datatree(path) as tree:
        assert tree.attrs["seed"] == 3
        assert tree.attrs["Conventions"] == "CF-1.10"
        for name, case in cases.items():
            assert "Conventions" not in tree[name].attrs
            expected = case.precipitation.transpose("member", ...)
            np.testing.assert_array_equal(tree[name].precipitation, expected)


def test_hours_have_bounds_and_rain_its_names(tmp_path):
    with xr.open_dataset(write_netcdf(_ensemble(), tmp_path / "a.nc")) as back:
        bounds = back.time_bnds.values
        np.testing.assert_array_equal(bounds[:, 1], _TIMES)
        np.testing.assert_array_equal(bounds[:, 1] - bounds[:, 0], np.timedelta64(1, "h"))
        rain = back.precipitation
        assert rain.attrs["standard_name"] == "lwe_thickness_of_precipitation_amount"
        assert (rain.attrs["units"], rain.attrs["cell_methods"]) == ("mm", "time: sum")
        assert back.member.attrs["standard_name"] == "realization"
        assert rain.encoding["zlib"]
        assert rain.dims == ("member", "time", "latitude", "longitude")


def test_what_the_caller_says_is_kept():
    dataset = _ensemble()
    dataset.precipitation.attrs["long_name"] = "mine"
    assert with_conventions(dataset).precipitation.attrs["long_name"] == "mine"
    assert "axis" not in dataset.latitude.attrs  # nor is the caller's dataset changed


def test_same_content_is_the_same_file(tmp_path):
    dataset = _ensemble()
    first, second = (write_netcdf(dataset, tmp_path / name) for name in ("a.nc", "b.nc"))
    assert first.read_bytes() == second.read_bytes()


def test_existing_file_needs_overwrite(tmp_path):
    path = tmp_path / "a.nc"
    path.write_text("precious")
    with pytest.raises(InputError, match=r"a\.nc: exists; .* --overwrite"):
        write_netcdf(_ensemble(), path)
    assert path.read_text() == "precious"
    write_netcdf(_ensemble(), path, overwrite=True)
    with xr.open_dataset(path) as back:
        assert "precipitation" in back


@pytest.mark.parametrize("said", [RuntimeError("NetCDF: HDF error"), OSError(-101, "HDF error")])
def test_full_disk_is_called_so_and_nothing_is_left(tmp_path, monkeypatch, said):
    # HDF5 hides the reason; the disk is as full when it is asked again.
    def fails(path, _):
        path.write_bytes(b"half a file")
        raise said

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(netCDF4, "Dataset", fails)
    with pytest.raises(type(said)):
        write_netcdf(_ensemble(), tmp_path / "a.nc")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        write_netcdf(_ensemble(), tmp_path / "a.nc")
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename == str(tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


def _large():
    """Of 3 MB, also compressed."""
    hours = np.datetime64("2020-07-01T00", "ns") + np.arange(4) * np.timedelta64(1, "h")
    rain = np.random.default_rng(0).random((4, 400, 500), np.float32)
    dims = ("time", "latitude", "longitude")
    return xr.Dataset({"precipitation": (dims, rain)}, {"time": hours})


@pytest.mark.parametrize("limit", [7_000, 100_000, 1_500_000])
def test_a_limit_on_files_is_called_so_and_nothing_is_left(tmp_path, limit):
    content = _large()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            write_netcdf(content, tmp_path / "a.nc")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.errno == errno.EFBIG
    assert error.value.filename == str(tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_of_itself(small_disk):
    path = small_disk("1m") / "a.nc"
    with pytest.raises(OSError, match="No space left") as error:
        write_netcdf(_large(), path)
    assert error.value.errno == errno.ENOSPC
    assert list(path.parent.iterdir()) == []


def test_a_quota_is_called_so(tmp_path, monkeypatch):
    def fails(path, _):
        path.write_bytes(b"half a file")
        raise RuntimeError("NetCDF: HDF error")

    def used_up(_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(netCDF4, "Dataset", fails)
    monkeypatch.setattr(os, "fsync", used_up)
    with pytest.raises(OSError, match="quota") as error:
        write_netcdf(_ensemble(), tmp_path / "a.nc")
    assert error.value.errno == errno.EDQUOT
