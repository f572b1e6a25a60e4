"""Latitude and longitude axes: one direction, one unbroken longitude, cropped to a box."""

from typing import Protocol

import numpy as np
import xarray as xr

from jaxrain.errors import InputError

_ROUNDING = 1e-4  # degrees; files round their axes to about this


class Box(Protocol):
    """A box in degrees; west exceeds east where it crosses the seam of longitudes."""

    @property
    def north(self) -> float: ...  # noqa: D102
    @property
    def south(self) -> float: ...  # noqa: D102
    @property
    def west(self) -> float: ...  # noqa: D102
    @property
    def east(self) -> float: ...  # noqa: D102


def unbroken(longitude: np.ndarray) -> np.ndarray:
    """Longitudes without a jump, in the file's order, their west end in [-180, 180).

    A grid that starts at 180 or crosses 0 (350, 355, 0, 5) has a jump of 360 degrees in its file.

    Args:
      longitude: degrees, shape [W], all in steps of one sign once the jump is taken out.
    """
    longitude = np.unwrap(np.asarray(longitude, np.float64), period=360.0)
    west = longitude.min()
    return longitude - 360.0 * np.floor((west + 180.0 + _ROUNDING) / 360.0)


def upright(dataset: xr.Dataset, source: str) -> xr.Dataset:
    """Latitude descending, longitude unbroken and ascending.

    Args:
      dataset: has 1-D coordinates `latitude` and `longitude`.
      source: names the file in an error.

    Raises:
      InputError: an axis isn't monotonic.
    """
    latitude, longitude = dataset["latitude"].values, dataset["longitude"].values
    straight = unbroken(longitude)
    if latitude.dtype != np.float64 or not np.array_equal(longitude, straight):
        dataset = dataset.assign_coords(
            latitude=("latitude", np.asarray(latitude, np.float64)),
            longitude=("longitude", straight),
        )
    if dataset.sizes["latitude"] > 1 and dataset["latitude"][0] < dataset["latitude"][-1]:
        dataset = dataset.isel(latitude=slice(None, None, -1))
    if dataset.sizes["longitude"] > 1 and dataset["longitude"][0] > dataset["longitude"][-1]:
        dataset = dataset.isel(longitude=slice(None, None, -1))
    for axis, sign in (("latitude", -1), ("longitude", 1)):
        if np.any(sign * np.diff(dataset[axis].values) <= 0):
            raise InputError(
                f"{source}: {axis} is not monotonic, expected a regular grid; regrid the file"
            )
    return dataset


def crop(dataset: xr.Dataset, region: Box | None, source: str, *, margin: int = 0) -> xr.Dataset:
    """The points inside a box, and `margin` cells around it where the file has them.

    Args:
      dataset: upright, with 1-D `latitude` and `longitude`.
      region: the box, its edges included; None takes all.
      source: names the file in an error.
      margin: cells kept beyond each edge, so that the box's rim can be interpolated.

    Raises:
      InputError: the file has no point in the box.
    """
    if region is None:
        return dataset
    latitude, longitude = dataset["latitude"].values, dataset["longitude"].values
    rows = _around(-latitude, -region.north, -region.south, margin)
    width = (region.east - region.west) % 360.0 or 360.0
    # Measured eastward from the middle of what lies outside, so that the seam falls there.
    start = region.west - (360.0 - width) / 2.0
    eastward = start + (longitude - start) % 360.0
    order = np.argsort(eastward, kind="stable")
    columns = _around(eastward[order], region.west, region.west + width, margin)
    if rows.size == 0 or columns.size == 0:
        raise InputError(
            f"{source}: no point lies in the region {region.south} to {region.north} N, "
            f"{region.west} to {region.east} E; the file covers {latitude.min():g} to "
            f"{latitude.max():g} N, {longitude.min():g} to {longitude.max():g} E"
        )
    picked = order[columns]
    return dataset.isel(latitude=rows, longitude=picked).assign_coords(
        longitude=("longitude", eastward[picked])
    )


def _around(ascending: np.ndarray, low: float, high: float, margin: int) -> np.ndarray:
    inside = np.flatnonzero((ascending >= low - _ROUNDING) & (ascending <= high + _ROUNDING))
    if inside.size == 0:
        return inside
    first, last = max(inside[0] - margin, 0), min(inside[-1] + margin, len(ascending) - 1)
    return np.arange(first, last + 1)
