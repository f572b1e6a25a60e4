"""Predictors that never went through a store, as cases: files of a service, or a Dataset."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from jaxrain.errors import InputError
from jaxrain.grids.boxes import Box
from jaxrain.grids.grid import Grid
from jaxrain.pairs.cases import Case
from jaxrain.pairs.choosing import Chosen, first_of
from jaxrain.pairs.interpolation import interpolation_matrices
from jaxrain.pairs.pairing import same_turn
from jaxrain.pairs.pieces import places
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.spread_sums import with_single_hours
from jaxrain.pairs.steering import drift_of
from jaxrain.pairs.store import Area
from jaxrain.weather.era5 import read_coarse
from jaxrain.weather.guard import guarded
from jaxrain.weather.variables import (
    VARIABLES,
    channel_names,
    on_levels,
    to_canonical,
)

# Of a cell: a grid that is this much coarser or finer is another product's.
_SAME_SPACING = 0.02


def read_inputs(
    paths: Sequence[str | Path], config: DataConfig, *, spread_hours: int = 1
) -> xr.Dataset:
    """Reads and joins files of predictors: several hours, or some of the variables, in each.

    Rain that is summed from a forecast's start is differenced from file to file.

    Args:
      paths: GRIB or NetCDF files.
      config: variables and levels that the network was trained on.
      spread_hours: longest window of rain whose mean may stand for each of its hours; 1: none.

    Returns:
      A canonical coarse Dataset with the hours that hold every variable. The attribute `left_out`
      lists the others, each with what it lacks; `hours_left_out` reads it. With `spread_hours`
      above 1 `window_hours` [time] says over how many hours rain is a mean; `hours_spread`.

    Raises:
      InputError: a file can't be read or lacks a level, the files are on different grids, no file
        holds some variable, no hour holds all, or rain isn't a sum of an hour, nor of few enough,
        and can't be differenced to it.
    """
    datasets = [
        guarded(
            read_coarse,
            path,
            variables=config.variables,
            levels=config.levels,
            interpolate_levels=config.interpolate_levels,
            derive_humidity=config.derive_humidity,
            partial=True,
            sums_apart=True,
        )
        for path in paths
    ]
    first = datasets[0]
    for path, dataset in zip(paths, datasets, strict=True):
        if not _grid(dataset).same_as(_grid(first)):
            raise InputError(
                f"{path} is on another grid ({_grid(dataset).extent()}) than {paths[0]} "
                f"({_grid(first).extent()}): sample them one by one, or regrid them"
            )
    # Axes that differ in their last digits would not align.
    axes = {name: first[name] for name in ("latitude", "longitude")}
    datasets = [dataset.assign_coords(axes) for dataset in datasets]
    datasets = with_single_hours(datasets, ", ".join(map(str, paths)), spread_hours)
    merged = _merge(datasets)
    lacking = [name for name in config.variables if name not in merged]
    if lacking:
        raise InputError(
            f"{', '.join(map(str, paths))}: lack {', '.join(lacking)}, which the network was "
            f"trained with; they hold {', '.join(map(str, merged.data_vars))}: add files with it"
        )
    return _whole_hours(_with_hours(merged, datasets), config)


def hours_left_out(dataset: xr.Dataset, chosen: Chosen) -> list[str]:
    """Says which hours `read_inputs` left out, a line for each set of variables that lack.

    Args:
      dataset: of `read_inputs`.
      chosen: which hours matter, of datetime64 [T] to bool [T].
    """
    told = [text.partition(" ") for text in dataset.attrs.get("left_out", [])]
    inside = chosen(np.array([hour for hour, _, _ in told], "datetime64[s]"))
    lost: dict[str, list[str]] = defaultdict(list)
    for hour, _, names in itertools.compress(told, inside):
        lost[names].append(hour)
    every = chosen(dataset["time"].values).sum() + inside.sum()
    return [
        f"{len(hours)} of {every} hours are left out, for the input does not hold all of {names} "
        f"then: {first_of(hours)}"
        for names, hours in lost.items()
    ]


def input_cases(
    dataset: xr.Dataset, areas: Sequence[Area], config: DataConfig, box: Box | None = None
) -> list[Case]:
    """Turns predictors into cases over those areas of a run that they cover.

    Args:
      dataset: canonical coarse predictors, or projected ones with dims y, x in km.
      areas: of the run.
      config: variables and levels that the network was trained on.
      box: of the areas' grids, as they would go on beyond their edges, only the points in it.

    Returns:
      One case per area, or piece of one, covered.

    Raises:
      InputError: it is no Dataset, or holds no hours, or one twice; a variable or level lacks or
        has another dimension; the grid is not as fine as in training, or covers no area; or as
        `places`.
    """
    if not isinstance(dataset, xr.Dataset):
        raise InputError(
            f"the input is a {type(dataset).__name__}, expected an xarray.Dataset of "
            f"{', '.join(config.variables)}: make one, as with DataArray.to_dataset(name=...)"
        )
    grid, hours = _grid(dataset), _hours(dataset)
    coarse = predictors(dataset, config)
    found, refused = [], []
    for area, fine, origin, *_ in places(areas, box):
        here = same_turn(grid, fine)
        name = area.name if box is None else f"the box {box}, on the grid of {area.name},"
        try:
            interpolation_matrices(here, fine, ["bilinear"], name)
        except InputError as error:
            refused.append(str(error))
            continue
        _check_spacing(here, area.coarse_grid)
        channels = channel_names(config.variables, config.levels)
        found.append(
            Case(
                name=area.name,
                area=area.name,
                fine_grid=fine,
                origin=origin,
                hours=hours,
                coarse_grid=here,
                channels=channels,
                coarse=coarse,
                statics=area.statics,
                drift=drift_of(hours, coarse, channels, here, area.fine_grid),
            )
        )
    if not found:
        raise InputError(refused[0] if refused else "the run knows no grid of rain: train it again")
    return found


def predictors(dataset: xr.Dataset, config: DataConfig) -> np.ndarray:
    """The channels of a Dataset in the network's order, canonical units, float32 [T, C, h, w].

    Variables whose `units` say so come to canonical units; those that say nothing are in them.
    What is infinite is missing: NaN.

    Raises:
      InputError: a variable or level lacks; names those that there are. Or its units are none that
        it comes in, or it has other dimensions.
    """
    lacking = [name for name in config.variables if name not in dataset]
    if lacking:
        raise InputError(
            f"the input lacks {', '.join(lacking)}; it holds "
            f"{', '.join(map(str, dataset.data_vars))}; the network was trained with "
            f"{', '.join(config.variables)}"
        )
    y, x = _axes(dataset)
    fields = []
    for name in config.variables:
        array = dataset[name]
        if on_levels(name) and "level" in array.coords and "level" not in array.dims:
            array = array.expand_dims("level")
        _check_dimensions(array, ("time", *(["level"] if on_levels(name) else []), y, x))
        if on_levels(name):
            there = np.atleast_1d(array["level"].values if "level" in array.coords else ())
            absent = [level for level in config.levels if level not in there]
            if absent:
                raise InputError(
                    f"the input's {name} lacks {', '.join(map(str, absent))} hPa; it holds "
                    f"{', '.join(f'{level:g}' for level in there)}"
                )
            array = array.sel(level=list(config.levels)).transpose("time", "level", y, x)
        else:
            array = array.transpose("time", y, x).expand_dims("level", axis=1)
        units = str(dataset[name].attrs.get("units") or VARIABLES[name].units)
        fields.append(to_canonical(name, array.values, units, "the input"))
    values = np.concatenate(fields, axis=1)
    values[np.isinf(values)] = np.nan
    return values


def missing_predictors(case: Case) -> list[str]:
    """Says in a line how many of the points that a case is made from lack some predictor."""
    missing = np.isnan(_of_case(case))
    points = missing.any(axis=1)
    if not points.any():
        return []
    names = [case.channels[index] for index in np.flatnonzero(missing.any(axis=(0, 2, 3)))]
    return [
        f"the input lacks {first_of(names)} at {points.mean():.1%} of its points over {case.name}, "
        f"in {points.any(axis=(1, 2)).sum()} of {len(points)} hours: rain is missing around them"
    ]


def beyond_training(case: Case, manifest: dict[str, Any]) -> list[str]:
    """Says which of the predictors that a case is made from leave the range of the training hours,
    a line each."""
    lines, coarse = [], _of_case(case)
    for index, name in enumerate(case.channels):
        seen = manifest["statistics"]["channels"][name]
        values = coarse[:, index]
        outside = np.mean((values < seen["min"]) | (values > seen["max"]))
        if outside > 0:
            lines.append(
                f"{name}: {outside:.1%} of the input over {case.name} lies outside what training "
                f"saw ({seen['min']:.4g} to {seen['max']:.4g} {manifest['units'][name]}), from "
                f"{np.nanmin(values):.4g} to {np.nanmax(values):.4g}"
            )
    return lines


def _of_case(case: Case) -> NDArray:
    """The predictors at those points that its fine grid lies between, [T, C, k, l]."""
    matrices = interpolation_matrices(case.coarse_grid, case.fine_grid, ["bilinear"], case.name)
    rows, columns = (weights[0].any(axis=0) for weights in matrices)
    return case.coarse[:, :, rows][..., columns]


def _merge(datasets: list[xr.Dataset]) -> xr.Dataset:
    try:
        return xr.merge(datasets, compat="no_conflicts", join="outer", combine_attrs="drop")
    except xr.MergeError:
        raise InputError(
            "two of the input files hold the same variable at the same hour with different "
            "values: keep one of them"
        ) from None


def _with_hours(merged: xr.Dataset, datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """With those hours too of which a file holds no variable on all levels, NaN."""
    incomplete = " ".join(dataset.attrs.get("incomplete_hours", "") for dataset in datasets)
    times = merged["time"].values
    every = np.union1d(times, np.array(incomplete.split(), times.dtype))
    return merged if len(every) == len(times) else merged.reindex(time=every)


def _whole_hours(dataset: xr.Dataset, config: DataConfig) -> xr.Dataset:
    there = {
        name: (abs(dataset[name]) < np.inf)
        .any([d for d in dataset[name].dims if d != "time"])
        .values
        for name in config.variables
    }
    whole = np.all(list(there.values()), axis=0)
    if not whole.any():
        counts = ", ".join(f"{name} {int(hours.sum())}" for name, hours in there.items())
        raise InputError(
            f"no hour of the input holds all of {', '.join(config.variables)} (hours of each: "
            f"{counts}): give files of the same hours"
        )
    left_out = [
        f"{hour} {', '.join(name for name, hours in there.items() if not hours[index])}"
        for index, hour in enumerate(np.datetime_as_string(dataset["time"].values, unit="m"))
        if not whole[index]
    ]
    return dataset.isel(time=whole).assign_attrs({"left_out": left_out} if left_out else {})


def _check_spacing(grid: Grid, trained: Grid) -> None:
    for here, there in ((grid.y, trained.y), (grid.x, trained.x)):
        spacing, expected = (abs(axis[-1] - axis[0]) / (len(axis) - 1) for axis in (here, there))
        if abs(spacing / expected - 1) > _SAME_SPACING:
            unit = "km" if grid.projected else "degrees"
            raise InputError(
                f"the input's grid has a spacing of {spacing:.4g} {unit}, the network was trained "
                f"with {expected:.4g}: regrid the input"
            )


def _check_dimensions(array: xr.DataArray, expected: tuple[str, ...]) -> None:
    if set(array.dims) != set(expected):
        sizes = ", ".join(f"{name} ({size})" for name, size in array.sizes.items())
        raise InputError(
            f"the input's {array.name} has the dimensions {sizes}, expected "
            f"{', '.join(expected)} alone: choose one along each other, as with "
            "Dataset.isel(number=0)"
        )


def _hours(dataset: xr.Dataset) -> NDArray:
    """Valid times, datetime64[s] [T]."""
    times = dataset["time"].values
    if times.dtype.kind != "M" or np.isnat(times).any():
        what = times.dtype if times.dtype.kind != "M" else "missing (NaT) of some hours"
        raise InputError(
            f"the input's time is {what}, expected datetime64 of each: open the file with times "
            "decoded, or assign them"
        )
    if not times.size:
        raise InputError("the input holds no hours, expected one or more: look at how it was cut")
    hours, counts = np.unique(times.astype("datetime64[s]"), return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"the input holds the hour {hours[counts > 1][0]} {counts.max()} times, expected each "
            'once: keep one of them, as with Dataset.drop_duplicates("time")'
        )
    return times.astype("datetime64[s]")


def _axes(dataset: xr.Dataset) -> tuple[str, str]:
    return ("y", "x") if "y" in dataset.dims else ("latitude", "longitude")


def _grid(dataset: xr.Dataset) -> Grid:
    y, x = _axes(dataset)
    if y not in dataset.dims or x not in dataset.dims or "time" not in dataset.dims:
        raise InputError(
            f"the input has dimensions {', '.join(map(str, dataset.dims))}; expected time, "
            "latitude, longitude (and level), as jaxrain.weather.era5.read_coarse returns them"
        )
    ys, xs = (dataset[name].values.astype(np.float64) for name in (y, x))
    return Grid(y=ys, x=xs, projected=y == "y")
