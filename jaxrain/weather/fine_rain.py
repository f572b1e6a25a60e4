"""What all readers of fine rain share: fill values, names, the canonical Dataset.

Canonical: one variable `rain` in mm, the sum of the hour that ends at `time` (UTC), NaN where
missing; dims (time, latitude, longitude), or (time, y, x) with y and x in km on a projected grid,
then with 2-D `latitude` and `longitude` where the file has them. Rows run from north to south.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.weather.netcdf import whole_minutes
from jaxrain.weather.variables import VARIABLES, cf_attributes

# Fill values in use are 999.9, 9999, -9999 and other negatives. No hour on Earth had 900 mm.
_FILL_FROM_MM = 900.0
# Packing leaves a zero a hair below zero, mm; smaller than any fill value.
_PACKING_MM = 1e-3


def without_fill(rain_mm: np.ndarray) -> np.ndarray:
    """NaN for fill values (9999, 999.9, -9999, any negative); float32, the same shape."""
    rain_mm = np.asarray(rain_mm, np.float32)
    with np.errstate(invalid="ignore"):
        missing = ~((rain_mm > -_PACKING_MM) & (rain_mm < _FILL_FROM_MM))
    return np.where(missing, np.float32(np.nan), np.maximum(rain_mm, np.float32(0.0)))


def choose_variable(names: Sequence[str], variable: str | None, path: Path) -> str:
    """The name of the rain in a file.

    Args:
      names: the data variables that are there.
      variable: the one asked for; None takes the only one, or the only one that is called as rain
        is.
      path: for an error.

    Raises:
      InputError: it isn't there, or several could be meant.
    """
    listed = ", ".join(names) or "nothing"
    if variable is not None:
        if variable not in names:
            raise InputError(
                f"{path}: has no variable '{variable}'; it holds {listed}; set "
                "data.fine_variable, of verify's files --truth-variable"
            )
        return variable
    rain = VARIABLES["rain"]
    candidates = (
        list(names)
        if len(names) == 1
        else [name for name in names if name == rain.name or name in rain.aliases]
    )
    if len(candidates) != 1:
        raise InputError(
            f"{path}: holds {listed}, expected one variable of rain; name it as "
            "data.fine_variable, of verify's files as --truth-variable"
        )
    return candidates[0]


def fine_dataset(
    rain_mm: np.ndarray,
    times: np.ndarray,
    coordinates: Mapping[str, tuple[str | tuple[str, ...], np.ndarray]],
    dims: tuple[str, str],
) -> xr.Dataset:
    """A canonical Dataset of fine rain.

    Args:
      rain_mm: shape [T, H, W], fill values still in.
      times: ends of the hours, datetime64 [T].
      coordinates: of the rows, the columns and, on a projected grid, latitude and longitude.
      dims: names of rows and columns.
    """
    return xr.Dataset(
        {"rain": (("time", *dims), without_fill(rain_mm), cf_attributes("rain"))},
        coords={"time": ("time", whole_minutes(np.asarray(times))), **coordinates},
    )
