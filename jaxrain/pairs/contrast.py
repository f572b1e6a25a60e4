"""Rain of another contrast: a patch's rain raised to a power is rain of a sharper or duller day.

How much rain varies inside coarse cells of the same mean differs between days more than a few days
of training show. A power, with the mean kept, takes the fine field there and the coarse one with
it, as powers of a multifractal cascade do (Schertzer and Lovejoy 1987,
doi:10.1029/JD092iD08p09693).
"""

import numpy as np

from jaxrain.grids.regrid import block_mean


def bent(rain: np.ndarray, exponent: float) -> np.ndarray:
    """rain^exponent, times what keeps its mean.

    Args:
      rain: mm, not negative, NaN where missing.
      exponent: above 0; above 1 sharpens.

    Returns:
      mm, float32; 0 where it was dry, NaN where missing.
    """
    power = rain.astype(np.float64) ** exponent
    total = np.nansum(power)
    return (power * (np.nansum(rain, dtype=np.float64) / total if total else 1)).astype(np.float32)


def bent_patch(
    fine: np.ndarray,
    cells: tuple[slice, slice],
    side: int,
    place: tuple[int, int],
    patch: int,
    exponent: float,
) -> tuple[np.ndarray, np.ndarray]:
    """A patch and the coarse cells that it needs, made anew from rain of another contrast.

    Args:
      fine: rain of an hour, mm, [H, W].
      cells: rows and columns of the coarse cells; they hold the patch.
      side: of a cell, fine points.
      place: the patch's first row and column.
      patch: its side.
      exponent: as of `bent`, whose mean is that of all these cells.

    Returns:
      (patch [P, P], cells [1, kh, kw]), mm, float32.
    """
    rows, columns = (slice(axis.start * side, axis.stop * side) for axis in cells)
    rain = bent(fine[rows, columns], exponent)
    y, x = place[0] - rows.start, place[1] - columns.start
    return rain[y : y + patch, x : x + patch].copy(), block_mean(rain, side)[None]
