"""Where to draw: a run's areas as they are, or those points of theirs that lie in a box."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxrain.errors import InputError
from jaxrain.grids.boxes import Box, boxed, is_located, overlaps
from jaxrain.grids.grid import Grid
from jaxrain.pairs.store import Area


class Place(NamedTuple):
    """A piece of an area's grid, or of how it goes on.

    Attributes:
      area: whose grid it is.
      grid: H x W points.
      origin: row and column of the first in the area's grid, below 0 before it begins.
      beyond: how many of the points are beyond the area.
    """

    area: Area
    grid: Grid
    origin: tuple[int, int]
    beyond: int = 0

    def __str__(self) -> str:
        return f"{self.area.name} ({self.area.fine_grid.extent()})"


def places(areas: Sequence[Area], box: Box | None) -> list[Place]:
    """The areas, or the box in each of those that it touches.

    A box that touches none lies on the grid of the one area that there is, as it would go on.

    Args:
      areas: of a store or a run.
      box: None takes the areas as they are.

    Raises:
      InputError: the box is none or holds no point; it touches none of several areas; or it reaches
        beyond an area whose static fields the network was trained with.
    """
    if box is None:
        return [Place(area, area.fine_grid, (0, 0)) for area in areas]
    # An area that does not know where it lies is no reason to refuse another that does.
    known = [area for area in areas if is_located(area.fine_grid)] or areas
    try:
        touched = [area for area in known if overlaps(area.fine_grid, box)]
        if not touched and len(areas) == 1:
            touched = list(areas)
        found = [Place(area, *boxed(area.fine_grid, box)) for area in touched]
    except ValueError as error:
        raise InputError(f"the box {box}: {error}") from None
    if not found:
        there = "; ".join(str(Place(area, area.fine_grid, (0, 0))) for area in areas)
        raise InputError(
            f"the box {box} touches none of the areas {there or '(there are none)'}: "
            "choose one within them"
        )
    for place in found:
        if place.beyond and place.area.statics:
            names = ", ".join(static.name for static in place.area.statics)
            raise InputError(
                f"the box {box} reaches beyond {place}, "
                f"where {names} is not known: choose one within it"
            )
    return found
