from pathlib import Path

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.grids.boxes import Box
from jaxrain.grids.grid import Grid
from jaxrain.pairs.pieces import beyond_area, box_attribute, parse_box, places
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


def test_an_area_that_a_box_does_not_touch_is_no_reason_to_refuse_it():
    coarser = Grid(y=40 - 0.5 * np.arange(9), x=110 + 0.5 * np.arange(9))
    uneven = Grid(y=np.asarray([40.0, 39.9, 39.0]), x=110 + 0.1 * np.arange(9))
    areas = [area("far", coarser), area("odd", uneven), area("a", grid(30, 110))]
    assert [place.area.name for place in places(areas, Box(29.3, 111, 28.9, 111.4))] == ["a"]


def test_an_area_that_does_not_know_where_it_lies_is_passed_over():
    areas = [area("km", KILOMETRES), area("a", grid(30, 110))]
    assert [place.area.name for place in places(areas, BOX)] == ["a"]
    with pytest.raises(InputError, match="no latitude and longitude"):
        places(areas[:1], BOX)
    with pytest.raises(InputError, match=r"areas a \(28.*; where km lies its files do not say"):
        places(areas, Box(60, 10, 59, 11))


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


def test_what_a_box_leaves_or_is_cut_at_is_told():
    areas = [area("a", grid(30, 110))]
    assert beyond_area("a", areas, None) == beyond_area("a", areas, BOX) == []
    (line,) = beyond_area("a", areas, Box(30.1, 111, 29, 112))
    assert line.startswith("8.33% of the points lie beyond a (28.00..30.00 N, 110.00..113.00 E)")
    y, x = np.mgrid[0.0:12, 0:15]
    turned = {"latitude": 50 + 0.1 * y, "longitude": 10 + 0.1 * x}
    projected = [area("p", Grid(y[:, 0], x[0], projected=True, **turned))]
    assert beyond_area("p", projected, Box(50.8, 10.3, 50.4, 10.9)) == []
    (line,) = beyond_area("p", projected, Box(60, 10.3, 50.4, 10.9))
    assert "reaches the edge of p (0.00..11.00 km" in line


def test_a_box_is_four_numbers():
    assert parse_box((30, "110", np.float32(29), 111)) == Box(30, 110, 29, 111)
    assert box_attribute(BOX) == {"jaxrain_box": "29..29.5 N, 111..112 E"}
    assert box_attribute(None) == {}
    for wrong in ((1, 2, 3), (1, 2, 3, 4, 5), 5, "9382", [None] * 4, {"north": 3}, [[1, 2, 3, 4]]):
        with pytest.raises(InputError, match="expected four numbers in degrees, north, west"):
            parse_box(wrong)
