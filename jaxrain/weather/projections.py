"""Map projections as CF describes them: a grid mapping's attributes (CF-1.10, appendix F)."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

GridMapping = Mapping[str, str | float]

# RADOLAN's files rarely name their projection; Deutscher Wetterdienst, 'RADOLAN/RADVOR-OP
# Kompositformat', version 2.4.4, section 2: a sphere, true at 60 N, upright along 10 E.
RADOLAN: GridMapping = {
    "grid_mapping_name": "polar_stereographic",
    "latitude_of_projection_origin": 90.0,
    "straight_vertical_longitude_from_pole": 10.0,
    "standard_parallel": 60.0,
    "false_easting": 0.0,
    "false_northing": 0.0,
    "earth_radius": 6370040.0,
}
_CLOSE_KM = 0.1  # files round their latitudes and longitudes


def grid_mapping(dataset: xr.Dataset, name: str) -> dict[str, str | float] | None:
    """The mapping of a projected variable.

    Args:
      dataset: a file's content, x and y in km; latitude and longitude [H, W] where known.
      name: the variable.

    Returns:
      What its file says, else RADOLAN's where latitude and longitude follow from x and y by it,
      else None.
    """
    told = str(dataset[name].attrs.get("grid_mapping", ""))
    if told in dataset.variables and "grid_mapping_name" in dataset[told].attrs:
        return {key: _plain(value) for key, value in dataset[told].attrs.items()}
    if not {"latitude", "longitude"} <= set(dataset.variables):
        return None
    latitude, longitude = (
        dataset[axis].transpose("y", "x").values for axis in ("latitude", "longitude")
    )
    x, y = polar_stereographic(RADOLAN, latitude, longitude)
    off_x, off_y = x - dataset["x"].values[None, :], y - dataset["y"].values[:, None]
    near = np.abs(off_x).max() < _CLOSE_KM and np.abs(off_y).max() < _CLOSE_KM
    return dict(RADOLAN) if near else None


def polar_stereographic(
    mapping: GridMapping, latitude: np.ndarray, longitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Forward projection of a sphere about the north pole (Snyder 1987, equations 21-5 to 21-8).

    Args:
      mapping: attributes as those of `RADOLAN`.
      latitude: degrees north.
      longitude: degrees east, of the same shape.

    Returns:
      x and y in km.
    """
    standard = np.radians(float(mapping["standard_parallel"]))
    turned = np.radians(longitude - float(mapping["straight_vertical_longitude_from_pole"]))
    phi = np.radians(latitude)
    scale = (1 + np.sin(standard)) / (1 + np.sin(phi))
    radius = float(mapping["earth_radius"]) / 1000 * scale * np.cos(phi)
    return radius * np.sin(turned), -radius * np.cos(turned)


def with_mapping(dataset: xr.Dataset, mapping: GridMapping | None) -> xr.Dataset:
    """The Dataset with a variable `crs` that its fields name, or as it is where none is known."""
    if mapping is None:
        return dataset
    fields = {name: each.assign_attrs(grid_mapping="crs") for name, each in dataset.items()}
    return dataset.assign(fields).assign(crs=xr.Variable((), np.int32(0), dict(mapping)))


def _plain(value: object) -> str | float:
    return value if isinstance(value, str) else float(np.asarray(value).ravel()[0])
