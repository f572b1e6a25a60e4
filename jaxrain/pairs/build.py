"""Files to a finished store, in stages that can each be killed and gone on with.

Files -> canonical CF-NetCDF -> days of .npy -> statistics, audit -> manifest.json, which is
written last. Whatever is whole is not made again; whatever is there is whole.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jaxrain
from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.audit.report import read_report, write_report
from jaxrain.pairs.audit.survey import Survey
from jaxrain.pairs.audit.table import audit_table
from jaxrain.pairs.axes import grid_digests
from jaxrain.pairs.canonical import (
    Read,
    file_entry,
    find_all,
    grid_of_canonical,
    make_all_canonical,
    reopen_all_canonical,
    roles_of,
)
from jaxrain.pairs.days import Day, days_of, is_written, write_day
from jaxrain.pairs.digests import SEAL, remedy, seal_of
from jaxrain.pairs.manifest import FORMAT
from jaxrain.pairs.pairing import Hour, Pairing, pair
from jaxrain.pairs.progress import Say, watched
from jaxrain.pairs.recipe import ARRAY_KEYS, DataConfig
from jaxrain.pairs.sources import Source, find_sources
from jaxrain.pairs.static_maps import (
    drop_other_arrays,
    find_statics,
    make_statics,
    same_statics,
)
from jaxrain.pairs.statistics import share_beyond, tally_hours, training_statistics
from jaxrain.pairs.store import (
    Store,
    check_manifest,
    digests_file,
    forget_arrays,
    open_areas,
    read_manifest,
    recipe_of,
    save_grid,
    save_json,
)
from jaxrain.pairs.workers import IN_THIS_PROCESS, PrepareConfig, Run, workforce
from jaxrain.weather.variables import VARIABLES, channel_names, check_predictors
from jaxrain.whole import remove_partial_files

Stage = Literal["netcdf", "arrays"]


def prepare(
    config: DataConfig,
    say: Say = print,
    *,
    stage: Stage | None = None,
    work: PrepareConfig = IN_THIS_PROCESS,
) -> Path:
    """Makes the store that a config asks for, or brings it up to date.

    Args:
      config: the data section.
      say: takes a line of progress.
      stage: 'netcdf' ends with the canonical files; 'arrays' starts from them and needs no input
        file. None does both.
      work: who does the work; what is made does not depend on it.

    Returns:
      The store's folder; with a manifest, but for the stage 'netcdf'.

    Raises:
      InputError: the files or the config have a fault that the user can mend; what was finished
        stays, and nothing is half-written.
    """
    path = Path(config.store)
    check_before(config, work)
    if stage != "arrays":
        if config.demo:
            say(f"the embedded demo weather is under {config.root}")
            from jaxrain.weather.demo import write_demo  # brings ecCodes

            write_demo(config.root)
        find_all(config)  # a mistyped glob leaves no folder behind
    statics = find_statics(config)
    found = read_report(path)
    if stage is None and found is not None and _finished(path, config, statics):
        say(f"{path} is up to date")
        say(audit_table(found))
        return path
    with _alone(path), workforce(work) as run:
        make = reopen_all_canonical if stage == "arrays" else make_all_canonical
        read = make(config, run, say)
        if stage != "netcdf":
            _make_store(path, config, read, statics, run, say)
    return path


def check_before(config: DataConfig, work: PrepareConfig) -> None:
    """Refuses what is wrong whatever the files hold.

    Raises:
      InputError: names it.
    """
    check_predictors(config.variables)
    _refuse_another(Path(config.store), config)
    if work.cluster is not None:
        for key in ("root", "store"):
            value = getattr(config, key)
            if not Path(value).is_absolute():
                raise InputError(
                    f"data.{key}={value} is a relative path, which workers of the cluster "
                    f"{work.cluster} may take from another folder: give an absolute one"
                )


def _make_store(
    path: Path,
    config: DataConfig,
    read: list[Read],
    statics: list[dict[str, Any]],
    run: Run,
    say: Say,
) -> None:
    """The second stage, the statistics and the audit."""
    sources = [source for source, _ in read]
    made_from = _made_from(config, sources)

    def load_grid(source: Source) -> Grid:
        (grid,) = run(grid_of_canonical, [source], [str(source.canonical)])
        return grid

    pairing = pair(config, read, load_grid)
    trained = [(area, any(h.split == "train" for h in area.hours)) for area in pairing.areas]
    beside = make_statics(path, config, statics, trained, say)
    write_arrays(path, config, made_from, pairing, run, say)
    manifest = describe(config, sources, pairing) | {"made_from": made_from} | beside
    store = Store(path, manifest, open_areas(path, manifest))
    survey = Survey(store.areas, store.channels, config)
    tallies = tally_hours(store, config, run, survey)
    manifest["statistics"] = training_statistics(store, config, tallies["train"])
    manifest["statistics"]["target"]["test_share_beyond"] = share_beyond(store, config, "test", run)
    found = write_report(store, config, pairing, tallies, survey, run)
    for hour in manifest["hours"]:
        hour["digests"] = hour["digests"] or survey.digests[hour["area"]][hour["time"]]
    manifest[SEAL] = seal_of(manifest)
    save_json(path / "manifest.json", manifest)
    drop_other_arrays(path, manifest)
    say(audit_table(found))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps a second run off a store, and clears away what a killed one left half-written.

    Raises:
      InputError: another run is at work on it.
    """
    path.mkdir(parents=True, exist_ok=True)
    folder = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system drops it with us
        except BlockingIOError:
            raise InputError(
                f"data.store={path}: another run of prepare is at work on it: wait for its end, or "
                "name another store"
            ) from None
        remove_partial_files(path)
        yield
    finally:
        os.close(folder)


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


def _finished(path: Path, config: DataConfig, statics: list[dict[str, Any]]) -> bool:
    """Whether the store is there, made from these files as they are now."""
    if not (path / "manifest.json").exists():
        return False
    manifest = read_manifest(path)
    made_from = _made_from(config, find_sources(config, roles_of(config)))
    same = manifest["made_from"] == made_from and manifest["config"] == recipe_of(config)
    return same and same_statics(manifest, statics) and _there(path, manifest)


def _there(path: Path, manifest: dict[str, Any]) -> bool:
    """Whether no array was taken away, as a user is told to do with a damaged one."""
    try:
        areas = open_areas(path, manifest)
    except InputError:
        return False
    return all(file.exists() for area in areas for file in area.paths())


def write_arrays(
    path: Path, config: DataConfig, made_from: str, pairing: Pairing, run: Run, say: Say
) -> None:
    """Writes the days that are not there yet; arrays made from other files are removed first."""
    forget_arrays()
    mark = path / "arrays.json"
    if not mark.exists() or json.loads(mark.read_text())["made_from"] != made_from:
        # A manifest must never describe arrays that are about to change.
        (path / "manifest.json").unlink(missing_ok=True)
        for made in (*path.glob("area*/*.npy"), *path.glob("area*/digests_*.json")):
            made.unlink()
        save_json(mark, {"made_from": made_from})
    for area in pairing.areas:
        folder = path / area.name
        folder.mkdir(parents=True, exist_ok=True)
        save_grid(folder, "fine", area.fine_grid)
        save_grid(folder, "coarse", area.coarse_grid)
    days = [day for area in pairing.areas for day in days_of(area, path) if not is_written(day)]
    written = run(
        partial(write_day, config=config), days, [f"{day.folder}, day {day.name}" for day in days]
    )
    for _ in watched(written, len(days), "days written", say):
        pass


def describe(config: DataConfig, sources: list[Source], pairing: Pairing) -> dict[str, Any]:
    """The manifest, but for the statistics and the hash of what it was made from."""
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
                "digests": grid_digests("fine", area.fine_grid)
                | grid_digests("coarse", area.coarse_grid),
            }
            for area in pairing.areas
        ],
        "hours": [
            {
                "area": area.name,
                "time": str(hour.time),
                "split": hour.split,
                "sources": _source_names(hour),
                "day": day.name,
                "index": index,
                "digests": digests,
            }
            for area in pairing.areas
            for day in days_of(area, Path(config.store))
            for index, (hour, digests) in enumerate(zip(day.hours, _digests(day), strict=True))
        ],
        "files": [file_entry(source, config) for source in sources],
    }


def _digests(day: Day) -> list[dict[str, str]]:
    """Hashes of a day's hours; nothing is known of days from before they were kept."""
    file = digests_file(day.folder, day.name)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [{} for _ in day.hours]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no JSON ({error}); {remedy(file)}") from None
    hours = found if isinstance(found, list) else []
    known = [isinstance(hour, dict) and set(map(type, hour.values())) <= {str} for hour in hours]
    if len(known) != len(day.hours) or not all(known):
        raise InputError(f"{file}: expected hashes of {len(day.hours)} hours; {remedy(file)}")
    return found


def _source_names(hour: Hour) -> list[str]:
    names = [hour.fine.source.name] + [place.source.name for place in hour.coarse.values()]
    return list(dict.fromkeys(names))
