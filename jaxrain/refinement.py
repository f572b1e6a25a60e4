"""Members of an ensemble drawn anew inside small blocks: the second half of a cascade.

The first network, over the whole step from coarse to fine, says how much rain falls in each block
of, say, 5 x 5 points; the second, trained on such blocks alone (`data.coarsen`), where there is far
more to learn from, draws what they hold (Ho et al. 2022, arXiv:2106.15282, of images). Means of
blocks are kept as `consistency: hard` keeps coarse cells; blocks that the edge of a field cuts, or
of which points are missing, keep theirs about.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from jaxrain import __version__
from jaxrain.config import config_text
from jaxrain.downscaler import Downscaler
from jaxrain.ensemble_file import Fields, write_fields
from jaxrain.ensembles.drawing import Item
from jaxrain.ensembles.output import dressed_as, products_of
from jaxrain.ensembles.parts import file_state
from jaxrain.ensembles.products import Products
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.errors import InputError
from jaxrain.fingerprint import fingerprint
from jaxrain.grids.blocks import Blocks
from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.cases import Case
from jaxrain.verification.forecast import Case as Members
from jaxrain.verification.forecast import Forecast

# Relative: points of one spacing in degrees are so much nearer in the north than in the south.
_SAME_SPACING = 0.2

_FORM = 1  # of how members are refined; fields of another are not of one ensemble with these

# Attributes by which members are told from others: what went into their noise.
_DRAWN_BY = ("jaxrain_seed", "jaxrain_refined_seed", "jaxrain_refined_checkpoint")

_AT_ONCE = 16  # fields whose blocks are in memory, or the batch; part of no value beyond rounding


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
        self.case = Case(
            name=members.name,
            area=members.area or members.name,
            fine_grid=members.grid,
            origin=members.origin,
            hours=members.hours,
            coarse_grid=self.blocks.grid(members.grid),
            channels=[],
            coarse=np.empty((len(members.hours), 0, *self.blocks.counts), np.float32),
        )

    def dress(self, dataset: xr.Dataset) -> xr.Dataset:
        """The refined members with all that stood beside the others."""
        own = {"time", *self.members.grid_dimensions}
        return dressed_as(
            self.members.dataset,
            {str(name): each.variable for name, each in dataset.items()},
            {str(name): each for name, each in dataset.coords.items() if not own & {*each.dims}},
        )

    def draw(self, items: Sequence[Item]) -> Iterator[tuple[Item, NDArray[np.float32]]]:
        """Draws fields: each with its rain, mm [H, W], NaN where the ensemble's is."""
        settings = dataclasses.replace(self.downscaler.config.sample, members=1, first_member=0)
        # As many for what is left of an interrupted command as for the whole: the same program.
        every = len(self.case.hours) * len(self.members.numbers)
        size = min(every, max(_AT_ONCE, settings.batch))
        for start in range(0, len(items), size):
            chunk = list(items[start : start + size])
            more = size - len(chunk)
            own = [self._own(item) for item in chunk]
            means = [self.blocks.means(rain) for rain in own]
            full = chunk + chunk[-1:] * more
            case = self._case(full, means + means[-1:] * more)
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
    downscaler: Downscaler,
    forecast: Forecast,
    output: Path,
    products: Products | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Refines all members of an ensemble into a file, as `write_fields` says.

    Args:
      downscaler: the run, trained on means over blocks, with its settings in `config.sample`.
      forecast: the ensemble. What stands beside its members, coarse rain and what a regression
        expects, is kept.
      output: the NetCDF file, or a Zarr store where it is called `.zarr`.
      products: made of the refined members; None makes those that the ensemble has.
      overwrite: whether `output`, or parts of an ensemble with other settings, may be replaced.

    Raises:
      InputError: as `write_fields`; or the run does not fit the ensemble.
    """
    numbers = forecast.cases[0].numbers
    written = range(numbers[0], numbers[0] + len(numbers))
    if any(case.numbers != list(written) for case in forecast.cases):
        raise InputError(
            f"{forecast.path}: its cases hold other members, or they are not numbered one after "
            "the other: refine the ensembles that it was made from"
        )
    if not 0 <= written.start < written.stop <= 2**31:
        raise InputError(
            f"{forecast.path}: its members are numbered from {written.start} to "
            f"{written.stop - 1}, expected 0 to {2**31 - 1}: number them anew"
        )
    asked = downscaler.config.sample
    drawing = dataclasses.replace(asked, seed=_seed(forecast, asked.seed))
    config = dataclasses.replace(downscaler.config, sample=drawing)
    downscaler = dataclasses.replace(downscaler, config=config)
    refinements = [Refinement(downscaler, case) for case in forecast.cases]
    side = block_side(downscaler)
    print(
        f"{forecast.path}: {len(written)} members of "
        f"{sum(len(case.hours) for case in forecast.cases)} hours, drawn anew inside blocks of "
        f"{side} x {side} points by {downscaler.run} (step {downscaler.step})",
        flush=True,
    )
    made_by = fingerprint(downscaler, [each.case for each in refinements], drawing)
    made_by |= {"ensemble": file_state(forecast.path), "form of refinement": str(_FORM)}
    write_fields(
        [Fields(each.case, each.draw, dress=each.dress) for each in refinements],
        written,
        products or products_of(forecast.cases[0].dataset),
        made_by,
        _attributes(forecast, downscaler, asked),
        output,
        overwrite=overwrite,
    )


def _seed(forecast: Forecast, seed: int) -> int:
    """Of noise that is neither the members' own, which went into the means of blocks, nor that of
    members of other seeds or files."""
    told = [str(forecast.attributes.get(name, "")) for name in _DRAWN_BY]
    told[0] = told[0] or forecast.path.name
    text = " ".join([*filter(None, told), "refined", str(seed)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def _attributes(forecast: Forecast, downscaler: Downscaler, asked: SampleConfig) -> dict[str, Any]:
    """The ensemble's, and what refined it; of one that was refined before, after what did."""
    before = dict(forecast.attributes)
    if asked.consistency != "hard":  # which the members may have been held by
        for name in ("jaxrain_consistency", "jaxrain_most_mm"):
            before.pop(name, None)
    side = block_side(downscaler)
    inside = f"blocks of {side} x {side} points"
    title = str(before.get("title", "ensemble of hourly precipitation"))
    joined = {
        "source": (f"jaxrain {__version__}", "; "),
        "jaxrain_refined_by": (str(downscaler.run), ", "),
        "jaxrain_refined_checkpoint": (downscaler.checkpoint, ", "),
        "jaxrain_refined_seed": (str(asked.seed), ", "),
        "jaxrain_refined_config": (
            config_text(dataclasses.replace(downscaler.config, sample=asked)),
            "---\n",
        ),
    }
    told = {"title": f"{title}, drawn anew inside {inside}"}
    if "drawn anew inside" in title:
        told = {"title": f"{title}, then {inside}"}
    for name, (text, between) in joined.items():
        earlier = str(before.get(name, ""))
        same = name == "source" and earlier.endswith(text)
        told[name] = earlier if same else between.join(filter(None, [earlier, text]))
    return before | told


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
