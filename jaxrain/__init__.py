"""jaxrain: from ERA5 files to an honest ensemble of hourly rain at 1 km."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from jaxrain.downscaler import Downscaler

__version__ = "0.1.0"


def load(run: "str | Path") -> "Downscaler":
    """Loads a trained run for use from Python.

    Args:
      run: a run folder, as `python -m jaxrain.train` leaves it.

    Returns:
      A `Downscaler`, whose `sample(dataset, members=16, seed=0)` takes and returns an
      `xarray.Dataset`.

    Raises:
      InputError: the folder is no run, or has no checkpoint.
    """
    from jaxrain.downscaler import load as load_run

    return load_run(run)
