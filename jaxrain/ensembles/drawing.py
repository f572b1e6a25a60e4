"""Draws the members of cases, as many at a time as fill the machine."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from jaxrain.ensembles.canvas import Canvas, items_at_once, make_canvas
from jaxrain.ensembles.consistency import consistent
from jaxrain.ensembles.member_contrast import powers
from jaxrain.ensembles.noise import minutes_since_epoch
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.pairs.cases import Case
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.steering import shifts
from jaxrain.pairs.surroundings import place_maps


class Item(NamedTuple):
    """One field to draw: which hour of its case, and which member, each from 0."""

    hour: int
    member: int


# (rain of one field [H, W], which it is) -> what is written
Finish = Callable[[NDArray[np.float32], Item], NDArray[np.float32]]


def canvas_of(case: Case, data: DataConfig, config: SampleConfig) -> Canvas:
    """The canvas of a case, as the data's interpolations and patch and the sample's tiles say.

    Raises:
      InputError: the tiles do not advance, the predictors do not cover the case, or its position
        is asked for and not known.
    """
    tile, overlap = config.tiling(data.patch)
    return make_canvas(
        case.fine_grid,
        case.coarse_grid,
        interpolations=tuple(data.interpolations),
        origin=case.origin,
        tile=tile,
        overlap=overlap,
        maps=partial(place_maps, case.statics, data.encodings, area=case.area),
    )


def finishing(case: Case, config: SampleConfig, most_mm: float) -> Finish | None:
    """What is done to a case's fields after their chain: the means of coarse cells.

    Args:
      case: whose fields they are.
      config: its consistency.
      most_mm: to which points are multiplied at most.

    Returns:
      None where fields stay as they are.

    Raises:
      InputError: there is no coarse rain to be consistent with.
    """
    hold = consistent(case, config.consistency, most_mm)
    return None if hold is None else lambda field, item: hold(field, item.hour)


def draw(
    downscale: Callable[..., jax.Array],
    parameters: Any,
    case: Case,
    canvas: Canvas,
    config: SampleConfig,
    items: Sequence[Item],
    mesh: Mesh | None = None,
    finish: Finish | None = None,
) -> Iterator[tuple[Item, NDArray[np.float32]]]:
    """Draws fields of one case.

    Args:
      downscale: from `make_downscale`.
      parameters: the network's.
      case: whose coarse fields are the predictors.
      canvas: of the case.
      config: `members` and `batch` say how many fields are drawn together, `seed` which.
      items: what to draw.
      mesh: that `downscale` was made for.
      finish: of `finishing`; None leaves fields as they are.

    Yields:
      Each item with its rain, mm [H, W], in order.
    """
    minutes = minutes_since_epoch(case.hours)
    way = shifts(case.drift, case.hours, config.noise_hours) if config.noise_correlation else None
    # As many for what is left of an interrupted command as for the whole: the same program.
    size = min(items_at_once(canvas, config, mesh), len(case.hours) * config.members)
    chunks = [list(items[start : start + size]) for start in range(0, len(items), size)]

    def start(chunk: list[Item]) -> jax.Array:
        # The last chunk is filled up, so that nothing is compiled anew for it.
        full = chunk + chunk[-1:] * (size - len(chunk))
        hours = np.asarray([item.hour for item in full])
        members = np.asarray([item.member for item in full])
        named = (canvas, case.coarse[hours], members, minutes[hours], config.seed)
        contrasts = powers(case.hours[hours], members, config.contrast, config.seed)
        return downscale(parameters, *named, None if way is None else way[hours], contrasts)

    # One chunk ahead: a device works on it while the host stores the one before.
    ahead = start(chunks[0]) if chunks else None
    for number, chunk in enumerate(chunks):
        rain, ahead = ahead, start(chunks[number + 1]) if number + 1 < len(chunks) else None
        for item, field in zip(chunk, np.asarray(rain), strict=False):
            yield item, field if finish is None else finish(field, item)
