import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from jaxrain.pairs.audit.random_pair import choose, read_pair
from jaxrain.pairs.audit.survey import Gaps
from jaxrain.pairs.build import prepare
from jaxrain.pairs.conftest import hours
from jaxrain.pairs.recipe import Selection, Splits
from jaxrain.pairs.store import open_store


def _quiet(line):
    pass


def _found(world):
    return json.loads((world.root / "store" / "prepare_report.json").read_text())


def _page(world):
    return (world.root / "store" / "prepare_report.html").read_text(encoding="utf-8")


class _Tags(HTMLParser):
    """Checks that tags nest, and keeps what a browser would fetch or run."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.seen = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in ("meta", "link", "img", "rect"):
            self.open.append(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href") and not v.startswith("data:")]
        assert not [k for k, _ in attrs if k.startswith("on")]

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self.open.pop() == tag


def _check(page):
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.fetched == ["prepare_report.json"]
    assert not tags.seen & {"script", "iframe", "b onmouseover"}


def _rain_that_agrees(world, late):
    """80 hours of fine rain that follows the coarse, with its times `late` hours too late."""
    rng = np.random.default_rng(1)
    tp = np.zeros((80, 11, 12), np.float32)
    for hour in range(1, 80):
        tp[hour] = np.maximum(0.7 * tp[hour - 1] + rng.normal(size=(11, 12)), 0)
    world.write_coarse("pl.nc", hours(0, 79), variables=["u", "v", "t", "r", "z"])
    place = {"latitude": world.coarse_y, "longitude": world.coarse_x}
    dims = ("time", "latitude", "longitude")
    coarse = xr.Dataset({"tp": (dims, tp, {"units": "mm"})}, {"time": hours(0, 79), **place})
    coarse.to_netcdf(world.root / "coarse" / "tp.nc")
    at = coarse["tp"].sel(latitude=world.fine_y, longitude=world.fine_x, method="nearest")
    fine = xr.Dataset(
        {"rain": (dims, at.values, {"units": "mm"})},
        {"time": hours(late, 79 + late), "latitude": world.fine_y, "longitude": world.fine_x},
    )
    (world.root / "fine").mkdir(exist_ok=True)
    fine.to_netcdf(world.root / "fine" / "rain.nc")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("late", [8, -8, 0])
def test_files_in_another_time_zone_are_warned_of_everywhere(world, late):
    _rain_that_agrees(world, late)
    said = []
    prepare(world.config(splits=Splits(train=[Selection()])), say=said.append)
    warned = [line for line in _found(world)["warnings"] if "agrees best" in line]
    assert _found(world)["lag"]["best"] == late
    assert _found(world)["lag"]["clear"]
    if late == 0:
        assert not warned
        return
    side = "later" if late > 0 else "earlier"
    assert f"times are 8 h {side} than the predictors'" in warned[0]
    assert "Beijing time" in warned[0]
    assert f"WARNING        {warned[0]}" in said[-1]
    assert "Beijing time (UTC+8)" in _page(world) or late < 0
    assert '<p class="warning">the fine files' in _page(world)


def test_the_same_store_has_the_same_report_byte_for_byte(filled, tmp_path):
    shutil.copytree(filled.root, tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "store")
    config = filled.config(root=str(tmp_path / "again"), store=str(tmp_path / "again" / "store"))
    prepare(config, say=_quiet)
    for name in ("prepare_report.html", "prepare_report.json"):
        assert (tmp_path / "again" / "store" / name).read_bytes() == (
            filled.root / "store" / name
        ).read_bytes()


@pytest.mark.usefixtures("undrawn")
def test_a_lost_page_is_made_again(world):
    world.fill()
    prepare(world.config(), say=_quiet)
    page = _page(world)
    (world.root / "store" / "prepare_report.html").unlink()
    prepare(world.config(), say=_quiet)
    assert _page(world) == page


def test_the_page_is_sound_and_fetches_nothing(filled):
    _check(_page(filled))
    assert _page(filled).count("data:image/png;base64,") == 5


@pytest.mark.usefixtures("undrawn")
def test_names_from_files_can_not_become_part_of_the_page(world):
    hostile = "<img src=x onerror=alert(1)>&\"'<script>alert(2)<_script>.nc"
    world.write_fine(hostile, hours(3, 9))
    world.write_fine("twice <b onmouseover=x>.nc", hours(5, 5), seed=3)
    world.write_coarse("<i>.nc", hours(0, 9))
    prepare(world.config(), say=_quiet)
    page = _page(world)
    _check(page)
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;" in page
    assert not re.search(r"<script|onerror=alert\(1\)>|<i>\.nc", page)


def test_stores_without_coarse_rain_and_with_one_hour_have_a_page(world):
    world.write_fine("a.nc", hours(3, 3))
    world.write_coarse("pl.nc", hours(3, 3), variables=["t", "u"])
    config = world.config(variables=["t", "u"], target="direct")
    prepare(config, say=_quiet)
    _check(_page(world))
    assert _found(world)["lag"]["reason"] == "there is no tp among the predictors"
    assert _found(world)["rain"]["coarse"]["points"] == 0
    store = open_store(config.store)
    pair = read_pair(store, store.areas[0], 0)
    assert (pair.rain, pair.difference, pair.wind, pair.channel) == (None, None, None, "t850")


def test_rain_made_coarse_has_a_page_and_no_clocks_to_compare(world):
    world.write_fine("a.nc", hours(3, 9))
    prepare(world.config(coarsen=9, variables=["tp"], levels=[], coarse=[]), say=_quiet)
    _check(_page(world))
    assert _found(world)["lag"]["reason"] == "the coarse rain is made from the fine"
    assert "Correlation by lag" not in _page(world)


def test_two_areas_and_a_coarse_gap(world):
    world.write_fine("a.nc", hours(3, 9))
    world.write_coarse("pl.nc", hours(0, 9))
    with xr.open_dataset(world.root / "fine" / "a.nc") as dataset:
        dataset.isel(longitude=slice(0, 20)).to_netcdf(world.root / "fine" / "small.nc")
    prepare(world.config(), say=_quiet)
    _check(_page(world))
    assert [area["hours"] for area in _found(world)["areas"]] == [7, 7]
    store = open_store(world.config().store)
    coarse = np.array(store.areas[0].coarse(0))
    coarse[-1, 5, 5] = np.nan
    monkey = type("One", (), {"coarse": lambda self, i: coarse})()
    for name in ("fine", "fine_grid", "coarse_grid", "name", "hours", "splits"):
        setattr(monkey, name, getattr(store.areas[0], name))
    pair = read_pair(store, monkey, 0)
    assert 0 < np.isnan(pair.difference).sum() < pair.difference.size // 10


def test_the_pair_is_drawn_by_lot_from_the_wetter_half(filled):
    store = open_store(filled.config().store)
    (area,) = store.areas
    wet = dict(zip(area.hours, [0, 1, 2, 3, *range(100, 113)], strict=True))
    chosen = choose(store, {"area0": Gaps(np.zeros(1), np.zeros(1), wet)})
    assert chosen[1] >= 8
    assert chosen[1] == choose(store, {"area0": Gaps(np.zeros(1), np.zeros(1), wet)})[1]
