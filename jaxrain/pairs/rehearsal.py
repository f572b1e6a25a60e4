"""`prepare --dry-run`: every file is read as the real run reads it, and nothing is kept.

So what the real run would refuse is refused here, in the same words. What it would cost is told
from the reading, which was timed, and from one day that goes the whole way in a temporary folder.
"""

import functools
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from jaxrain.grids.grid import Grid
from jaxrain.pairs.audit.table import human_bytes
from jaxrain.pairs.build import check_before, describe, write_arrays
from jaxrain.pairs.canonical import find_all
from jaxrain.pairs.contents import Contents, contents_of, grid_of
from jaxrain.pairs.days import days_of
from jaxrain.pairs.pairing import Pairing, pair
from jaxrain.pairs.placement import BLOCK
from jaxrain.pairs.progress import Say, watched
from jaxrain.pairs.reading import is_canonical, read_source, write_canonical
from jaxrain.pairs.recipe import SPLITS, DataConfig
from jaxrain.pairs.sources import Role, Source, source_of
from jaxrain.pairs.statistics import (
    Moments,
    Tally,
    check_training_values,
    moments,
    tally_hours,
)
from jaxrain.pairs.store import Store, open_areas
from jaxrain.pairs.workers import IN_THIS_PROCESS, PrepareConfig, in_this_process, workforce
from jaxrain.weather.demo import write_demo
from jaxrain.weather.netcdf import open_netcdf
from jaxrain.weather.variables import VARIABLES, channel_names, on_levels

_LISTED = 12  # hours that are named one by one


@dataclass(frozen=True, eq=False)
class _Look:
    """What reading a file told.

    Attributes:
      source: its canonical copy would lie in the temporary folder.
      held: hours and grid.
      hours: by channel, or 'rain', the moments of each hour.
      seconds: that hashing and reading took.
      there: whether the real store has its canonical copy already.
    """

    source: Source
    held: Contents
    hours: dict[str, list[Moments]]
    seconds: float
    there: bool


@dataclass(frozen=True)
class _Cost:
    """What a day that went the whole way took: seconds, and bytes of NetCDF, of a file and hour."""

    write_s: dict[Role, float]
    netcdf_bytes: dict[Role, float]
    hour_s: float


def rehearse(
    config: DataConfig, say: Say = print, *, work: PrepareConfig = IN_THIS_PROCESS
) -> None:
    """Says what `prepare` would make of the files, and what it would cost.

    Args:
      config: the data section.
      say: takes a line.
      work: who reads.

    Raises:
      InputError: as `prepare`, but for what goes wrong in writing.
    """
    check_before(config, work)
    with tempfile.TemporaryDirectory(prefix="jaxrain-") as folder:
        asked = _with_demo(config, folder)
        aside = replace(asked, store=f"{folder}/store")
        files = find_all(asked)
        start = time.perf_counter()
        with workforce(work) as run:
            look = partial(_look, config=asked, aside=aside)
            looked = run(look, files, [str(path) for _, path in files])
            looks = list(watched(looked, len(files), "files read", say))
        wall_s = time.perf_counter() - start
        pairing = pair(aside, [(each.source, each.held) for each in looks], partial(_grid, aside))
        tallies = _tallies(aside, looks, pairing)
        check_training_values(channel_names(config.variables, config.levels), tallies["train"])
        cost = _sample(aside, pairing)
    for line in [
        *_told_of_hours(looks, pairing),
        *_told_of_values(config, pairing, tallies),
        *_told_of_cost(config, looks, pairing, cost, wall_s),
    ]:
        say(line)


def _with_demo(config: DataConfig, folder: str) -> DataConfig:
    """The config; where its demo weather is not there yet, with one that is under `folder`."""
    if not config.demo or (Path(config.root) / "demo.json").exists():
        return config
    write_demo(f"{folder}/demo")
    return replace(config, root=f"{folder}/demo")


def _look(file: tuple[Role, Path], config: DataConfig, aside: DataConfig) -> _Look:
    start = time.perf_counter()
    source = source_of(*file, config)
    there = is_canonical(source, config)
    if there:
        with open_netcdf(source.canonical) as dataset:
            held, hours = contents_of(dataset), _moments(dataset, config)
    else:
        dataset = read_source(source, config)
        held, hours = contents_of(dataset), _moments(dataset, config)
    inside = source.canonical.relative_to(config.store)
    moved = replace(source, canonical=Path(aside.store) / inside)
    return _Look(moved, held, hours, time.perf_counter() - start, there)


def _moments(dataset: xr.Dataset, config: DataConfig) -> dict[str, list[Moments]]:
    found: dict[str, list[Moments]] = {}
    for name, array in dataset.data_vars.items():
        for hour in range(array.sizes.get("time", 0)):  # a grid mapping has no hours
            values = array[hour].values
            if on_levels(str(name)):
                for level, field in zip(config.levels, values, strict=True):
                    found.setdefault(f"{name}{level}", []).append(moments(field))
            else:
                found.setdefault(str(name), []).append(moments(values))
    return found


def _grid(config: DataConfig, source: Source) -> Grid:
    return grid_of(read_source(source, config))


def _tallies(config: DataConfig, looks: Sequence[_Look], pairing: Pairing) -> dict[str, Tally]:
    """Ranges by split, of the whole grids that the files have; of the target nothing."""
    hours = {look.source.canonical: look.hours for look in looks}
    channels = channel_names(config.variables, config.levels)
    empty = Tally([Moments()] * len(channels), Moments(), Moments(), 0)
    tallies = dict.fromkeys(SPLITS, empty)
    for area in pairing.areas:
        for hour in area.hours:
            rain = hours[hour.fine.source.canonical]["rain"][hour.fine.index]
            seen = []
            for channel in channels:
                place = hour.coarse.get(channel.rstrip("0123456789"))
                # Rain that is coarsened is the fine rain's; its range is no wider.
                seen.append(hours[place.source.canonical][channel][place.index] if place else rain)
            tally = Tally(seen, rain, Moments(), int(np.prod(area.fine_grid.shape)))
            tallies[hour.split] = tallies[hour.split].merged(tally)
    return tallies


def _sample(config: DataConfig, pairing: Pairing) -> _Cost:
    """Makes a store of the first day, without its statistics, and times the stages."""
    area = pairing.areas[0]
    day = days_of(area, Path(config.store))[0]
    places = [place for hour in day.hours for place in (hour.fine, *hour.coarse.values())]
    sources = list(dict.fromkeys(place.source for place in places))
    seconds: dict[Role, list[float]] = {"fine": [], "coarse": []}
    sizes: dict[Role, list[float]] = {"fine": [], "coarse": []}
    for source in sources:
        dataset = read_source(source, config)
        start = time.perf_counter()
        write_canonical(dataset, source, config)
        seconds[source.role].append(time.perf_counter() - start)
        sizes[source.role].append(source.canonical.stat().st_size)
    only = Pairing(areas=[replace(area, hours=day.hours)])
    start = time.perf_counter()
    path = Path(config.store)
    write_arrays(path, config, "a sample", only, in_this_process, lambda line: None)
    manifest = describe(config, sources, only)
    tally_hours(Store(path, manifest, open_areas(path, manifest)), config)
    hour_s = (time.perf_counter() - start) / len(day.hours)
    return _Cost(_means(seconds), _means(sizes), hour_s)


def _means(values: dict[Role, list[float]]) -> dict[Role, float]:
    return {role: float(np.mean(those)) for role, those in values.items() if those}


def _told_of_hours(looks: Sequence[_Look], pairing: Pairing) -> list[str]:
    splits = Counter(hour.split for area in pairing.areas for hour in area.hours)
    roles = Counter(look.source.role for look in looks)
    lines = [
        "",
        f"dry run of {roles['fine']} fine and {roles['coarse']} coarse files; all are whole",
    ]
    fine = sorted(
        {time for look in looks if look.source.role == "fine" for time in look.held.times}
    )
    every = int((fine[-1] - fine[0]) / np.timedelta64(1, "h")) + 1
    lines.append(
        f"  hours found    {len(fine)} of fine rain from {fine[0]} to {fine[-1]}, "
        f"{max(every - len(fine), 0)} between them are in no file"
    )
    lines.append("  hours paired   " + ", ".join(f"{splits[split]} {split}" for split in SPLITS))
    for reason, count in Counter(reason for *_, reason in pairing.left_out).most_common():
        lines.append(f"  left out       {count} hours: {reason}")
    named = [left for left in pairing.left_out if left[2] != "in no split"][:_LISTED]
    lines += [f"                 {time} {name}: {reason}" for time, name, reason in named]
    lines += [
        f"  repeated       {time}: takes {taken}, not {other}"
        for time, taken, other in pairing.reissued[:_LISTED]
    ]
    told = ", ".join(f"{count} by the {by}" for by, count in pairing.time_sources.items())
    lines.append(f"  times          ends of the hours summed, UTC; fine hours told {told}")
    return lines


def _told_of_values(config: DataConfig, pairing: Pairing, tallies: dict[str, Tally]) -> list[str]:
    lines = []
    for area in pairing.areas:
        (h, w), (k, m) = area.fine_grid.shape, area.coarse_grid.shape
        lines.append(f"  {area.name:<14} {k} x {m} -> {h} x {w} points, {area.fine_grid.extent()}")
    found = (f"{name} {'/'.join(counts)}" for name, counts in pairing.units.items())
    lines.append(f"  units found    {', '.join(found)}")
    sums = [name for name in config.variables if VARIABLES[name].cell_methods == "time: sum"]
    lines.append(f"  windows        {', '.join(['fine rain', *sums])}: sums of one hour each")
    every = functools.reduce(Tally.merged, tallies.values())
    names = channel_names(config.variables, config.levels)
    lines.append(f"  {'':<14} {'units':<8}{'least':>12}{'mean':>12}{'most':>12}{'plausible':>20}")
    for name, seen in zip([*names, "fine_rain"], [*every.channels, every.fine], strict=True):
        variable = VARIABLES["rain" if name == "fine_rain" else name.rstrip("0123456789")]
        low, high = variable.plausible
        numbers = "".join(f"{value:>12.5g}" for value in (seen.least, seen.mean, seen.most))
        beyond = "" if low <= seen.least and seen.most <= high else "  beyond: check the units"
        lines.append(
            f"  {name:<14} {variable.units:<8}{numbers}{f'{low:g} to {high:g}':>20}{beyond}"
        )
    return lines


def _told_of_cost(
    config: DataConfig, looks: Sequence[_Look], pairing: Pairing, cost: _Cost, wall_s: float
) -> list[str]:
    hours = sum(len(area.hours) for area in pairing.areas)
    channels = len(channel_names(config.variables, config.levels))
    arrays = sum(
        len(area.hours)
        * (
            4 * int(np.prod(area.fine_grid.shape))
            + 4 * channels * int(np.prod(area.coarse_grid.shape))
            + 2 * int(np.prod([-(-size // BLOCK) for size in area.fine_grid.shape]))
        )
        for area in pairing.areas
    )
    todo = [look for look in looks if not look.there]
    netcdf = sum(cost.netcdf_bytes.get(look.source.role, 0.0) for look in todo)
    # As many at once as the reading had; writing goes the same way.
    at_once = max(1.0, sum(look.seconds for look in looks) / wall_s)
    more_s = sum(cost.write_s.get(look.source.role, 0.0) for look in todo) + cost.hour_s * hours
    minutes = (wall_s + more_s / at_once) / 60.0
    lines = [
        f"  would write    {human_bytes(netcdf)} of NetCDF for {len(todo)} files "
        f"({len(looks) - len(todo)} are there), {human_bytes(arrays)} of arrays",
        f"  would take     about {minutes:.1f} minutes with as many at work as now "
        f"(this took {wall_s / 60.0:.1f})",
    ]
    free = shutil.disk_usage(_nearest(Path(config.store))).free
    if free < netcdf + arrays:
        lines.append(
            f"  warning        {config.store} has {human_bytes(free)} free: that is not enough"
        )
    return lines


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above that is there."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())
