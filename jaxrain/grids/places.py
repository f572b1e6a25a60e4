"""Single places on a grid: where they lie between its points, and the values there."""

import numpy as np
from scipy.spatial import cKDTree

from jaxrain.grids.grid import Grid

# Newton's steps towards a place: a projection is nearly linear over a cell, so two reach 1e-6.
_STEPS = 3
# Of a cell: how far rounding may carry a place on the rim out of the grid.
_ROUNDING = 1e-6


def places_on(grid: Grid, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Where places lie on a grid, in rows and columns.

    Args:
      grid: H x W points; a projected one with its latitudes and longitudes.
      longitude: of S places, degrees east.
      latitude: of S places, degrees north.

    Returns:
      Fractional rows and columns, shape [S, 2]; NaN outside the outermost points.

    Raises:
      ValueError: the grid is projected and its latitudes and longitudes are not known.
    """
    if not grid.projected:
        turns = np.round((longitude - grid.x.mean()) / 360)
        found = np.stack([_along(grid.y, latitude), _along(grid.x, longitude - 360 * turns)], -1)
    elif grid.latitude is None or grid.longitude is None:
        raise ValueError("a projected grid without latitudes and longitudes")
    else:
        found = _on_projection(grid.latitude, grid.longitude, longitude, latitude)
    last = np.array(grid.shape) - 1
    inside = ((found >= -_ROUNDING) & (found <= last + _ROUNDING)).all(-1, keepdims=True)
    return np.where(inside, np.clip(found, 0, last), np.nan)


def values_at(field: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear values at places.

    Args:
      field: shape [..., H, W], NaN where not known.
      places: inside the grid, shape [S, 2], from `places_on`.

    Returns:
      Float64, shape [..., S]; NaN where a point that has weight is not known.
    """
    last = np.array(field.shape[-2:]) - 1
    corner = np.minimum(places.astype(int), np.maximum(last - 1, 0))
    part = places - corner
    total = np.zeros((*field.shape[:-2], len(places)))
    for step in np.ndindex(2, 2):
        weight = np.where(step, part, 1 - part).prod(-1)
        row, column = np.minimum(corner + step, last).T
        # 0 * NaN is NaN: an unknown point without weight must not spread.
        total += np.where(weight > 0, weight * field[..., row, column], 0)
    return total


def _along(axis: np.ndarray, values: np.ndarray) -> np.ndarray:
    order = np.argsort(axis)
    return np.interp(values, axis[order], order.astype(float), left=np.nan, right=np.nan)


def _on_projection(
    latitudes: np.ndarray, longitudes: np.ndarray, longitude: np.ndarray, latitude: np.ndarray
) -> np.ndarray:
    """From the nearest point on, Newton's method on the bilinear latitudes and longitudes."""
    middle = longitudes[tuple(n // 2 for n in longitudes.shape)]
    known = np.stack([latitudes, _turned(longitudes, middle)])
    wanted = np.stack([latitude, _turned(longitude, middle)], -1)
    tree = cKDTree(_unit(latitudes, longitudes).reshape(-1, 3))
    _, nearest = tree.query(_unit(latitude, longitude))
    found = np.stack(np.unravel_index(nearest, latitudes.shape), -1)
    # Change of latitude and longitude by row and by column at the nearest point: [S, 2, 2].
    slopes = np.stack(np.gradient(known, axis=(1, 2)), -1)[:, found[:, 0], found[:, 1]]
    slopes = np.moveaxis(slopes, 0, 1)
    last = np.array(latitudes.shape) - 1
    places = found.astype(np.float64)
    for _ in range(_STEPS):
        inside = np.clip(places, 0, last)
        miss = wanted - values_at(known, inside).T
        places = inside + np.linalg.solve(slopes, miss[..., None])[..., 0]
    return places


def _turned(longitude: np.ndarray, middle: float) -> np.ndarray:
    return (longitude - middle + 180) % 360 - 180


def _unit(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    phi, lam = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], -1)
