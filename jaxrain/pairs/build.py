"""Files to a finished store, in stages that can each be killed and gone on with.

Files -> canonical CF-NetCDF -> days of .npy -> statistics, audit -> manifest.json, which is
written last. Whatever is whole is not made again; whatever is there is whole.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import jaxrain
from jaxrain.errors import InputError
from jaxrain.grids.regrid import block_mean
from jaxrain.pairs.audit import audit, audit_table
from jaxrain.pairs.pairing import Hour, PairedArea, Pairing, pair
from jaxrain.pairs.placement import cover
from jaxrain.pairs.recipe import ARRAY_KEYS, DataConfig
from jaxrain.pairs.sources import Source, find_files, find_sources, make_canonical, read_hour
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
from jaxrain.weather.variables import VARIABLES, channel_names, check_predictors, on_levels

Say = Callable[[str], None]


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
    if config.demo and not _has_files(config):
        say(f"writing the embedded demo weather under {config.root}")
        from jaxrain.weather.demo import write_demo

        write_demo(Path(config.root))
    sources = find_sources(config, ["fine"] if config.coarsen else ["fine", "coarse"])
    for count, source in enumerate(sources, 1):
        if make_canonical(source, config):
            say(f"[{count}/{len(sources)}] read {source.path}")
    pairing = pair(config, sources)
    _write_arrays(path, config, sources, pairing, say)
    manifest = _describe(config, sources, pairing)
    store = Store(path, manifest, open_areas(path, manifest))
    tallies = tally_hours(store, config)
    manifest["statistics"] = training_statistics(store, config, tallies["train"])
    manifest["statistics"]["target"]["test_share_beyond"] = share_beyond(store, config, "test")
    summary = audit(store, config, pairing, tallies)
    save_json(path / "audit.json", summary)
    save_json(path / "manifest.json", manifest)
    say(audit_table(summary))
    return path


def _refuse_another(path: Path, config: DataConfig) -> None:
    """A store of other variables, levels or hours is not overwritten: it may have cost days."""
    if path.exists() and not path.is_dir():
        raise InputError(f"data.store={path} is a file, expected a folder: name another")
    if (path / "manifest.json").exists():
        check_manifest(read_manifest(path), config, str(path), ARRAY_KEYS)


def _has_files(config: DataConfig) -> bool:
    try:
        return bool(find_files(config, "fine") and find_files(config, "coarse"))
    except InputError:
        return False


def _write_arrays(
    path: Path, config: DataConfig, sources: list[Source], pairing: Pairing, say: Say
) -> None:
    """Writes the days that are not there yet; arrays made from other files are removed first."""
    recipe = {key: value for key, value in recipe_of(config).items() if key in ARRAY_KEYS}
    files = [source.sha256 for source in sources]
    mark = hashlib.sha256(json.dumps([recipe, files], sort_keys=True).encode()).hexdigest()
    made_from = path / "arrays.json"
    if not made_from.exists() or json.loads(made_from.read_text())["made_from"] != mark:
        # A manifest must never describe arrays that are about to change.
        (path / "manifest.json").unlink(missing_ok=True)
        for array in path.glob("area*/*.npy"):
            array.unlink()
        save_json(made_from, {"made_from": mark})
    for area in pairing.areas:
        folder = path / area.name
        folder.mkdir(parents=True, exist_ok=True)
        save_grid(folder, "fine", area.fine_grid)
        save_grid(folder, "coarse", area.coarse_grid)
        for day, hours in _days(area).items():
            if not (folder / f"coarse_{day}.npy").exists():
                _write_day(folder, day, hours, area, config)
                say(f"{area.name}: wrote {day} ({len(hours)} hours)")


def _write_day(
    folder: Path, day: str, hours: list[Hour], area: PairedArea, config: DataConfig
) -> None:
    channels = channel_names(config.variables, config.levels)
    blocks = cover(np.zeros(area.fine_grid.shape, np.float32)).shape
    shapes = {
        "fine": (np.float32, area.fine_grid.shape),
        "cover": (np.uint8, blocks),
        "coarse": (np.float32, (len(channels), *area.coarse_grid.shape)),
    }
    partial = {kind: folder / f".{kind}_{day}.npy.partial" for kind in shapes}
    arrays = {
        kind: np.lib.format.open_memmap(
            partial[kind], mode="w+", dtype=dtype, shape=(len(hours), *shape)
        )
        for kind, (dtype, shape) in shapes.items()
    }
    try:
        for index, hour in enumerate(hours):
            fine = _fine(hour, area)
            arrays["fine"][index] = fine
            arrays["cover"][index] = cover(fine)
            arrays["coarse"][index] = _coarse(hour, fine, config)
        for kind, array in arrays.items():
            array.flush()
            # The coarse day is renamed last: where it is, the others are.
            partial[kind].replace(folder / f"{kind}_{day}.npy")
    finally:
        for file in partial.values():
            file.unlink(missing_ok=True)


def _fine(hour: Hour, area: PairedArea) -> np.ndarray:
    height, width = area.fine_grid.shape
    rain = read_hour(hour.fine.source.canonical, "rain", hour.fine.index)
    return rain[:height, :width]


def _coarse(hour: Hour, fine: np.ndarray, config: DataConfig) -> np.ndarray:
    if config.coarsen:
        return block_mean(fine, config.coarsen)[None]
    fields = []
    for variable in config.variables:
        place = hour.coarse[variable]
        field = read_hour(place.source.canonical, variable, place.index)
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
                "sha256": source.sha256,
                "bytes": source.size,
            }
            for source in sources
        ],
    }


def _source_names(hour: Hour) -> list[str]:
    names = [hour.fine.source.name] + [place.source.name for place in hour.coarse.values()]
    return list(dict.fromkeys(names))
