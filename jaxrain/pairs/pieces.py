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
      cut: whether the box seems to go on where the area, projected, ends.
    """

    area: Area
    grid: Grid
    origin: tuple[int, int]
    beyond: int = 0
    cut: bool = False

    def __str__(self) -> str:
        return f"{self.area.name} ({self.area.fine_grid.extent()})"


def parse_box(values: Sequence[float]) -> Box:
    """North, west, south, east as a box.

    Raises:
      InputError: they are not four numbers.
    """
    try:
        if isinstance(values, str):
            raise TypeError
        return Box(*map(float, values))
    except (TypeError, ValueError):
        raise InputError(
            f"box={values!r}: expected four numbers in degrees, north, west, south, east, as "
            "(24, 112, 21, 116)"
        ) from None


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
        there = "; ".join(str(Place(area, area.fine_grid, (0, 0))) for area in known)
        lost = ", ".join(area.name for area in areas if area not in known)
        raise InputError(
            f"the box {box} touches none of the areas {there or '(there are none)'}: "
            "choose one within them" + f"; where {lost} lies its files do not say" * bool(lost)
        )
    for place in found:
        if place.beyond and place.area.statics:
            names = ", ".join(static.name for static in place.area.statics)
            raise InputError(
                f"the box {box} reaches beyond {place}, "
                f"where {names} is not known: choose one within it"
            )
    return found


def box_attribute(box: Box | None) -> dict[str, str]:
    """The global attribute by which a file of rain names the box that was asked for."""
    return {} if box is None else {"jaxrain_box": str(box)}


def beyond_area(name: str, areas: Sequence[Area], box: Box | None) -> list[str]:
    """Says in a line that a box reaches beyond the area of that name, where its grid goes on, or
    where it is projected and ends."""
    if box is None:
        return []
    ((area, grid, _, beyond, cut),) = places([each for each in areas if each.name == name], box)
    where = f"{name} ({area.fine_grid.extent()})"
    if beyond:
        share = beyond / (grid.shape[0] * grid.shape[1])
        return [f"{share:.2%} of the points lie beyond {where}, where training saw no rain"]
    if cut:
        return [f"the box {box} reaches the edge of {where}: only what lies in that is drawn"]
    return []
