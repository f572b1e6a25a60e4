"""What is told of an ensemble beside its members: mean, quantiles, maximum, chances.

An hour's products are made from its members a band of rows at a time, so memory grows with neither
members nor hours, and little with the domain.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Of the values [members x rows x columns] that a band holds: 32 MiB in float32.
_BAND_VALUES = 1 << 23

# A member's rain, mm [H, W]; asked for anew for each band.
Load = Callable[[], NDArray[np.float32]]

_QUANTILE = re.compile(r"q(\d+(?:\.\d+)?)")


class Products(NamedTuple):
    """Which products are made.

    Attributes:
      mean: whether the members' mean is.
      maximum: whether their maximum is.
      quantiles: their levels, 0 to 1.
      thresholds_mm: whose exceedance probabilities are made.
    """

    mean: bool
    maximum: bool
    quantiles: tuple[float, ...]
    thresholds_mm: tuple[float, ...]

    @property
    def layers(self) -> int:
        """Fields of an hour."""
        return self.mean + self.maximum + len(self.quantiles) + len(self.thresholds_mm)

    def part_name(self, members: range) -> str:
        """What files of just these products of these members are called."""
        asked = repr((*self, members)).encode()
        return f"products_{hashlib.sha256(asked).hexdigest()[:12]}"


def parse_products(names: Sequence[str], thresholds_mm: Sequence[float]) -> Products:
    """Products by their names.

    Args:
      names: of `mean`, `maximum`, `exceedance` and quantiles `q0` to `q100`, as in `q99.5`.
      thresholds_mm: of the exceedance probabilities.

    Raises:
      ValueError: a name is none of these, or thresholds are not positive and increasing.
    """
    levels = set()
    for name in names:
        percent = _QUANTILE.fullmatch(name)
        if percent and float(percent[1]) <= 100:
            levels.add(float(percent[1]) / 100)
        elif name not in ("mean", "maximum", "exceedance"):
            raise ValueError(
                f"unknown product '{name}'; there are mean, maximum, exceedance and quantiles "
                "q0 to q100, as in q90"
            )
    thresholds = tuple(thresholds_mm) if "exceedance" in names else ()
    if any(b <= a for a, b in zip((0.0, *thresholds), thresholds, strict=False)):
        raise ValueError(f"thresholds {list(thresholds)} mm: expected positive, increasing numbers")
    return Products("mean" in names, "maximum" in names, tuple(sorted(levels)), thresholds)


def summarize(products: Products, members: Sequence[Load]) -> NDArray[np.float32]:
    """The products of one hour.

    Args:
      products: which.
      members: each gives its rain, mm [H, W], NaN where missing. Where that is a map of a file, it
        is let go after each band, for pages that were looked at stay in memory with their map.

    Returns:
      [P, H, W]: mean, maximum, quantiles [mm], then exceedance probabilities [0 to 1]; NaN where a
      member is missing. Quantiles are interpolated linearly between the sorted members.
    """
    height, width = members[0]().shape
    result = np.empty((products.layers, height, width), np.float32)
    rows = max(1, _BAND_VALUES // (len(members) * width))
    for top in range(0, height, rows):
        band = np.stack([np.array(load()[top : top + rows]) for load in members])
        result[:, top : top + rows] = _layers(products, band)
    return result


def _layers(products: Products, band: NDArray[np.float32]) -> NDArray[np.float32]:
    missing = np.isnan(band).any(0)
    layers: list[NDArray] = []
    if products.mean:
        layers.append(band.mean(0, dtype=np.float64))
    if products.maximum:
        layers.append(band.max(0))
    if products.quantiles:
        layers.extend(_quantiles(np.sort(band, axis=0), products.quantiles))
    for threshold in products.thresholds_mm:
        layers.append((band >= np.float32(threshold)).mean(0))
    return np.where(missing, np.nan, np.stack(layers)).astype(np.float32)


def _quantiles(ordered: NDArray[np.float32], levels: Sequence[float]) -> list[NDArray]:
    """Type 7 of Hyndman and Fan (doi:10.1080/00031305.1996.10473566), as numpy's default."""
    found = []
    for level in levels:
        below, share = divmod(level * (len(ordered) - 1), 1)
        low = ordered[int(below)]
        high = ordered[min(int(below) + 1, len(ordered) - 1)]
        # Computed so that equal neighbours give themselves, whatever is rounded.
        found.append(low + np.float32(share) * (high - low))
    return found
