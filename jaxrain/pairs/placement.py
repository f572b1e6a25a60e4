"""Where training patches lie: counts over small blocks say what is covered and what is wet.

The counts are made once, when the store is; a year of them is small, so a patch is placed without
reading any rain but its own.
"""

from dataclasses import dataclass

import numpy as np

BLOCK = 8  # fine points along a block's side; 64 points fit a byte
WET_MM = 0.1  # an hour's rain from here on counts as wet, as gauges do
# Of a patch's valid points: from here on the patch counts as wet.
WET_SHARE = 0.05


def cover(fine: np.ndarray) -> np.ndarray:
    """Counts valid and wet points in blocks.

    Args:
      fine: rain in mm, [H, W], NaN where missing.

    Returns:
      uint8 [2, ceil(H / BLOCK), ceil(W / BLOCK)]: valid points, wet points.
    """
    height, width = fine.shape
    padded = np.full((-(-height // BLOCK) * BLOCK, -(-width // BLOCK) * BLOCK), np.nan, np.float32)
    padded[:height, :width] = fine
    blocks = padded.reshape(len(padded) // BLOCK, BLOCK, -1, BLOCK)
    valid = np.isfinite(blocks).sum(axis=(1, 3))
    wet = (np.nan_to_num(blocks) >= WET_MM).sum(axis=(1, 3))
    return np.stack([valid, wet]).astype(np.uint8)


@dataclass(frozen=True)
class Places:
    """Places of patches on the blocks of one hour.

    Attributes:
      any: (rows, columns) in blocks of all places with enough coverage; of the best covered one
        where no place has enough.
      wet: those of them that are wet; empty on a dry hour.
    """

    any: tuple[np.ndarray, np.ndarray]
    wet: tuple[np.ndarray, np.ndarray]


def places(counts: np.ndarray, shape: tuple[int, int], patch: int, max_missing: float) -> Places:
    """Finds all block-aligned places of a patch in an hour.

    Args:
      counts: of `cover`, [2, by, bx].
      shape: (H, W) of the fine grid, both at least `patch`.
      patch: side of the patch.
      max_missing: largest share of missing points, 0..1.
    """
    side = max(patch // BLOCK, 1)
    rows, columns = ((size - patch) // BLOCK + 1 for size in shape)
    sums = np.zeros((2, counts.shape[1] + 1, counts.shape[2] + 1), np.int64)
    sums[:, 1:, 1:] = counts.cumsum(axis=1, dtype=np.int64).cumsum(axis=2)
    inside = sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side]
    inside = (inside + sums[:, :-side, :-side])[:, :rows, :columns]
    valid, wet = inside
    covered = valid >= (1.0 - max_missing) * (side * BLOCK) ** 2
    if not covered.any():
        covered = valid == valid.max()
    raining = covered & (valid > 0) & (wet >= WET_SHARE * valid)
    return Places(any=_nonzero(covered), wet=_nonzero(raining))


def draw(
    candidates: Places,
    shape: tuple[int, int],
    patch: int,
    wet_fraction: float,
    rng: np.random.Generator,
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Draws a patch.

    Args:
      candidates: of `places`.
      shape: (H, W) of the fine grid.
      patch: side of the patch.
      wet_fraction: probability of drawing among the wet places, where there are any.
      rng: the only source of chance.

    Returns:
      Its first row and column; and those of the block that it starts in, from where the patch has
      just the points that were counted. The first may lack a few more.
    """
    wet = rng.random() < wet_fraction and len(candidates.wet[0]) > 0
    rows, columns = candidates.wet if wet else candidates.any
    chosen = rng.integers(len(rows))
    # Within the block the place is free, or patches would only ever start at multiples of 8.
    jitter = rng.integers(0, BLOCK, size=2)
    y, x = int(rows[chosen]) * BLOCK, int(columns[chosen]) * BLOCK
    free = min(y + int(jitter[0]), shape[0] - patch), min(x + int(jitter[1]), shape[1] - patch)
    return free, (y, x)


def _nonzero(where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(where)
    return rows.astype(np.int32), columns.astype(np.int32)
