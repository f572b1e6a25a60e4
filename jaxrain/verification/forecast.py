"""The ensemble to be verified, as `sample` wrote it: one case, or several in groups of a file."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.weather.cf_zarr import is_zarr

_MM = ("mm", "mm h-1", "mm/h", "kg m-2", "kg/m2", "kg m**-2")  # of an hour's sum, all one number


@dataclass(frozen=True, eq=False)
class Case:
    """An ensemble over one area or window; its rain is read hour by hour.

    Attributes:
      name: the group's, or the area's.
      grid: H x W points.
      hours: end of each hour, UTC, datetime64[s], shape [T].
      area: name of the store's area; None where the input came from elsewhere.
      origin: first row and column in that area's fine grid.
      dataset: the open file or group.
    """

    name: str
    grid: Grid
    hours: np.ndarray
    area: str | None
    origin: tuple[int, int]
    dataset: xr.Dataset

    def members(self, hour: int) -> np.ndarray:
        """Rain of all members in one hour [mm], shape [M, H, W]."""
        return self._read("precipitation", hour)

    def member(self, hour: int, place: int) -> np.ndarray:
        """Rain of the member at that place among them, in one hour [mm], shape [H, W]."""
        return self.dataset["precipitation"].isel(time=hour, member=place).values

    @property
    def numbers(self) -> list[int]:
        """Of the members, [M]: as the file has them, or else from 0."""
        member = self.dataset["precipitation"].coords.get("member")
        if member is None:
            return list(range(self.dataset.sizes["member"]))
        if member.dtype.kind not in "iu":
            raise InputError(
                f"{self.name}: its members are numbered by {member.dtype}, expected integers: "
                "number them anew, or leave the coordinate out"
            )
        return [int(number) for number in member]

    @property
    def grid_dimensions(self) -> tuple[str, str]:
        """Names of the grid's dimensions, y and x or latitude and longitude."""
        y, x = self.dataset["precipitation"].dims[-2:]
        return str(y), str(x)

    @property
    def has_coarse(self) -> bool:
        """Whether coarse rain stands beside the members: the predictors held some."""
        return "coarse_precipitation" in self.dataset

    def bilinear(self, hour: int) -> np.ndarray:
        """Coarse rain interpolated to the grid, one hour [mm], shape [H, W]."""
        return self._read("coarse_precipitation", hour)

    @property
    def has_regression(self) -> bool:
        """Whether what a regression network expects stands beside the members."""
        return "regression_precipitation" in self.dataset

    def regression(self, hour: int) -> np.ndarray:
        """What a regression network expects of one hour [mm], shape [H, W]."""
        return self._read("regression_precipitation", hour)

    def _read(self, variable: str, hour: int) -> np.ndarray:
        return self.dataset[variable].isel(time=hour).values


@dataclass(frozen=True, eq=False)
class Forecast:
    """An open ensemble file: its global attributes (who made it, how) and its cases."""

    path: Path
    attributes: dict[str, Any]
    cases: list[Case]


@contextmanager
def open_forecast(path: str | Path) -> Iterator[Forecast]:
    """Opens an ensemble file for as long as the context lasts.

    Args:
      path: NetCDF file or Zarr store with `precipitation` (time, member, y, x), perhaps
        `coarse_precipitation` and `regression_precipitation` (time, y, x) too, or with groups of
        which each holds them. Without a dimension `member` it is a deterministic forecast: an
        ensemble of one.

    Raises:
      InputError: no such file, no NetCDF, or none of ours.
    """
    path = Path(path)
    with ExitStack() as stack:
        attributes, groups = _look_into(path)
        engine = "zarr" if is_zarr(path) else "netcdf4"
        datasets = [
            stack.enter_context(xr.open_dataset(path, group=group, engine=engine))
            for group in groups
        ]
        cases = [
            _open_case(path, dataset, group)
            for dataset, group in zip(datasets, groups, strict=True)
        ]
        yield Forecast(path, attributes, cases)


def _look_into(path: Path) -> tuple[dict[str, Any], list[str | None]]:
    """Global attributes, and the groups that hold cases (None: the file itself)."""
    if is_zarr(path):
        return _look_into_zarr(path)
    if path.is_dir():
        raise InputError(
            f"{path}: is a folder and no Zarr store; give the file that `jaxrain.sample --output` "
            "wrote, as OUT.nc"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected what `jaxrain.sample --output` wrote")
    try:
        with netCDF4.Dataset(path) as file:
            # `coordinates` is the file's own bookkeeping, not a word about its making.
            names = (name for name in file.ncattrs() if name != "coordinates")
            attributes = {name: file.getncattr(name) for name in names}
            if "precipitation" in file.variables:
                return attributes, [None]
            groups = [name for name, group in file.groups.items() if "time" in group.dimensions]
    except OSError as error:
        raise InputError(f"{path} is no NetCDF file ({error.strerror or error})") from error
    if not groups:
        raise _not_ours(path, "it has no variable 'precipitation'")
    return attributes, list(groups)


def _look_into_zarr(path: Path) -> tuple[dict[str, Any], list[str | None]]:
    with xr.open_datatree(path, engine="zarr") as tree:
        attributes = {str(name): value for name, value in tree.attrs.items()}
        if "precipitation" in tree:
            return attributes, [None]
        groups = [name for name, group in tree.children.items() if "time" in group.sizes]
        if not groups:
            raise _not_ours(path, "it has no variable 'precipitation'")
        return attributes, list(groups)


def _open_case(path: Path, dataset: xr.Dataset, group: str | None) -> Case:
    if "precipitation" not in dataset:
        raise _not_ours(path, f"{group} has no variable 'precipitation'")
    if "member" not in dataset["precipitation"].dims:
        dataset["precipitation"] = dataset["precipitation"].expand_dims("member")
    rain = dataset["precipitation"]
    if (units := rain.attrs.get("units", "mm")) not in _MM:
        raise _not_ours(path, f"precipitation is in {units}, not in mm")
    y, x = ("y", "x") if "y" in rain.dims else ("latitude", "longitude")
    if set(rain.dims) != {"time", "member", y, x}:
        raise _not_ours(path, f"precipitation has dimensions {', '.join(map(str, rain.dims))}")
    area = dataset.attrs.get("area")
    return Case(
        name=str(group or area or path.stem),
        grid=_grid(dataset, y, x),
        hours=dataset["time"].values.astype("datetime64[s]"),
        area=None if area is None else str(area),
        origin=_origin(dataset.attrs.get("origin", (0, 0))),
        dataset=dataset.transpose("time", "member", y, x, ...),
    )


def _grid(dataset: xr.Dataset, y: str, x: str) -> Grid:
    if y == "latitude":
        return Grid(dataset[y].values, dataset[x].values)
    in_metres = dataset[y].attrs.get("units") in ("m", "metre", "metres")
    scale = 1e-3 if in_metres else 1.0
    degrees = {
        name: dataset[name].values
        for name in ("latitude", "longitude")
        if name in dataset and dataset[name].dims == (y, x)
    }
    return Grid(
        dataset[y].values * scale,
        dataset[x].values * scale,
        projected=True,
        latitude=degrees.get("latitude"),
        longitude=degrees.get("longitude"),
    )


def _origin(value: Any) -> tuple[int, int]:
    y0, x0 = (int(each) for each in np.atleast_1d(value))
    return y0, x0


def _not_ours(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} is no ensemble of jaxrain's: {why}; expected what `jaxrain.sample --output` wrote"
    )
