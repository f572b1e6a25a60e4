"""Files to a finished store, in stages that can each be killed and gone on with.

Files -> canonical CF-NetCDF -> days of .npy -> statistics, audit -> manifest.json, which is
written last. Whatever is whole is not made again; whatever is there is whole.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

import jaxrain
from jaxrain.errors import InputError
from jaxrain.grids.regrid import block_mean
from jaxrain.pairs.audit.report import read_report, write_report
from jaxrain.pairs.audit.survey import Survey
from jaxrain.pairs.audit.table import audit_table
from jaxrain.pairs.pairing import Hour, PairedArea, Pairing, pair
from jaxrain.pairs.placement import BLOCK, cover
from jaxrain.pairs.progress import watched
from jaxrain.pairs.recipe import ARRAY_KEYS, DataConfig
from jaxrain.pairs.sources import ReadHour, Source, canonical_reader, find_sources, make_canonical
from jaxrain.pairs.statistics import share_beyond, tally_hours, training_statistics
from jaxrain.pairs.store import (
    FORMAT,
    Store,
    check_manifest,
    open_areas,
    read_manifest,
    recipe_of,
    save_grid,
    save_json,
)
from jaxrain.weather.demo import write_demo
from jaxrain.weather.variables import VARIABLES, channel_names, check_predictors, on_levels

Say = Callable[[str], None]

_DTYPES = {"fine": "<f4", "cover": "|u1", "coarse": "<f4"}


def prepare(config: DataConfig, say: Say = print) -> Path:
    """Makes the store that a config asks for, or brings it up to date.

    Args:
      config: the data section.
      say: takes a line of progress.

    Returns:
      The store's folder, with a manifest.

    Raises:
      InputError: the files or the config have a fault that the user can mend; what was finished
        stays, and nothing is half-written.
    """
    path = Path(config.store)
    check_predictors(config.variables)
    _refuse_another(path, config)
    if config.demo:
        say(f"the embedded demo weather is under {config.root}")
        write_demo(config.root)
    sources = find_sources(config, ["fine"] if config.coarsen else ["fine", "coarse"])
    made_from = _made_from(config, sources)
    found = read_report(path)
    if found is not None and _finished(path, config, made_from):
        say(f"{path} is up to date")
        say(audit_table(found))
        return path
    for source in watched(sources, "files read", say):
        make_canonical(source, config)
    pairing = pair(config, sources)
    _write_arrays(path, config, made_from, pairing, say)
    manifest = _describe(config, sources, pairing) | {"made_from": made_from}
    store = Store(path, manifest, open_areas(path, manifest))
    survey = Survey(store.areas, store.channels, config)
    tallies = tally_hours(store, config, survey.add)
    manifest["statistics"] = training_statistics(store, config, tallies["train"])
    manifest["statistics"]["target"]["test_share_beyond"] = share_beyond(store, config, "test")
    found = write_report(store, config, pairing, tallies, survey)
    save_json(path / "manifest.json", manifest)
    say(audit_table(found))
    return path


def _refuse_another(path: Path, config: DataConfig) -> None:
    """A store of other variables, levels or hours is not overwritten: it may have cost days."""
    if path.exists() and not path.is_dir():
        raise InputError(f"data.store={path} is a file, expected a folder: name another")
    if (path / "manifest.json").exists():
        check_manifest(read_manifest(path), config, str(path), ARRAY_KEYS)


def _made_from(config: DataConfig, sources: list[Source]) -> str:
    """One hash of all that the arrays depend on: the config and the files' content."""
    recipe = {key: value for key, value in recipe_of(config).items() if key in ARRAY_KEYS}
    files = [[source.name, source.sha256] for source in sources]
    return hashlib.sha256(json.dumps([recipe, files], sort_keys=True).encode()).hexdigest()


def _finished(path: Path, config: DataConfig, made_from: str) -> bool:
    if not (path / "manifest.json").exists():
        return False
    manifest = read_manifest(path)
    return manifest["made_from"] == made_from and manifest["config"] == recipe_of(config)


def _write_arrays(
    path: Path, config: DataConfig, made_from: str, pairing: Pairing, say: Say
) -> None:
    """Writes the days that are not there yet; arrays made from other files are removed first."""
    mark = path / "arrays.json"
    if not mark.exists() or json.loads(mark.read_text())["made_from"] != made_from:
        # A manifest must never describe arrays that are about to change.
        (path / "manifest.json").unlink(missing_ok=True)
        for array in path.glob("area*/*.npy"):
            array.unlink()
        save_json(mark, {"made_from": made_from})
    for area in pairing.areas:
        folder = path / area.name
        folder.mkdir(parents=True, exist_ok=True)
        save_grid(folder, "fine", area.fine_grid)
        save_grid(folder, "coarse", area.coarse_grid)
    days = [
        (path / area.name, day, hours, area, config)
        for area in pairing.areas
        for day, hours in _days(area).items()
        if not (path / area.name / f"coarse_{day}.npy").exists()
    ]
    for day in watched(days, "days written", say):
        _write_day(*day)


def _write_day(
    folder: Path, day: str, hours: list[Hour], area: PairedArea, config: DataConfig
) -> None:
    channels = channel_names(config.variables, config.levels)
    shapes = {
        "fine": area.fine_grid.shape,
        "cover": (2, *(-(-size // BLOCK) for size in area.fine_grid.shape)),
        "coarse": (len(channels), *area.coarse_grid.shape),
    }
    partial = {kind: folder / f".{kind}_{day}.npy.partial" for kind in shapes}
    try:
        with ExitStack() as stack:
            read = stack.enter_context(canonical_reader())
            files = {kind: stack.enter_context(partial[kind].open("wb")) for kind in shapes}
            for kind, shape in shapes.items():
                _write_header(files[kind], _DTYPES[kind], (len(hours), *shape))
            # Hour by hour and not through a memory map: memory stays small, and a full disk is
            # an error here, where a map would kill the process.
            for hour in hours:
                fine = _fine(hour, area, read)
                fields = {
                    "fine": fine,
                    "cover": cover(fine),
                    "coarse": _coarse(hour, fine, config, read),
                }
                for kind, values in fields.items():
                    files[kind].write(np.ascontiguousarray(values, _DTYPES[kind]).tobytes())
        # The coarse day is renamed last: where it is, the others are.
        for kind in shapes:
            partial[kind].replace(folder / f"{kind}_{day}.npy")
    finally:
        for file in partial.values():
            file.unlink(missing_ok=True)


def _write_header(file: BinaryIO, dtype: str, shape: tuple[int, ...]) -> None:
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _fine(hour: Hour, area: PairedArea, read: ReadHour) -> np.ndarray:
    height, width = area.fine_grid.shape
    rain = read(hour.fine.source.canonical, "rain", hour.fine.index)
    return rain[:height, :width]


def _coarse(hour: Hour, fine: np.ndarray, config: DataConfig, read: ReadHour) -> np.ndarray:
    if config.coarsen:
        return block_mean(fine, config.coarsen)[None]
    fields = []
    for variable in config.variables:
        place = hour.coarse[variable]
        field = read(place.source.canonical, variable, place.index)
        fields.append(field if on_levels(variable) else field[None])
    return np.concatenate(fields)


def _days(area: PairedArea) -> dict[str, list[Hour]]:
    days: dict[str, list[Hour]] = {}
    for hour in area.hours:
        days.setdefault(str(hour.time.astype("datetime64[D]")).replace("-", ""), []).append(hour)
    return days


def _describe(config: DataConfig, sources: list[Source], pairing: Pairing) -> dict[str, Any]:
    """The manifest, but for the statistics."""
    channels = channel_names(config.variables, config.levels)
    units = {name: VARIABLES[name.rstrip("0123456789")].units for name in channels}
    return {
        "format": FORMAT,
        "jaxrain_version": jaxrain.__version__,
        "config": recipe_of(config),
        "variables": list(config.variables),
        "levels": [int(level) for level in config.levels],
        "channels": channels,
        "units": units | {"fine_rain": VARIABLES["rain"].units},
        "areas": [
            {
                "name": area.name,
                "projected": area.fine_grid.projected,
                "fine_shape": list(area.fine_grid.shape),
                "coarse_shape": list(area.coarse_grid.shape),
                "fine_extent": area.fine_grid.extent(),
                "coarse_extent": area.coarse_grid.extent(),
            }
            for area in pairing.areas
        ],
        "hours": [
            {
                "area": area.name,
                "time": str(hour.time),
                "split": hour.split,
                "sources": _source_names(hour),
                "day": day,
                "index": index,
            }
            for area in pairing.areas
            for day, hours in _days(area).items()
            for index, hour in enumerate(hours)
        ],
        "files": [
            {
                "role": source.role,
                "name": source.name,
                "path": str(source.path),
                "netcdf": source.canonical.relative_to(Path(config.store)).as_posix(),
                "sha256": source.sha256,
                "bytes": source.size,
            }
            for source in sources
        ],
    }


def _source_names(hour: Hour) -> list[str]:
    names = [hour.fine.source.name] + [place.source.name for place in hour.coarse.values()]
    return list(dict.fromkeys(names))
