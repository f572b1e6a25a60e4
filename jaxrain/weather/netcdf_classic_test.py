import netCDF4
import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.weather.netcdf import open_netcdf
from jaxrain.weather.netcdf_classic import check_classic

_FORMATS = ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]


def _write(path, kind, *, records=("a", "b"), fixed=3):
    with netCDF4.Dataset(path, "w", format=kind) as file:
        file.title = "odd"
        file.createDimension("time", None)
        file.createDimension("x", 5)
        for number in range(fixed):
            variable = file.createVariable(f"fixed{number}", "i2", ("x",))
            variable.units, variable.factor = "mm", np.float64(0.5)
            variable[:] = np.arange(5)
        for name in records:
            file.createVariable(name, "i2", ("time", "x"))[:] = np.arange(15).reshape(3, 5)


@pytest.mark.parametrize("kind", _FORMATS)
@pytest.mark.parametrize("records", [(), ("a",), ("a", "b")])
def test_whole_file_is_whole_and_shorter_ones_are_not(tmp_path, kind, records):
    path = tmp_path / "a.nc"
    _write(path, kind, records=records)
    check_classic(path)
    whole = path.read_bytes()
    for cut in (4, 5, 12, 40, len(whole) // 2, len(whole) - 8):
        path.write_bytes(whole[:-cut])
        with pytest.raises(InputError, match=r"a\.nc: (is cut off|cannot be read as NetCDF)"):
            check_classic(path)


@pytest.mark.parametrize("kind", _FORMATS)
def test_missing_bytes_are_counted(tmp_path, kind):
    path = tmp_path / "a.nc"
    _write(path, kind, records=(), fixed=1)
    whole = path.read_bytes()
    assert len(whole) % 4 == 0
    path.write_bytes(whole[:-6])  # two of them pad the five shorts
    with (
        pytest.raises(InputError, match="is cut off: 4 bytes are missing at the end"),
        open_netcdf(path),
    ):
        pass


def test_header_that_cannot_be_is_refused_before_the_library_sees_it(tmp_path):
    path = tmp_path / "a.nc"
    _write(path, "NETCDF3_CLASSIC")
    whole = path.read_bytes()
    damages = {
        12: "2147483647 dimensions in a file",
        8: "a list of dimensions with the mark 2147483647",
        16: "2147483647 letters of a name",
    }
    for place, words in damages.items():
        content = bytearray(whole)
        content[place : place + 4] = (0x7FFFFFFF).to_bytes(4, "big")
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            check_classic(path)


def test_real_files_of_the_old_form_are_whole(shared_data):
    seen = 0
    for path in (shared_data / "netcdf").glob("*.nc"):
        if path.read_bytes()[:3] == b"CDF":
            check_classic(path)
            seen += 1
    assert seen
