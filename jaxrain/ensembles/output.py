"""Ensembles as xarray Datasets that say what made them; `weather.cf` adds what CF asks for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from jaxrain.ensembles.products import Products
from jaxrain.grids.regrid import bilinear_matrix
from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.cases import Case
from jaxrain.weather.projections import with_mapping
from jaxrain.weather.variables import cf_attributes

FIELDS_BESIDE = ("coarse_precipitation", "regression_precipitation")
"""Beside the members of an ensemble, and not made of them: (time, y, x)."""


def case_dataset(
    case: Case,
    members: Sequence[int],
    load: Callable[[int, int], NDArray[np.float32]],
    products: Products | None = None,
    load_product: Callable[[int, int], NDArray[np.float32]] | None = None,
    load_expected: Callable[[int], NDArray[np.float32]] | None = None,
) -> xr.Dataset:
    """The ensemble of one case, its fields read one at a time and only when they are asked for.

    Args:
      case: where and when.
      members: their numbers, [M].
      load: (hour, number of the member) -> rain, mm [H, W].
      products: that stand beside the members; None for none.
      load_product: (layer, hour) -> field [H, W], layers in `products.summarize`'s order.
      load_expected: hour -> what a regression network expects, mm [H, W]; None where there is none.

    Returns:
      A Dataset with `precipitation` (time, member, y, x) and, where the predictors hold rain,
      `coarse_precipitation` (time, y, x), its bilinear interpolation, and likewise
      `regression_precipitation`; y, x are latitude, longitude on the sphere. With the products'
      variables; all lazy, in chunks of one field.
    """
    grid, hours = case.fine_grid, len(case.hours)
    dims = ("y", "x") if grid.projected else ("latitude", "longitude")
    coordinates: dict[str, Any] = {
        "time": case.hours.astype("datetime64[ns]"),
        "member": np.asarray(members, dtype=np.int32),
        dims[0]: grid.y,
        dims[1]: grid.x,
    }
    if grid.projected and grid.latitude is not None and grid.longitude is not None:
        coordinates |= {"latitude": (dims, grid.latitude), "longitude": (dims, grid.longitude)}
    rain = by_field((hours, len(members), *grid.shape), lambda h, m: load(h, members[m]))
    variables: dict[str, Any] = {"precipitation": (("time", "member", *dims), rain)}
    if RAIN_CHANNEL in case.channels:
        coarse = by_field((hours, *grid.shape), _interpolation(case))
        variables["coarse_precipitation"] = (("time", *dims), coarse)
    if load_expected is not None:
        expected = by_field((hours, *grid.shape), load_expected)
        variables["regression_precipitation"] = (("time", *dims), expected)
    if products is not None and load_product is not None and products.layers:
        layers = by_field((products.layers, hours, *grid.shape), load_product)
        told, named = product_variables(products, layers, dims)
        variables |= told
        coordinates |= named
    attributes = {"area": case.area, "origin": np.asarray(case.origin, np.int32)}
    return with_mapping(xr.Dataset(variables, coordinates, attributes), grid.mapping)


def dressed_as(
    source: xr.Dataset,
    variables: Mapping[str, Any],
    coordinates: Mapping[str, Any],
    names: Sequence[str] = FIELDS_BESIDE,
) -> xr.Dataset:
    """New members as those of another ensemble of the same hours and points stand in its file.

    Args:
      source: the other ensemble.
      variables: the members and products of theirs, by name.
      coordinates: of members and products.
      names: of fields (time, y, x) beside its members, which do not hang on them.

    Returns:
      A Dataset on the source's own axes, with its area and origin, its grid mapping, and those of
      the fields that it has, lazy.
    """
    y, x = map(str, source["precipitation"].dims[-2:])
    kept = {}
    for name in names:
        if name in source:
            field = source[name].transpose("time", y, x)
            lazy = by_field(field.shape, partial(_hour, field))
            attributes = {k: v for k, v in field.attrs.items() if k != "grid_mapping"}
            kept[name] = (("time", y, x), lazy, attributes)
    axes = {name: axis for name, axis in source.coords.items() if {*axis.dims} <= {"time", y, x}}
    # Of a file without groups the other attributes are of the whole file.
    where = {name: source.attrs[name] for name in ("area", "origin") if name in source.attrs}
    mapping = source.variables.get(source["precipitation"].attrs.get("grid_mapping"))
    dataset = xr.Dataset({**variables, **kept}, {**coordinates, **axes}, where)
    return with_mapping(dataset, None if mapping is None else mapping.attrs)


def _hour(field: xr.DataArray, hour: int) -> NDArray[np.float32]:
    return field.isel(time=hour).values


def products_of(dataset: xr.Dataset) -> Products:
    """Which products stand beside the members of an ensemble."""

    def along(variable: str, name: str) -> tuple[float, ...]:
        return tuple(map(float, dataset[name].values)) if variable in dataset else ()

    return Products(
        "precipitation_mean" in dataset,
        "precipitation_maximum" in dataset,
        along("precipitation_quantile", "quantile"),
        along("exceedance_probability", "threshold"),
    )


def product_variables(
    products: Products, layers: da.Array, dims: tuple[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and coordinates of a Dataset that hold the products, with CF's attributes.

    Args:
      products: which.
      layers: as `summarize` orders them, [P, T, H, W].
      dims: names of the horizontal dimensions.

    Returns:
      (variables, coordinates): `precipitation_mean`, `precipitation_maximum` (time, y, x),
      `precipitation_quantile` (quantile, time, y, x), `exceedance_probability`
      (threshold, time, y, x).
    """
    # Checkers refuse a cell method of a dimension that the variable has no more, though CF 7.3
    # allows it (`realization: mean`): so the statistic has an attribute of its own.
    rain = cf_attributes("rain")
    over = "of precipitation of the hour that ends at the time"
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {}
    at = 0
    for name, wanted in (("mean", products.mean), ("maximum", products.maximum)):
        if wanted:
            attributes = rain | {
                "long_name": f"members' {name} {over}",
                "ensemble_statistic": name,
            }
            variables[f"precipitation_{name}"] = (("time", *dims), layers[at], attributes)
            at += 1
    if levels := products.quantiles:
        attributes = rain | {
            "long_name": f"members' quantiles {over}",
            "ensemble_statistic": "quantile",
        }
        where = ("quantile", "time", *dims)
        variables["precipitation_quantile"] = (where, layers[at : at + len(levels)], attributes)
        named = {"long_name": "quantile of the members", "units": "1"}
        coordinates["quantile"] = ("quantile", np.asarray(levels), named)
        at += len(levels)
    if thresholds := products.thresholds_mm:
        attributes = {
            "long_name": "share of members whose precipitation of the hour that ends at the time "
            "is at or above the threshold",
            "units": "1",
            "ensemble_statistic": "exceedance",
        }
        where = ("threshold", "time", *dims)
        variables["exceedance_probability"] = (where, layers[at:], attributes)
        named = {
            "standard_name": rain["standard_name"],
            "long_name": "threshold of the exceedance probability",
            "units": rain["units"],
        }
        coordinates["threshold"] = ("threshold", np.asarray(thresholds), named)
    return variables, coordinates


def by_field(shape: tuple[int, ...], load: Callable[..., NDArray[np.float32]]) -> da.Array:
    """A lazy array in chunks of one field.

    Args:
      shape: [..., H, W].
      load: leading indices -> field [H, W].
    """
    *lead, height, width = shape

    def block(block_info: dict | None = None) -> NDArray[np.float32]:
        assert block_info is not None
        where = block_info[None]["chunk-location"][:-2]
        return load(*where).reshape(*[1] * len(lead), height, width)

    chunks = (*[(1,) * n for n in lead], (height,), (width,))
    return da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * len(shape)))


def _interpolation(case: Case) -> Callable[[int], NDArray[np.float32]]:
    channel = case.channels.index(RAIN_CHANNEL)
    weights_y = bilinear_matrix(case.coarse_grid.y, case.fine_grid.y)
    weights_x = bilinear_matrix(case.coarse_grid.x, case.fine_grid.x)

    def load(hour: int) -> NDArray[np.float32]:
        # Where no weight lies on a missing cell, its NaN must not spread: 0 * NaN is NaN.
        rain = case.coarse[hour, channel].astype(np.float64)
        missing = np.isnan(rain)
        fine = weights_y @ np.where(missing, 0.0, rain) @ weights_x.T
        touched = weights_y @ missing.astype(np.float64) @ weights_x.T
        return np.where(touched > 0, np.nan, fine).astype(np.float32)

    return load
