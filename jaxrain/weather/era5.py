"""Predictors of a GRIB or NetCDF file as one canonical Dataset.

Canonical: dims (time, level, latitude, longitude); u, v [m s-1], t [K], r [%], q [kg kg-1],
z [m2 s-2] on levels in hPa; tp [mm] without levels, the sum of the hour that ends at its time;
time in UTC; latitude descending, longitude ascending; float32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial as partial_call
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather import coarse_grib, coarse_netcdf
from jaxrain.weather.grib import read_headers
from jaxrain.weather.humidity import relative_humidity
from jaxrain.weather.levels import level_weights
from jaxrain.weather.netcdf import file_kind
from jaxrain.weather.rain_windows import single_hours
from jaxrain.weather.region import Box, crop, upright
from jaxrain.weather.variables import cf_attributes, check_predictors, on_levels

_Pick = Callable[[str, xr.DataArray], xr.DataArray | None]
_Read = Callable[[_Pick], dict[str, xr.DataArray]]


@dataclass(frozen=True)
class Inventory:
    """What a file holds, without its values.

    Attributes:
      path: the file.
      kind: 'grib' or 'netcdf'.
      levels: from our name of each predictor to its levels in hPa, () where it has none.
      times: valid times of each predictor, UTC, datetime64[ns], ascending.
      shape: (H, W) of the grid; None where no predictor is there.
      others: names of what is no predictor of ours.
    """

    path: Path
    kind: str
    levels: dict[str, tuple[float, ...]]
    times: dict[str, np.ndarray]
    shape: tuple[int, int] | None
    others: tuple[str, ...]

    def __str__(self) -> str:
        parts = [
            name + (f" on {', '.join(f'{level:g}' for level in levels)} hPa" if levels else "")
            for name, levels in self.levels.items()
        ]
        if self.others:
            parts.append(f"{', '.join(self.others)} (no predictors)")
        return "; ".join(parts) or "no field at all"


def inventory(path: str | Path) -> Inventory:
    """What a GRIB or NetCDF file holds.

    Raises:
      InputError: the file is not whole, or not one that we can read; see `read_coarse`.
    """
    return _open(Path(path))[0]


def _open(path: Path) -> tuple[Inventory, _Read]:
    """What a file holds, and a function that reads what it is told to pick."""
    kind = file_kind(path)
    read: _Read
    if kind == "grib":
        headers = read_headers(path)
        axes, others = coarse_grib.axes_of(headers)
        read = partial_call(coarse_grib.read_fields, path, headers)
    elif kind == "netcdf":
        axes, others = coarse_netcdf.read_axes(path)
        read = partial_call(coarse_netcdf.read_fields, path)
    else:
        raise InputError(f"{path}: is a .npy array, expected GRIB or NetCDF with named variables")
    shapes = {(each.sizes["latitude"], each.sizes["longitude"]) for each in axes.values()}
    found = Inventory(
        path=path,
        kind=kind,
        levels={
            name: tuple(float(level) for level in each["level"].values) if on_levels(name) else ()
            for name, each in axes.items()
        },
        times={name: np.unique(each["time"].values) for name, each in axes.items()},
        shape=next(iter(shapes)) if len(shapes) == 1 else None,
        others=tuple(others),
    )
    return found, read


def read_coarse(
    path: str | Path,
    *,
    variables: Sequence[str],
    levels: Sequence[float],
    region: Box | None = None,
    interpolate_levels: bool = False,
    derive_humidity: bool = False,
    partial: bool = False,
    sums_apart: bool = False,
) -> xr.Dataset:
    """Reads predictors.

    Args:
      path: GRIB (either edition) or NetCDF.
      variables: our names, see `jaxrain.weather.variables.PREDICTORS`.
      levels: hPa, in the order that the result has.
      region: box to crop to; one cell around it is kept, so that its rim can be interpolated.
      interpolate_levels: makes a missing level from its neighbours, linear in log(pressure).
      derive_humidity: makes r from q and t where the file has no r, at the wanted levels; the
        attribute `derived_from` of r says so.
      partial: takes those of the variables that the file has, for files of one variable each that
        are merged later. Hours that one of them lacks are then NaN in it.
      sums_apart: leaves rain as it was summed, for steps of a forecast in files of their own: there
        is `tp_sums` then, as `jaxrain.weather.rain_windows` has it, instead of `tp`.

    Returns:
      A canonical Dataset; the attribute `file_units` of a variable is what the file had. Hours
      that lack a level of a variable are left out of it; without `partial`, hours that lack one of
      the variables are left out of all. The attribute `incomplete_hours` lists what is left out
      of all.

    Raises:
      InputError: the file is not whole, lacks a variable or level (named beside what it has), is
        on another grid, has unknown units, or holds rain that isn't a sum of one hour.
    """
    path = Path(path)
    check_predictors(variables)
    has, read = _open(path)
    derived = derive_humidity and "r" in variables and _lacks_only_r(has)
    present = [name for name in variables if name in has.levels or (name == "r" and derived)]
    lacking = [name for name in variables if name not in present]
    if (lacking and not partial) or not present:
        raise InputError(
            f"{path}: lacks {', '.join(lacking)}; it holds {has}; {_remedy(has, lacking)}"
        )
    loaded = [name for name in present if name in has.levels]
    loaded += [name for name in ("q", "t") if derived and name not in loaded]
    weights = {
        name: level_weights(
            levels, has.levels[name], interpolate=interpolate_levels, what=f"{path}: {name}"
        )
        for name in loaded
        if on_levels(name)
    }

    def pick(name: str, array: xr.DataArray) -> xr.DataArray | None:
        if name not in loaded:
            return None
        if name in weights:
            array = array.isel(level=np.flatnonzero(weights[name].any(axis=0)))
        boxed = crop(upright(array.to_dataset(name=name), str(path)), region, str(path), margin=1)
        return boxed[name]

    arrays = read(pick)
    for name, weight in weights.items():
        arrays[name] = _mix(arrays[name], weight[:, weight.any(axis=0)], levels)
    _check_one_grid(arrays, path)
    if derived:
        arrays["r"] = _humidity(arrays["q"], arrays["t"])
    if "tp" not in present:
        return _joined(arrays, present, has, partial=partial)
    if not sums_apart:
        arrays["tp"] = single_hours([arrays["tp"]], str(path))
        return _joined(arrays, present, has, partial=partial)
    sums = arrays.pop("tp")
    others = [name for name in present if name != "tp"]
    if not others:
        return sums.to_dataset(name="tp_sums").assign_coords(time=np.array([], "datetime64[ns]"))
    return _joined(arrays, others, has, partial=partial).assign(tp_sums=sums)


def _lacks_only_r(has: Inventory) -> bool:
    if "r" in has.levels or "q" not in has.levels:
        return False
    if "t" not in has.levels:
        raise InputError(
            f"{has.path}: holds q without t, expected both in one file to make r; join the files, "
            "or unset data.derive_humidity"
        )
    return True


def _remedy(has: Inventory, lacking: Sequence[str]) -> str:
    if list(lacking) == ["r"] and {"q", "t"} <= set(has.levels):
        return "make r from q and t with data.derive_humidity=true"
    them = "it" if len(lacking) == 1 else "them"
    return (
        f"drop {them} from data.variables, add files with it, or leave this one out, as with "
        "data.exclude"
    )


def _humidity(q: xr.DataArray, t: xr.DataArray) -> xr.DataArray:
    q, t = xr.align(q, t, join="inner")  # hours of both
    values = relative_humidity(q.values, t.values, q["level"].values[:, None, None])
    made = {"units": "%", "derived_from": f"q [{q.attrs.get('units', '')}], t"}
    return xr.DataArray(values, q.coords, q.dims, "r", made)


def _mix(array: xr.DataArray, weights: np.ndarray, levels: Sequence[float]) -> xr.DataArray:
    values = array.values
    mixed = np.empty((values.shape[0], len(levels), *values.shape[2:]), np.float32)
    for index, row in enumerate(weights):
        used = np.flatnonzero(row)
        if len(used) == 1:  # a copy, to the bit
            mixed[:, index] = values[:, used[0]]
        else:
            mixed[:, index] = np.einsum(
                "n,tnyx->tyx", row[used], values[:, used].astype(np.float64)
            )
    coords = {axis: array[axis].values for axis in ("time", "latitude", "longitude")}
    coords["level"] = np.asarray(levels)
    return xr.DataArray(mixed, coords, array.dims, array.name, array.attrs)


def _joined(
    arrays: dict[str, xr.DataArray], names: Sequence[str], has: Inventory, *, partial: bool
) -> xr.Dataset:
    path = has.path
    arrays = {name: _sorted_hours(arrays[name], name, path) for name in names}
    times = [arrays[name]["time"].values for name in names]
    every = np.unique(np.concatenate(times))
    kept = every if partial else every[np.all([np.isin(every, each) for each in times], axis=0)]
    every = np.unique(
        np.concatenate([every, *(has.times[name] for name in names if name in has.times)])
    )
    if kept.size == 0:
        raise InputError(
            f"{path}: no hour holds all of {', '.join(names)}; "
            + "; ".join(f"{name} {_span(arrays[name]['time'].values)}" for name in names)
        )
    dataset = xr.Dataset(
        {
            name: arrays[name]
            .reindex(time=kept)
            .assign_attrs(_told_of(arrays[name]), **cf_attributes(name))
            for name in names
        }
    )
    lost = np.setdiff1d(every, kept)
    if lost.size:
        dataset.attrs["incomplete_hours"] = " ".join(np.datetime_as_string(lost, unit="m"))
    return dataset


def _told_of(array: xr.DataArray) -> dict[str, str]:
    """What the file said of a variable, beside the canonical attributes."""
    kept = {key: array.attrs[key] for key in ("derived_from", "summed") if key in array.attrs}
    return {**kept, "file_units": str(array.attrs.get("units", "unknown"))}


def _check_one_grid(arrays: dict[str, xr.DataArray], path: Path) -> None:
    names = list(arrays)
    for name in names[1:]:
        for axis in ("latitude", "longitude"):
            first, other = arrays[names[0]][axis].values, arrays[name][axis].values
            if first.shape != other.shape or np.abs(first - other).max() > 1e-4:
                raise InputError(
                    f"{path}: {names[0]} and {name} are on different grids, expected one; "
                    "regrid the file or split it"
                )
            arrays[name] = arrays[name].assign_coords({axis: first})


def _sorted_hours(array: xr.DataArray, name: str, path: Path) -> xr.DataArray:
    times = array["time"].values
    if np.unique(times).size != times.size:
        raise InputError(f"{path}: {name} holds an hour twice; keep one of them")
    return array.isel(time=np.argsort(times))


def _span(times: np.ndarray) -> str:
    ends = np.datetime_as_string(times[[0, -1]], unit="h")
    return f"from {ends[0]} to {ends[1]}"
