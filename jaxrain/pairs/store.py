"""The store: days of fine and coarse fields as .npy files, and one manifest that describes them.

    STORE/manifest.json          written last: a store without it is not finished
    STORE/prepare_report.html    what `prepare` found, for people
    STORE/prepare_report.json    the same for machines
    STORE/netcdf/                one canonical CF-NetCDF per input file, and files.json, their list
    STORE/AREA/{fine,coarse}_{y,x}.npy          axes, degrees or km
    STORE/AREA/{latitude,longitude}.npy         [H, W], for projected areas that know them
    STORE/AREA/mapping.json                     CF's grid mapping, where known
    STORE/AREA/fine_YYYYMMDD.npy                [n, H, W] float32, mm, NaN where missing
    STORE/AREA/coarse_YYYYMMDD.npy              [n, C, h, w] float32, canonical units
    STORE/AREA/cover_YYYYMMDD.npy               [n, 2, by, bx] uint8, see `placement`
    STORE/AREA/digests_YYYYMMDD.json            hashes of each hour of the three
    STORE/static/NAME_AREA_HASH.npy             [H, W] float32, static fields, the file's units

An area is one distinct pair of a fine and a coarse grid. The coarse fields stay on their own
grid: interpolated to the fine one they would be some 600 times as large.

The manifest holds hashes of axes, of each hour of each array, and of itself. What it describes is
compared with them when a process first reads it: hours one by one, for a day may be large.
"""

import functools
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxrain.arrays import open_array, write_array
from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.axes import load_grid
from jaxrain.pairs.digests import digest, remedy
from jaxrain.pairs.manifest import parse_manifest
from jaxrain.pairs.recipe import ARRAY_KEYS, BESIDE_KEYS, STATISTICS_KEYS, DataConfig
from jaxrain.pairs.surroundings import StaticMap
from jaxrain.whole import whole_file

if TYPE_CHECKING:
    from jaxrain.pairs.scaling import Scaling

KINDS = ("fine", "coarse", "cover")  # of arrays of hours


@dataclass(frozen=True, eq=False)
class Area:
    """All hours of one pair of grids, in order of time.

    Attributes:
      name: folder in the store.
      fine_grid: H x W points.
      coarse_grid: h x w points.
      hours: valid times (ends of hours), datetime64[s], shape [T].
      splits: 'train', 'validation' or 'test' of each hour, [T].
      sources: names of the input files of each hour, the fine one first, [T].
      days: day file and index within it of each hour, [T].
      folder: where the arrays are.
      edition: hash of what the arrays were made from.
      statics: static fields on the fine grid, in the order of the network's channels.
      digests: of each hour's arrays by kind, [T]; a store from before they were kept has none.
    """

    name: str
    fine_grid: Grid
    coarse_grid: Grid
    hours: np.ndarray
    splits: list[str]
    sources: list[list[str]]
    days: list[tuple[str, int]]
    folder: Path
    edition: str
    statics: tuple[StaticMap, ...] = ()
    digests: tuple[dict[str, str], ...] = ()

    def fine(self, index: int) -> np.ndarray:
        """Fine rain of an hour, mm, [H, W], NaN where missing.

        It is read whole where a process sees it first, to compare it with its hash, and after that
        only where it is touched; likewise the others.

        Raises:
          InputError: it is damaged.
        """
        return self._array("fine", index)

    def coarse(self, index: int) -> np.ndarray:
        """Predictors of an hour, canonical units, [C, h, w]."""
        return self._array("coarse", index)

    def cover(self, index: int) -> np.ndarray:
        """Counts of valid and wet points of an hour, uint8 [2, by, bx]."""
        return self._array("cover", index)

    def indices(self, split: str) -> list[int]:
        """The hours of a split."""
        return [index for index, name in enumerate(self.splits) if name == split]

    def only(self, indices: list[int]) -> "Area":
        """The area with these hours alone, without latitudes and longitudes of a projection."""
        return replace(
            self,
            fine_grid=replace(self.fine_grid, latitude=None, longitude=None),
            hours=self.hours[indices],
            splits=[self.splits[index] for index in indices],
            sources=[self.sources[index] for index in indices],
            days=[self.days[index] for index in indices],
            digests=tuple(self.digests[index] for index in indices) if self.digests else (),
        )

    def made_digests(self, index: int) -> dict[str, str]:
        """Hashes of an hour's arrays as they are, by kind."""
        return {kind: digest(self._array(kind, index)) for kind in KINDS}

    def paths(self) -> set[Path]:
        """Files of all hours' arrays and of static fields."""
        days = {day for day, _ in self.days}
        of_hours = {self._path(kind, day) for kind in KINDS for day in days}
        return of_hours | {static.path for static in self.statics}

    def _path(self, kind: str, day: str) -> Path:
        return self.folder / f"{kind}_{day}.npy"

    def _array(self, kind: str, index: int) -> np.ndarray:
        day, position = self.days[index]
        path = self._path(kind, day)
        hours = _open(str(path), self.edition)
        if not hours.ndim or position >= len(hours):
            raise InputError(
                f"{path}: has shape {hours.shape}, expected at least {position + 1} hours; "
                f"{remedy(path)}"
            )
        if self.digests and (made := self.digests[index].get(kind)):
            _compare(path, self.edition, position, hours[position], made)
        return hours[position]


@dataclass(frozen=True, eq=False)
class Store:
    """A finished store."""

    path: Path
    manifest: dict[str, Any]
    areas: list[Area]

    @property
    def channels(self) -> list[str]:
        """Names of the C predictors, as 'u850' or 'tp'."""
        return self.manifest["channels"]

    def scaling(self, config: DataConfig) -> "Scaling":
        """The scaling that the config asks for, from the store's statistics."""
        from jaxrain.pairs.scaling import (
            Scaling,  # JAX takes a second that `prepare` can do without
        )

        return Scaling.from_manifest(self.manifest, config)


def open_store(path: str | Path, config: DataConfig | None = None) -> Store:
    """Opens a finished store.

    Args:
      path: its folder.
      config: where given, the store must have been made with the same.

    Raises:
      InputError: no finished store there, one of another version, or made with another config.
    """
    path = Path(path)
    manifest = read_manifest(path)
    if config is not None:
        check_manifest(manifest, config, str(path), ARRAY_KEYS + STATISTICS_KEYS + BESIDE_KEYS)
    return Store(path, manifest, open_areas(path, manifest))


def open_areas(path: Path, manifest: dict[str, Any]) -> list[Area]:
    """The areas that a manifest describes, their arrays not yet read."""
    return [_open_area(path, manifest, area["name"]) for area in manifest["areas"]]


def read_manifest(path: Path) -> dict[str, Any]:
    """Reads STORE/manifest.json.

    Raises:
      InputError: as `open_store`.
    """
    try:
        content = (path / "manifest.json").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            f"{path} holds no finished store (no manifest.json): run `python -m jaxrain.prepare` "
            "with the same config"
        ) from None
    return parse_manifest(content, path)


def check_manifest(
    manifest: dict[str, Any], config: DataConfig, name: str, keys: tuple[str, ...]
) -> None:
    """Makes sure that a store was made with what the config says.

    Raises:
      InputError: names the first key that differs.
    """
    # A store from before a key was there was made as the key's default says.
    made, asked = recipe_of(DataConfig()) | manifest["config"], recipe_of(config)
    for key in keys:
        theirs, ours = (recipe.get(key, []) for recipe in (made, asked))
        if theirs != ours:
            raise InputError(
                f"the store {name} was made with {key}={_brief(theirs)}, the config says "
                f"{key}={_brief(ours)}: "
                + (
                    "run prepare again"
                    if key in STATISTICS_KEYS + BESIDE_KEYS
                    else "give data.store=ANOTHER_FOLDER, or remove the store and run prepare again"
                )
            )


def recipe_of(config: DataConfig) -> dict[str, Any]:
    """The part of the config that a store's content depends on, as JSON has it."""
    # A regression's remainder is taken off inside the compiled step: the store is the same.
    values = asdict(config) | {"target": config.measured_from}
    beside = {key: values[key] for key in BESIDE_KEYS if values[key]}
    return {key: values[key] for key in ARRAY_KEYS + STATISTICS_KEYS} | beside


def save_grid(folder: Path, kind: str, grid: Grid) -> None:
    """Writes an area's axes; `kind` is 'fine' or 'coarse'."""
    save_array(folder / f"{kind}_y.npy", grid.y)
    save_array(folder / f"{kind}_x.npy", grid.x)
    if kind == "fine" and grid.latitude is not None and grid.longitude is not None:
        save_array(folder / "latitude.npy", grid.latitude)
        save_array(folder / "longitude.npy", grid.longitude)
    if kind == "fine" and grid.mapping is not None:
        save_json(folder / "mapping.json", dict(grid.mapping))


def save_grids(folder: Path, areas: list[Area]) -> None:
    """Writes axes and static fields of all areas, all that `open_areas` of the folder needs."""
    for area in areas:
        for static in area.statics:
            static.copy_to(folder / "static")
        (folder / area.name).mkdir(parents=True, exist_ok=True)
        save_grid(folder / area.name, "fine", area.fine_grid)
        save_grid(folder / area.name, "coarse", area.coarse_grid)


def digests_file(folder: Path, day: str) -> Path:
    """Where a day's hashes are, from before it is renamed: a list of hours, by kind."""
    return folder / f"digests_{day}.json"


def save_array(path: Path, array: np.ndarray) -> None:
    """Writes a .npy file beside `path` and renames it, so that it is whole or not there."""
    with whole_file(path) as partial, partial.open("wb") as file:
        write_array(file, array)


def save_json(path: Path, content: dict[str, Any] | list[Any]) -> None:
    """Writes JSON beside `path` and renames it."""
    save_text(path, json.dumps(content, indent=1) + "\n")


def save_text(path: Path, text: str) -> None:
    """Writes text beside `path` and renames it."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _open_area(path: Path, manifest: dict[str, Any], name: str) -> Area:
    folder = path / name
    about = next(area for area in manifest["areas"] if area["name"] == name)
    hours = [hour for hour in manifest["hours"] if hour["area"] == name]
    return Area(
        name=name,
        fine_grid=load_grid(folder, "fine", about),
        coarse_grid=load_grid(folder, "coarse", about),
        hours=np.asarray([hour["time"] for hour in hours], "datetime64[s]"),
        splits=[hour["split"] for hour in hours],
        sources=[hour["sources"] for hour in hours],
        days=[(hour["day"], hour["index"]) for hour in hours],
        folder=folder,
        edition=manifest.get("made_from", ""),
        digests=tuple(hour.get("digests", {}) for hour in hours),
        statics=tuple(
            StaticMap(
                name=static["name"],
                path=path / "static" / static["arrays"][name],
                low=static["low"],
                high=static["high"],
            )
            for static in manifest.get("static", [])
        ),
    )


# Outside the Area, so that a worker process is sent the paths and not the arrays. The edition is
# in the key, since a store that is made anew has other arrays at the same paths.
@functools.lru_cache(maxsize=256)
def _open(path: str, edition: str) -> np.ndarray:
    return open_array(Path(path), remedy(Path(path)))


# Hours that this process has compared, of each file.
_COMPARED: dict[tuple[str, str], set[int]] = {}


def _compare(path: Path, edition: str, position: int, hour: np.ndarray, made: str) -> None:
    compared = _COMPARED.setdefault((str(path), edition), set())
    if position in compared:
        return
    if digest(hour) != made:
        if _made_from(path.parent.parent) not in ("", edition):
            raise InputError(
                f"{path.parent.parent}: the store was made anew, of other files or settings, since "
                "it was opened: start again"
            )
        raise InputError(
            f"{path}: hour {position} of it holds other numbers than prepare wrote; {remedy(path)}"
        )
    compared.add(position)


def _made_from(store: Path) -> str:
    try:
        return json.loads((store / "arrays.json").read_text(encoding="utf-8"))["made_from"]
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def forget_arrays() -> None:
    """Before arrays are made anew: this process may hold maps of those at the same paths."""
    _open.cache_clear()
    _COMPARED.clear()


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
