"""What a store tells of a training to come: how much there is, and how wide patches should be."""

from dataclasses import dataclass
from pathlib import Path

from jaxrain.config import Config
from jaxrain.pairs.correlation import correlation_length, residuals, suggested_patch
from jaxrain.pairs.epochs import epoch_hours
from jaxrain.pairs.store import open_store


@dataclass(frozen=True)
class Epoch:
    """Of a store.

    Attributes:
      hours: of training.
      patches: in an epoch.
      length: of the residual's autocorrelation, fine points; None where there is none.
      patch: suggested, fine points; None likewise.
    """

    hours: int
    patches: int
    length: float | None
    patch: int | None


def look_at_store(config: Config) -> Epoch | None:
    """Reads the store's hours and a few of its residuals; None where no store is.

    Raises:
      InputError: the store is of another config.
    """
    if not (Path(config.data.store) / "manifest.json").is_file():
        return None
    store = open_store(config.data.store, config.data)
    length = correlation_length(residuals(store))
    return Epoch(
        hours=sum(len(area.indices("train")) for area in store.areas),
        patches=sum(
            patches
            for _, patches in epoch_hours(store.areas, config.data.patch, config.data.balance_days)
        ),
        length=length,
        patch=None if length is None else suggested_patch(length, config.model.divisor),
    )
