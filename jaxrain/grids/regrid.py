"""Interpolation between grids as small matrices, one per axis, and block means.

Bilinear interpolation on a rectangular grid is separable: values at the target are
`weights_y @ field @ weights_x.T`. The two matrices are tiny, so a field can stay on its coarse
grid until the moment it is used.
"""

import numpy as np

# Of a cell: how far beyond half a cell rounding in the files' decimals may carry a point.
_ROUNDING = 1e-3


def bilinear_matrix(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Linear interpolation along one axis.

    Args:
      source: shape [n], n >= 2, strictly monotonic either way.
      target: shape [m]; up to half a source cell outside the source's ends takes the end's value.

    Returns:
      Weights, float64, shape [m, n] (target, source). Rows sum to 1.

    Raises:
      ValueError: fewer than 2 source points, not monotonic, or a target too far outside.
    """
    ascending, flipped = _ascending(source)
    upper, fraction = _between(ascending, target)
    weights = np.zeros((len(upper), len(ascending)))
    rows = np.arange(len(upper))
    weights[rows, upper - 1] = 1.0 - fraction
    weights[rows, upper] = fraction
    return weights[:, ::-1] if flipped else weights


def bilinear_at(
    field: np.ndarray,
    source_y: np.ndarray,
    source_x: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
) -> np.ndarray:
    """Bilinear interpolation at any points: for grids too large for matrices, or turned ones.

    Args:
      field: shape [h, w].
      source_y: shape [h], as `bilinear_matrix` wants its source.
      source_x: shape [w], likewise.
      y: rows' coordinate of the points; broadcasts with `x`: [H, 1] and [1, W] make a grid.
      x: columns' coordinate of the points.

    Returns:
      Values, float64, of the points' common shape; those that the two matrices would give.

    Raises:
      ValueError: as `bilinear_matrix`.
    """
    (rows, flip_y), (columns, flip_x) = _ascending(source_y), _ascending(source_x)
    field = field[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    (below, v), (right, u) = _between(rows, y), _between(columns, x)
    above, left = below - 1, right - 1
    upper = (1.0 - u) * field[above, left] + u * field[above, right]
    lower = (1.0 - u) * field[below, left] + u * field[below, right]
    return (1.0 - v) * upper + v * lower


def nearest_matrix(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The nearest source point along one axis; halfway, the lower coordinate.

    Args and errors as in `bilinear_matrix`.

    Returns:
      Weights, float64, shape [m, n] (target, source): one 1 in each row.
    """
    ascending, flipped = _ascending(source)
    inside = _inside(ascending, target)
    edges = (ascending[1:] + ascending[:-1]) / 2
    weights = np.zeros((len(inside), len(ascending)))
    weights[np.arange(len(inside)), np.searchsorted(edges, inside, side="left")] = 1.0
    return weights[:, ::-1] if flipped else weights


def block_mean(field: np.ndarray, factor: int, min_valid: float = 0.5) -> np.ndarray:
    """Mean over blocks of factor x factor points.

    Args:
      field: shape [..., H, W], H and W multiples of factor; NaN where missing.
      factor: points along a block's side.
      min_valid: smallest share of points that must be valid; a block with less is NaN.

    Returns:
      Means over each block's valid points, in the field's dtype, shape
      [..., H / factor, W / factor].

    Raises:
      ValueError: H or W is no multiple of factor.
    """
    *lead, height, width = field.shape
    if height % factor or width % factor:
        raise ValueError(f"a field of {height} x {width} does not divide into blocks of {factor}")
    blocks = field.reshape(*lead, height // factor, factor, width // factor, factor)
    valid = np.isfinite(blocks)
    count = valid.sum(axis=(-3, -1))
    total = np.where(valid, blocks, 0).sum(axis=(-3, -1), dtype=np.float64)
    enough = (count >= min_valid * factor**2) & (count > 0)
    return np.where(enough, total / np.maximum(count, 1), np.nan).astype(field.dtype)


def block_axis(axis: np.ndarray, factor: int) -> np.ndarray:
    """Centres of blocks of `factor` points: shape [n] -> [n / factor].

    Raises:
      ValueError: n is no multiple of factor.
    """
    if len(axis) % factor:
        raise ValueError(f"an axis of {len(axis)} points does not divide into blocks of {factor}")
    return axis.reshape(-1, factor).mean(axis=1)


def reach(matrix: np.ndarray, count: int) -> int:
    """The most source points that any `count` neighbouring targets touch.

    Args:
      matrix: shape [m, n], as made here.
      count: neighbouring rows, 1..m.

    Returns:
      Width k, at most n, for which `local_weights` works from every start.
    """
    first, last = _columns(matrix)
    starts = np.arange(len(matrix) - count + 1)
    # Both are monotonic along the rows, so a stretch's columns lie between those of its ends.
    low = np.minimum(first[starts], first[starts + count - 1])
    high = np.maximum(last[starts], last[starts + count - 1])
    return int((high - low + 1).max())


def local_weights(matrix: np.ndarray, start: int, count: int, width: int) -> tuple[int, np.ndarray]:
    """The few source points that a stretch of targets needs, and their weights.

    Args:
      matrix: shape [m, n], as made here.
      start: first target.
      count: number of targets.
      width: source points to take, k, the same for all stretches so that they stack.

    Returns:
      (first source point, weights [count, k]). Where k exceeds n, the columns beyond n are 0.

    Raises:
      ValueError: the stretch touches more than k source points.
    """
    rows = matrix[start : start + count]
    first, last = _columns(rows)
    low, high = int(first.min()), int(last.max())
    if high - low >= width:
        raise ValueError(f"targets touch {high - low + 1} source points, more than {width}")
    low = min(low, max(matrix.shape[1] - width, 0))
    weights = np.zeros((count, width))
    stop = min(low + width, matrix.shape[1])
    weights[:, : stop - low] = rows[:, low:stop]
    return low, weights


def _columns(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = matrix != 0
    return used.argmax(axis=1), matrix.shape[1] - 1 - used[:, ::-1].argmax(axis=1)


def _ascending(source: np.ndarray) -> tuple[np.ndarray, bool]:
    source = np.asarray(source, np.float64)
    steps = np.diff(source)
    if len(source) < 2 or not (np.all(steps > 0) or np.all(steps < 0)):
        raise ValueError(
            f"a source axis needs 2 or more strictly monotonic points, not {len(source)} points "
            f"{np.array2string(source[:4], precision=4)}"
        )
    flipped = bool(steps[0] < 0)
    return (source[::-1] if flipped else source), flipped


def _between(ascending: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each target the source point above it, 1..n-1, and the share that is that point's."""
    inside = _inside(ascending, target)
    upper = np.clip(np.searchsorted(ascending, inside, side="right"), 1, len(ascending) - 1)
    left, right = ascending[upper - 1], ascending[upper]
    return upper, (inside - left) / (right - left)


def _inside(ascending: np.ndarray, target: np.ndarray) -> np.ndarray:
    target = np.asarray(target, np.float64)
    low = ascending[0] - (0.5 + _ROUNDING) * (ascending[1] - ascending[0])
    high = ascending[-1] + (0.5 + _ROUNDING) * (ascending[-1] - ascending[-2])
    if target.min() < low or target.max() > high:
        raise ValueError(
            f"targets from {target.min():.4f} to {target.max():.4f} lie more than half a cell "
            f"outside a source from {ascending[0]:.4f} to {ascending[-1]:.4f}"
        )
    return np.clip(target, ascending[0], ascending[-1])
