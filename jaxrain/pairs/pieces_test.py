from pathlib import Path

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.grids.boxes import Box
from jaxrain.grids.grid import Grid
from jaxrain.pairs.pieces import places
from jaxrain.pairs.store import Area
from jaxrain.pairs.surroundings import StaticMap


def area(name, grid, statics=()):
    return Area(name, grid, grid, np.asarray([]), [], [], [], Path(), "", statics)


def grid(north, west):
    return Grid(y=north - 0.1 * np.arange(21), x=west + 0.1 * np.arange(31))


KILOMETRES = Grid(y=np.arange(20.0), x=np.arange(30.0), projected=True)
BOX = Box(29.5, 111, 29, 112)


def test_a_box_is_looked_for_in_every_area():
    areas = [area("a", grid(30, 110)), area("b", grid(40, 110)), area("c", grid(30.5, 111.5))]
    found = places(areas, BOX)
    assert [(place.area.name, place.origin, place.beyond) for place in found] == [
        ("a", (5, 10), 0),
        ("c", (10, -5), 6 * 5),
    ]
    assert [place.grid.shape for place in places(areas, None)] == [(21, 31)] * 3


def test_an_area_that_does_not_know_where_it_lies_is_passed_over():
    areas = [area("km", KILOMETRES), area("a", grid(30, 110))]
    assert [place.area.name for place in places(areas, BOX)] == ["a"]
    with pytest.raises(InputError, match="no latitude and longitude"):
        places(areas[:1], BOX)


def test_one_area_alone_goes_on_to_wherever_the_box_is():
    (place,) = places([area("a", grid(30, 110))], Box(33, 111, 32, 112))
    assert (place.origin, place.beyond) == ((-30, 10), 11 * 11)


def test_boxes_that_cannot_be_drawn_are_refused():
    areas = [area("a", grid(30, 110)), area("b", grid(40, 110))]
    with pytest.raises(InputError, match=r"touches none of the areas a \(28\.00\.\.30\.00 N"):
        places(areas, Box(60, 10, 59, 11))
    with pytest.raises(InputError, match="there are none"):
        places([], BOX)
    with pytest.raises(InputError, match="south 29 and north 28"):
        places(areas, Box(28, 110, 29, 111))
    terrain = StaticMap("terrain", Path("terrain.npy"), 0, 1)
    known = [area("a", grid(30, 110), (terrain,))]
    assert places(known, BOX)[0].beyond == 0
    with pytest.raises(InputError, match=r"beyond a \(28.*, where terrain is not known"):
        places(known, Box(30.5, 111, 29, 112))
