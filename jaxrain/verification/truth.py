"""What came: from the store that the ensemble names, or from files of fine rain."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.store import Area, Store, open_store
from jaxrain.verification.fine_reading import AS_FILES_SAY, FineReading, read_truth
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.weather.cmpa import newest
from jaxrain.weather.npy_layout import EXTREMES

Truth = Callable[[Case, int], np.ndarray]
"""Fine rain of one hour of a case [mm], shape [H, W], NaN where not known."""

# Of a cell: how far two files' decimals may put the same point apart.
_SAME_POINT = 0.1


def store_of(forecast: Forecast) -> Store:
    """Opens the store that an ensemble's attributes name.

    Raises:
      InputError: it names none, or there is none any more.
    """
    path = forecast.attributes.get("jaxrain_store")
    if not path:
        raise InputError(
            f"{forecast.path} names no store, since its input came from elsewhere: "
            "give --truth FILE ... with fine rain of its hours"
        )
    return open_store(str(path))


def store_at_hand(forecast: Forecast) -> tuple[Store | None, str]:
    """The store that an ensemble names if it still holds all it came from, else None and why not.

    That is its hours, and its points where they were.
    """
    try:
        store = store_of(forecast)
        for case in forecast.cases:
            _require_within(case, area_of(case, store), store)
    except InputError as error:
        return None, str(error).split(";")[0].split(": give")[0]
    return store, ""


def truth_from_store(forecast: Forecast, store: Store) -> Truth:
    """Truth of every case from the store's areas.

    Raises:
      InputError: the store lacks an area or hours (named), or its grid is another.
    """
    places = {case.name: area_of(case, store) for case in forecast.cases}
    for case in forecast.cases:
        _require_within(case, places[case.name], store)

    def truth(case: Case, hour: int) -> np.ndarray:
        area = places[case.name]
        (y0, x0), (height, width) = case.origin, case.grid.shape
        return np.asarray(
            area.fine(store_index(area, case, hour))[y0 : y0 + height, x0 : x0 + width]
        )

    return truth


def truth_from_files(
    forecast: Forecast, paths: Sequence[str | Path], reading: FineReading = AS_FILES_SAY
) -> Truth:
    """Truth of every case from files of fine rain; of CMPA's re-issues the newest.

    Args:
      forecast: what is verified.
      paths: files that `read_truth` reads; their grids may hold more points than the cases, and
        they may be on different grids where the cases are. The extremes that lie beside .npy
        hours are passed over.
      reading: how the files are read.

    Raises:
      InputError: a file can't be read, no file's grid holds a case's, or hours lack (named).
    """
    chosen, _ = newest(path for path in paths if Path(path).name not in EXTREMES)
    if not chosen:
        raise InputError("--truth: no file of an hour among these; give those with the rain")
    sources = [_look_into(path, reading) for path in chosen]
    places: dict[tuple[str, np.datetime64], _Place] = {}
    for case in forecast.cases:
        fitting = [(source, positions_within(case.grid, source.grid)) for source in sources]
        held = [(source, points) for source, points in fitting if points is not None]
        if not held:
            raise _other_grid(case, sources[0].grid, str(sources[0].path))
        for source, points in held:
            for index, hour in enumerate(source.hours):
                places.setdefault((case.name, hour), _Place(source.path, index, *points))
        there = np.concatenate([source.hours for source, _ in held])
        _require_hours(case, there, "the truth" if len(held) > 1 else str(held[0][0].path))

    # Hours come in order, so the file at hand is nearly always the one wanted next.
    @functools.lru_cache(maxsize=1)
    def rain(path: Path) -> np.ndarray:
        return read_truth(path, reading)["rain"].values

    def truth(case: Case, hour: int) -> np.ndarray:
        place = places[case.name, case.hours[hour]]
        return rain(place.path)[place.hour][np.ix_(place.rows, place.columns)]

    return truth


class _Source(NamedTuple):
    path: Path
    hours: np.ndarray
    grid: Grid


class _Place(NamedTuple):
    path: Path
    hour: int
    rows: np.ndarray
    columns: np.ndarray


def _look_into(path: Path, reading: FineReading) -> _Source:
    dataset = read_truth(path, reading)
    projected = "y" in dataset.dims
    y, x = ("y", "x") if projected else ("latitude", "longitude")
    grid = Grid(dataset[y].values, dataset[x].values, projected)
    return _Source(path, dataset["time"].values.astype("datetime64[s]"), grid)


def area_of(case: Case, store: Store) -> Area:
    """The store's area that a case lies in.

    Raises:
      InputError: there is none of that name.
    """
    for area in store.areas:
        if area.name == case.area:
            return area
    names = ", ".join(area.name for area in store.areas)
    raise InputError(f"the store {store.path} has no area '{case.area}', only {names}")


def store_index(area: Area, case: Case, hour: int) -> int:
    """Where an area of the store keeps an hour of a case."""
    return int(np.flatnonzero(area.hours == case.hours[hour])[0])


def _require_within(case: Case, area: Area, store: Store) -> None:
    _require_hours(case, area.hours, f"the store {store.path}")
    if not _same_window(case, area.fine_grid):
        raise _other_grid(case, area.fine_grid, f"the store {store.path}")


def _same_window(case: Case, whole: Grid) -> bool:
    """Whether the case is the window of the area that its origin says."""
    try:
        window = whole.window(*case.origin, *case.grid.shape)
    except ValueError:
        return False
    return positions_within(case.grid, window) is not None


def _require_hours(case: Case, there: np.ndarray, where: str) -> None:
    lacking = lacking_hours(case, there)
    if lacking:
        raise InputError(f"{where} lacks {lacking}; give --truth with files that hold them")


def lacking_hours(case: Case, there: np.ndarray) -> str:
    """The hours of a case that aren't among others, in words; nothing where all are."""
    known = set(there)
    lacking = [str(hour) for hour in case.hours if hour not in known]
    shown = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
    return f"{len(lacking)} of the {len(case.hours)} hours of {case.name}: {shown}" * bool(lacking)


def positions_within(wanted: Grid, there: Grid) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows and columns of another grid at which all the wanted points are; None where not."""
    rows, columns = _positions(wanted.y, there.y), _positions(wanted.x, there.x)
    if rows is None or columns is None or wanted.projected != there.projected:
        return None
    return rows, columns


def _other_grid(case: Case, there: Grid, where: str) -> InputError:
    return InputError(
        f"the grid of {case.name} ({_describe(case.grid)}) is not part of that of {where} "
        f"({_describe(there)}): give --truth with rain on the same points"
    )


def _describe(grid: Grid) -> str:
    height, width = grid.shape
    return f"{height} x {width} points, {grid.extent()}"


def _positions(wanted: np.ndarray, there: np.ndarray) -> np.ndarray | None:
    if len(there) < len(wanted):
        return None
    order = np.argsort(there)
    ranked = there[order]
    above = np.clip(np.searchsorted(ranked, wanted), 1, len(ranked) - 1)
    nearer = np.where(wanted - ranked[above - 1] < ranked[above] - wanted, above - 1, above)
    cell = np.abs(np.diff(ranked)).min() if len(ranked) > 1 else np.inf
    if np.abs(ranked[nearer] - wanted).max() > _SAME_POINT * cell:
        return None
    return order[nearer]
