"""jaxrain: from ERA5 files to an honest ensemble of hourly rain at 1 km."""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from jaxrain.downscaler import Downscaler

__version__ = "0.1.0"

# Which of XLA's libraries compute what on CPUs; GPUs do not read it. PERFORMANCE.md has times.
_LIBRARIES = "--xla_cpu_experimental_ynn_fusion_type"
_KNOWN_TO = "0.10."  # versions of jaxlib: XLA ends the process at a flag that it does not know


def _choose_libraries() -> None:
    """Has XLA leave convolutions to Eigen: YNNPACK, its default, takes 2 to 3 times as long.

    XLA reads the variable once, when it compiles first, so this stands where every import of
    jaxrain passes. Another choice of the user's is left alone.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    try:
        installed = version("jaxlib")
    except PackageNotFoundError:
        raise ImportError(
            "jaxrain needs jaxlib, which this Python does not have: activate the environment that "
            "make made (. .venv/bin/activate), or pip install -e ."
        ) from None
    if _LIBRARIES not in flags and installed.startswith(_KNOWN_TO):
        os.environ["XLA_FLAGS"] = f"{flags} {_LIBRARIES}=-individual_convolution".strip()


_choose_libraries()


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
