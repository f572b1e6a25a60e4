"""What is known beside the weather: static fields and the position of a place, the time of an hour.

Maps of a place are cut for each patch from arrays that stay on disk; of an hour a few numbers are
enough. The network sees them after the interpolated predictors, maps first.
"""

import functools
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxrain.arrays import open_array
from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.digests import name_digest, remedy
from jaxrain.pairs.encodings import encode_position
from jaxrain.pairs.recipe import DataConfig
from jaxrain.whole import whole_file

# Keeps a field that never varies from dividing by zero.
_SMALLEST_RANGE = 1e-6
_NAME_DIGEST = re.compile("[0-9a-f]{12}")


@dataclass(frozen=True)
class StaticMap:
    """A static field on an area's fine grid.

    Attributes:
      name: as 'terrain'.
      path: .npy, [H, W] float32, the file's units. A name belongs to one content.
      low: value that becomes 0.
      high: value that becomes 1.
    """

    name: str
    path: Path
    low: float
    high: float

    def scaled(self, origin: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
        """The window of `shape` that starts at `origin`, in the network's units, float32.

        Points beyond the array's edges take the value at the edge.

        Raises:
          InputError: the array is gone.
        """
        whole = _open(str(self.path))
        rows, columns = (
            np.clip(np.arange(start, start + length), 0, size - 1)
            for start, length, size in zip(origin, shape, whole.shape, strict=True)
        )
        inside = whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        values = np.asarray(inside)[np.ix_(rows - rows[0], columns - columns[0])]
        return (values - np.float32(self.low)) / np.float32(
            max(self.high - self.low, _SMALLEST_RANGE)
        )

    def copy_to(self, folder: Path) -> None:
        """Copies the array, unless it is there: beside, then renamed."""
        target = folder / self.path.name
        if target.exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as partial:
            shutil.copyfile(self.path, partial)


def condition_channels(config: DataConfig, predictors: int) -> int:
    """How many channels the network gets beside the noisy target.

    Args:
      config: interpolations, static fields, encodings; and the regression's field, the last one,
        where the target is what it leaves.
      predictors: channels of the coarse fields.
    """
    beside = len(config.static) + 2 * len(config.encodings) + (config.target == "regression")
    return predictors * len(config.interpolations) + beside


def place_maps(
    statics: Sequence[StaticMap],
    encodings: Sequence[str],
    grid: Grid,
    origin: tuple[int, int],
    area: str,
) -> np.ndarray | None:
    """Static fields, scaled, and encodings of the position of a window's points.

    Args:
      statics: of the area.
      encodings: names; those of the time are passed over.
      grid: of the window, P x Q points.
      origin: the window's first row and column in the area's grid.
      area: its name, for messages.

    Returns:
      float32 [P, Q, M]; None where there is nothing, M = 0.

    Raises:
      InputError: the position is asked for and the area doesn't know it.
    """
    fields = [static.scaled(origin, grid.shape)[..., None] for static in statics]
    maps = np.concatenate([*fields, encode_position(encodings, grid, area)], axis=-1)
    return maps if maps.shape[-1] else None


# By the path alone: a path of a static field holds a hash of what it holds.
@functools.lru_cache(maxsize=256)
def _open(path: str) -> np.ndarray:
    if not Path(path).is_file():
        raise InputError(
            f"{path} is gone, the static field of a store or a run: run prepare again, or copy it "
            "from where it is"
        )
    array = open_array(Path(path), remedy(Path(path)))
    made = Path(path).stem.rpartition("_")[2]
    same = array.dtype == np.dtype("<f4") and array.ndim == 2
    if not same or (_NAME_DIGEST.fullmatch(made) and name_digest(array) != made):
        raise InputError(f"{path}: holds other numbers than prepare wrote; {remedy(Path(path))}")
    return array
