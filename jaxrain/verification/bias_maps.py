"""Where it is too wet or too dry: mean error of the ensemble's mean at every point."""

from dataclasses import dataclass, field

import numpy as np

MOST_CASES = 6
"""Cases whose map is kept: those with the most hours, so that memory is bounded."""


@dataclass(eq=False)
class BiasMap:
    """Sums of one case over its hours; `add` an hour at a time.

    Attributes:
      case: its number in the forecast.
      error: sum of the ensemble's mean minus the truth [mm], shape [H, W].
      count: hours known at each point, shape [H, W].
      hours: hours added.
    """

    case: int
    shape: tuple[int, int]
    error: np.ndarray = field(init=False)
    count: np.ndarray = field(init=False)
    hours: int = 0

    def __post_init__(self) -> None:
        self.error = np.zeros(self.shape, np.float32)
        self.count = np.zeros(self.shape, np.uint16)

    def add(self, members: np.ndarray, truth: np.ndarray) -> None:
        """Adds an hour: members [M, H, W], truth [H, W] [mm], NaN where not known."""
        known = np.isfinite(truth)
        self.error += np.where(known, members.mean(0) - truth, 0)
        self.count += known
        self.hours += 1

    def mean(self) -> np.ndarray:
        """Mean error [mm in the hour], shape [H, W]; NaN where never known."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.error / np.where(self.count > 0, self.count, np.nan)


def cases_to_map(hours: list[int]) -> list[int]:
    """Numbers of the cases whose maps are kept, given how many hours each has, in order."""
    most = sorted(range(len(hours)), key=lambda case: -hours[case])[:MOST_CASES]
    return sorted(most)
