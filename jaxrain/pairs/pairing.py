"""Which hours pair: fine rain and every predictor at the same valid time, each in one split."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.grids.regrid import block_axis
from jaxrain.pairs.contents import Contents
from jaxrain.pairs.interpolation import interpolation_matrices
from jaxrain.pairs.recipe import SPLITS, DataConfig
from jaxrain.pairs.sources import Source

# Reasons that an hour is left out for; others name the predictors that it lacks.
IN_NO_SPLIT = "in no split"
NO_FINE_RAIN = "no fine rain at this hour"


@dataclass(frozen=True)
class Place:
    """One hour of one canonical file."""

    source: Source
    index: int


@dataclass(frozen=True)
class Hour:
    """A pair.

    Attributes:
      time: valid time, datetime64[s].
      split: 'train', 'validation' or 'test'.
      fine: where the rain is.
      coarse: where each variable is; empty where the coarse rain is made from the fine.
    """

    time: np.datetime64
    split: str
    fine: Place
    coarse: dict[str, Place]


@dataclass
class PairedArea:
    """The hours of one pair of grids; the fine grid is cropped where blocks need it."""

    name: str
    fine_grid: Grid
    coarse_grid: Grid
    hours: list[Hour] = field(default_factory=list)


@dataclass
class Pairing:
    """What pairing found.

    Attributes:
      areas: those with hours, in order of their first file.
      left_out: (time, file, reason) of each hour of either side that doesn't pair.
      reissued: (time, file that was taken, file that was not).
      units: how many files had which units, by variable; the rain's is 'fine_rain'.
      time_sources: how many fine hours got their time from the name, the file, or the time that
        it was produced, which is a guess.
      windows: how many files had sums over which window, or made a variable from which others,
        where a reader says so; by variable as `units`.
    """

    areas: list[PairedArea] = field(default_factory=list)
    left_out: list[tuple[np.datetime64, str, str]] = field(default_factory=list)
    reissued: list[tuple[np.datetime64, str, str]] = field(default_factory=list)
    units: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    time_sources: Counter[str] = field(default_factory=Counter)
    windows: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


Read = tuple[Source, Contents]
_GridOf = Callable[[Source, Contents], Grid]


def pair(config: DataConfig, read: Sequence[Read], load_grid: Callable[[Source], Grid]) -> Pairing:
    """Pairs the hours of canonical files.

    Args:
      config: which variables and splits there are.
      read: the files and what they hold.
      load_grid: reads a file's grid; called once for each distinct one.

    Raises:
      InputError: no hour pairs, none is for training, an hour is in two splits, a variable is in
        no file, the predictors are on several grids or don't cover the fine grid, or a test window
        leaves its area.
    """
    pairing = Pairing()
    fine = [(source, held) for source, held in read if source.role == "fine"]
    known: dict[str, Grid] = {}

    def grid_of(source: Source, held: Contents) -> Grid:
        if held.grid_key not in known:
            known[held.grid_key] = load_grid(source)
        return known[held.grid_key]

    coarse_grid, coarse = _index_coarse(config, read, grid_of, pairing)
    rainy: set[np.datetime64] = set()
    for fine_grid, places in _index_fine(fine, grid_of, pairing):
        rainy |= set(places)
        area = _area(config, fine_grid, coarse_grid, f"area{len(pairing.areas)}", fine[0][0])
        for time in sorted(places):
            _place_hour(config, area, time, places[time], coarse, pairing)
        if area.hours:
            pairing.areas.append(area)
    _check_hours(pairing, coarse, config)
    _check_windows(pairing, config)
    alone = {time: place for places in coarse.values() for time, place in places.items()}
    pairing.left_out += [
        (time, alone[time].source.name, NO_FINE_RAIN) for time in sorted(set(alone) - rainy)
    ]
    return pairing


def _index_fine(
    read: Sequence[Read], grid_of: _GridOf, pairing: Pairing
) -> list[tuple[Grid, dict[np.datetime64, Place]]]:
    """Hours by grid, in order of the grids' first files; of a repeated hour the newest is kept."""
    indexed: list[tuple[Grid, dict[np.datetime64, Place]]] = []
    for source, held in read:
        grid = grid_of(source, held)
        pairing.units["fine_rain"][held.units["rain"]] += 1
        pairing.time_sources[held.time_source] += len(held.times)
        pairing.windows["fine_rain"].update(held.windows.get("rain", ()))
        places = next((hours for known, hours in indexed if known.same_as(grid)), None)
        if places is None:
            places = {}
            indexed.append((grid, places))
        for index, time in enumerate(held.times):
            place, other = Place(source, index), places.get(time)
            if other is not None:
                # The newest edition wins, as file names tell it: the time of production comes
                # first in them.
                place, other = sorted([place, other], key=_edition)[::-1]
                pairing.reissued.append((time, place.source.name, other.source.name))
            places[time] = place
    return indexed


def _edition(place: Place) -> tuple[str, str]:
    return place.source.name, str(place.source.path)


def _index_coarse(
    config: DataConfig, read: Sequence[Read], grid_of: _GridOf, pairing: Pairing
) -> tuple[Grid | None, dict[str, dict[np.datetime64, Place]]]:
    """Where each variable's hours are, and the predictors' one grid."""
    if config.coarsen:
        return None, {}
    grid: Grid | None = None
    indexed: dict[str, dict[np.datetime64, Place]] = {name: {} for name in config.variables}
    found = set()
    for source, held in read:
        if source.role != "coarse":
            continue
        here = grid_of(source, held)
        if grid is None:
            grid, first = here, source.name
        elif not grid.same_as(here):
            raise InputError(
                f"{source.name} is on another grid ({here.shape[0]} x {here.shape[1]}, "
                f"{here.extent()}) than {first} ({grid.shape[0]} x {grid.shape[1]}, "
                f"{grid.extent()}): regrid it, or leave it out with data.exclude"
            )
        for name in (name for name in config.variables if name in held.present):
            found.add(name)
            pairing.units[name][held.units[name]] += 1
            pairing.windows[name].update(held.windows.get(name, ()))
            indexed[name] |= {
                time: Place(source, int(i))
                for i, time in enumerate(held.times)
                if held.present[name][i]
            }
    lacking = [name for name in config.variables if name not in found]
    if lacking:
        raise InputError(
            f"no coarse file holds {', '.join(lacking)}; they hold {', '.join(sorted(found))}: add "
            f"files with {'it' if len(lacking) == 1 else 'them'}, or drop "
            f"{'it' if len(lacking) == 1 else 'them'} from data.variables"
        )
    return grid, indexed


def _area(
    config: DataConfig, fine: Grid, coarse: Grid | None, name: str, example: Source
) -> PairedArea:
    if coarse is not None:
        coarse = same_turn(coarse, fine)
        interpolation_matrices(coarse, fine, ["bilinear"], "the fine grid")  # covers it, or says so
        return PairedArea(name, fine, coarse)
    factor = config.coarsen or 1
    height, width = (size // factor * factor for size in fine.shape)
    if min(height, width) < 2 * factor:
        raise InputError(
            f"data.coarsen={factor} leaves fewer than 2 x 2 blocks of a fine grid of "
            f"{fine.shape[0]} x {fine.shape[1]} ({example.name} and others): make it smaller"
        )
    fine = fine.window(0, 0, height, width)
    blocks = Grid(block_axis(fine.y, factor), block_axis(fine.x, factor), fine.projected)
    return PairedArea(name, fine, blocks)


def same_turn(coarse: Grid, fine: Grid) -> Grid:
    """The coarse grid with its longitudes counted in the fine one's turn of the globe."""
    if coarse.projected or fine.projected:
        return coarse
    turns = np.round((np.mean(fine.x) - np.mean(coarse.x)) / 360.0)
    return Grid(y=coarse.y, x=coarse.x + 360.0 * turns)


def _place_hour(
    config: DataConfig,
    area: PairedArea,
    time: np.datetime64,
    fine: Place,
    coarse: dict[str, dict[np.datetime64, Place]],
    pairing: Pairing,
) -> None:
    name = fine.source.name
    matching = [
        split
        for split in SPLITS
        if any(
            bool(selection.matches(name, np.asarray([time]))[0])
            for selection in getattr(config.splits, split)
        )
    ]
    if len(matching) > 1:
        raise InputError(
            f"the hour {time} of {name} is in two splits, {' and '.join(matching)}: make "
            "data.splits disjoint"
        )
    lacking = [variable for variable, places in coarse.items() if time not in places]
    if not matching:
        pairing.left_out.append((time, name, IN_NO_SPLIT))
    elif lacking:
        pairing.left_out.append((time, name, f"no {', '.join(lacking)} at this hour"))
    else:
        where = {variable: places[time] for variable, places in coarse.items()}
        area.hours.append(Hour(time, matching[0], fine, where))


def _check_hours(
    pairing: Pairing, coarse: dict[str, dict[np.datetime64, Place]], config: DataConfig
) -> None:
    found = Counter(hour.split for area in pairing.areas for hour in area.hours)
    if found["train"]:
        return
    reasons = Counter(reason for _, _, reason in pairing.left_out)
    times = sorted(time for time, _, _ in pairing.left_out) or sorted(
        hour.time for area in pairing.areas for hour in area.hours
    )
    said = f"the fine hours run from {times[0]} to {times[-1]}"
    if not config.coarsen:
        every = sorted({time for places in coarse.values() for time in places})
        said += f", the predictors' from {every[0]} to {every[-1]}" if every else ""
    said += "".join(f"; {count} left out: {reason}" for reason, count in reasons.most_common(3))
    asked = ", ".join(each.period or each.files for each in config.splits.train)
    what = "no hour pairs" if not found else f"no hour is for training (data.splits.train: {asked})"
    raise InputError(f"{what}: {said}; check data.splits, and that both sides cover the same hours")


def _check_windows(pairing: Pairing, config: DataConfig) -> None:
    for window in config.windows:
        time = np.datetime64(window.time, "s")
        for area in pairing.areas:
            if any(
                hour.split == "test" and hour.time == time and hour.fine.source.name == window.file
                for hour in area.hours
            ):
                window.check_inside(area.fine_grid.shape)
