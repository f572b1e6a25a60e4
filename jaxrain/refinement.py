"""Members of an ensemble drawn anew inside small blocks: the second half of a cascade.

The first network, over the whole step from coarse to fine, says how much rain falls in each block
of, say, 5 x 5 points; the second, trained on such blocks alone (`data.coarsen`), where there is far
more to learn from, draws what they hold (Ho et al. 2022, arXiv:2106.15282, of images).
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from jaxrain import __version__
from jaxrain.config import config_text
from jaxrain.downscaler import Downscaler
from jaxrain.ensemble_file import Fields, write_fields
from jaxrain.ensembles.drawing import Item
from jaxrain.ensembles.parts import file_state
from jaxrain.errors import InputError
from jaxrain.fingerprint import fingerprint
from jaxrain.grids.grid import Grid
from jaxrain.grids.regrid import block_mean
from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.cases import Case
from jaxrain.verification.forecast import Case as Members
from jaxrain.verification.forecast import Forecast

# Points of latitude and longitude are as much nearer in the north of an area than in its south.
_SAME_SPACING = 0.2

_FORM = 1  # of how members are refined; fields of another are not of one ensemble with these

_AT_ONCE = 16  # fields whose blocks are in memory; part of no value


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Squares of points that a piece of an area's grid touches, laid from the area's first point.

    Attributes:
      side: of one [points].
      before: rows and columns that the first of them reach beyond the piece.
      counts: of blocks, rows and columns.
    """

    side: int
    before: tuple[int, int]
    counts: tuple[int, int]

    @classmethod
    def touched(cls, origin: tuple[int, int], shape: tuple[int, int], side: int) -> "Blocks":
        """Those of a piece of H x W points at `origin` in its area's grid."""
        before = tuple(first % side for first in origin)
        counts = tuple(-(-(b + n) // side) for b, n in zip(before, shape, strict=True))
        return cls(side, (before[0], before[1]), (counts[0], counts[1]))

    def grid(self, fine: Grid) -> Grid:
        """Their centres, of a piece's own grid."""
        rows, columns = (count * self.side for count in self.counts)
        whole = fine.padded(self.before, (rows, columns))
        y, x = (axis.reshape(-1, self.side).mean(1) for axis in (whole.y, whole.x))
        return Grid(y, x, fine.projected)

    def means(self, rain_mm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of a piece's rain [H, W], NaN where missing: over what is known of each block, and of a
        block of which nothing is, that of the nearest other; shape [k, l]."""
        pads = [
            (before, count * self.side - before - points)
            for before, count, points in zip(self.before, self.counts, rain_mm.shape, strict=True)
        ]
        means = block_mean(np.pad(rain_mm, pads, constant_values=np.nan), self.side, min_valid=0)
        missing = np.isnan(means)
        if missing.all():
            return np.zeros_like(means)
        nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
        return means[tuple(nearest)]


class Refinement:
    """What a run draws inside the blocks of one case of an ensemble."""

    def __init__(self, downscaler: Downscaler, members: Members) -> None:
        """Lays blocks over a case.

        Args:
          downscaler: the run, with its settings.
          members: of the case.

        Raises:
          InputError: the run draws no blocks, or of another spacing, or the case is smaller than
            two of them.
        """
        side = block_side(downscaler)
        self.downscaler, self.members = downscaler, members
        self.blocks = Blocks.touched(members.origin, members.grid.shape, side)
        if min(*self.blocks.counts, *members.grid.shape) < 2:
            rows, columns = members.grid.shape
            raise InputError(
                f"{members.name} has {rows} x {columns} points: expected more along both than a "
                f"block of {side} x {side}"
            )
        _check_spacing(downscaler, members)
        mapping = members.dataset["precipitation"].attrs.get("grid_mapping")
        known = None if mapping is None else dict(members.dataset[mapping].attrs)
        self.case = Case(
            name=members.name,
            area=members.area or members.name,
            fine_grid=dataclasses.replace(members.grid, mapping=known),
            origin=members.origin,
            hours=members.hours,
            coarse_grid=self.blocks.grid(members.grid),
            channels=[],
            coarse=np.empty((len(members.hours), 0, *self.blocks.counts), np.float32),
        )

    def kept(self) -> dict[str, xr.DataArray]:
        """What stands beside the members and is not made of them."""
        names = ("coarse_precipitation", "regression_precipitation")
        return {name: self.members.dataset[name] for name in names if name in self.members.dataset}

    def draw(self, items: Sequence[Item]) -> Iterator[tuple[Item, NDArray[np.float32]]]:
        """Draws fields: each with its rain, mm [H, W], NaN where the ensemble's is."""
        size = min(len(items), _AT_ONCE)
        settings = dataclasses.replace(self.downscaler.config.sample, members=1, first_member=0)
        for start in range(0, len(items), size or 1):
            chunk = list(items[start : start + size])
            # Filled up, so that nothing is compiled anew for the last.
            full = chunk + chunk[-1:] * (size - len(chunk))
            own = [self._own(item) for item in full]
            case = self._case(full, [self.blocks.means(rain) for rain in own])
            numbered = [Item(number, item.member) for number, item in enumerate(full)]
            drawn = self.downscaler.prepare(case, settings)(numbered)
            for item, rain, (_, field) in zip(chunk, own, drawn, strict=False):
                yield item, np.where(np.isnan(rain), np.nan, field)

    def _own(self, item: Item) -> NDArray[np.float32]:
        return self.members.member(item.hour, self.members.numbers.index(item.member))

    def _case(self, items: Sequence[Item], means: Sequence[NDArray[np.float32]]) -> Case:
        """Fields of several members as if they were hours of one case."""
        return dataclasses.replace(
            self.case,
            hours=self.case.hours[[item.hour for item in items]],
            channels=[RAIN_CHANNEL],
            coarse=np.stack(means)[:, None],
        )


def write_refined(
    downscaler: Downscaler, forecast: Forecast, output: Path, *, overwrite: bool = False
) -> None:
    """Refines all members of an ensemble into a file, as `write_fields` says.

    Args:
      downscaler: the run, trained on means over blocks, with its settings in `config.sample`.
      forecast: the ensemble. What stands beside its members, coarse rain and what a regression
        expects, is kept; products are made anew.
      output: the NetCDF file, or a Zarr store where it is called `.zarr`.
      overwrite: whether `output`, or parts of an ensemble with other settings, may be replaced.

    Raises:
      InputError: as `write_fields`; or the run does not fit the ensemble.
    """
    numbers = forecast.cases[0].numbers
    first, count = numbers[0], len(numbers)
    if any(case.numbers != list(range(first, first + count)) for case in forecast.cases):
        raise InputError(
            f"{forecast.path}: its cases hold other members, or they are not numbered one after "
            "the other: refine the ensembles that it was made from"
        )
    settings = downscaler.config.sample
    written = dataclasses.replace(settings, members=count, first_member=first)
    # Noise of its own: that of the members went into the blocks' means.
    told = f"{forecast.attributes.get('jaxrain_seed', '')} refined {settings.seed}"
    seed = int.from_bytes(hashlib.sha256(told.encode()).digest()[:4])
    config = dataclasses.replace(downscaler.config, sample=dataclasses.replace(settings, seed=seed))
    downscaler = dataclasses.replace(downscaler, config=config)
    refinements = [Refinement(downscaler, case) for case in forecast.cases]
    side = block_side(downscaler)
    print(
        f"{forecast.path}: {count} members of {sum(len(case.hours) for case in forecast.cases)} "
        f"hours, drawn anew inside blocks of {side} x {side} points by {downscaler.run} (step "
        f"{downscaler.step})",
        flush=True,
    )
    fields = [Fields(each.case, each.draw, beside=each.kept()) for each in refinements]
    made_by = fingerprint(downscaler, [], config.sample) | {
        "ensemble": file_state(forecast.path),
        "form of refinement": str(_FORM),
    }
    attributes = forecast.attributes | {
        "title": f"{forecast.attributes.get('title', 'ensemble of hourly precipitation')}, drawn "
        f"anew inside blocks of {side} x {side} points",
        "source": f"jaxrain {__version__}",
        "jaxrain_refined_by": str(downscaler.run),
        "jaxrain_refined_checkpoint": downscaler.checkpoint,
        "jaxrain_refined_seed": str(settings.seed),
        "jaxrain_refined_config": config_text(
            dataclasses.replace(downscaler.config, sample=settings)
        ),
    }
    write_fields(fields, written, made_by, attributes, output, overwrite=overwrite)


def block_side(downscaler: Downscaler) -> int:
    """How many points the blocks are wide that a run was trained on.

    Raises:
      InputError: it was trained on something else.
    """
    data, run = downscaler.config.data, downscaler.run
    if data.coarsen is None:
        raise InputError(
            f"{run} was trained on files of predictors: expected a run of means over blocks of the "
            "fine rain, data.coarsen=5 data.coarse=[] data.variables=[tp] data.levels=[]"
        )
    if beside := [each.name for each in data.static] + list(data.encodings):
        raise InputError(
            f"{run} was trained with {', '.join(beside)} too: expected a run of the rain alone, "
            "data.static=[] data.encodings=[]"
        )
    return data.coarsen


def _check_spacing(downscaler: Downscaler, members: Members) -> None:
    trained = [area.fine_grid.spacing_km() for area in downscaler.areas]
    here = members.grid.spacing_km()
    if trained and all(abs(here / there - 1) > _SAME_SPACING for there in trained):
        told = ", ".join(sorted({f"{spacing:.3g}" for spacing in trained}))
        raise InputError(
            f"{members.name} has points {here:.3g} km apart, {downscaler.run} was trained on "
            f"points {told} km apart: expected the same"
        )
