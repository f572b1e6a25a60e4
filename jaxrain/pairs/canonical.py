"""First stage: every input file to its canonical CF-NetCDF, and a list of them.

The list, STORE/netcdf/files.json, is what the second stage needs: the input files may be gone then.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.pairs.contents import Contents, contents_of, grid_of
from jaxrain.pairs.progress import Say, watched
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.sources import Role, Source, find_files, reading_of, source_of
from jaxrain.pairs.store import save_json
from jaxrain.pairs.workers import Run

Read = tuple[Source, Contents]

_AGAIN = "run `python -m jaxrain.prepare --stage netcdf` with the same config"


def roles_of(config: DataConfig) -> list[Role]:
    """The kinds of input files that a config needs."""
    return ["fine"] if config.coarsen else ["fine", "coarse"]


def find_all(config: DataConfig) -> list[tuple[Role, Path]]:
    """All input files; fine ones first, each role in order of its paths.

    Raises:
      InputError: as `find_files`.
    """
    return [(role, path) for role in roles_of(config) for path in find_files(config, role)]


def make_all_canonical(config: DataConfig, run: Run, say: Say) -> list[Read]:
    """Makes the canonical files that are not there yet, and their list.

    Returns:
      All input files and what their canonical files hold; fine ones first, each role in order of
      its paths.

    Raises:
      InputError: as `find_files` and `read_source`, of the first file in this order that is at
        fault.
    """
    found = find_all(config)
    read = run(partial(convert, config=config), found, [str(path) for _, path in found])
    everything = list(watched(read, len(found), "files read", say))
    save_list(config, [source for source, _ in everything])
    return everything


def convert(file: tuple[Role, Path], config: DataConfig) -> Read:
    """Makes a file's canonical copy where it is not there yet; returns what it holds."""
    # Here and below loaded by who reads, see `reading`.
    from jaxrain.pairs.reading import is_canonical, read_source, write_canonical

    source = source_of(*file, config)
    if is_canonical(source, config):
        return source, contents_of_canonical(source)
    dataset = read_source(source, config)
    write_canonical(dataset, source, config)
    return source, contents_of(dataset)


def contents_of_canonical(source: Source) -> Contents:
    """What a file's canonical copy holds."""
    from jaxrain.weather.netcdf import open_netcdf

    with open_netcdf(source.canonical) as dataset:
        return contents_of(dataset)


def grid_of_canonical(source: Source) -> Grid:
    """The grid of a file's canonical copy."""
    from jaxrain.weather.netcdf import open_netcdf

    with open_netcdf(source.canonical) as dataset:
        return grid_of(dataset)


def file_entry(source: Source, config: DataConfig) -> dict[str, Any]:
    """A file as manifests name it."""
    return {
        "role": source.role,
        "name": source.name,
        "path": str(source.path),
        "netcdf": source.canonical.relative_to(Path(config.store)).as_posix(),
        "sha256": source.sha256,
        "bytes": source.size,
    }


def save_list(config: DataConfig, sources: list[Source]) -> None:
    """Writes which canonical files there are and how they were read."""
    content = _settings(config) | {"files": [file_entry(source, config) for source in sources]}
    save_json(_list_path(config), content)


def reopen_all_canonical(config: DataConfig, run: Run, say: Say) -> list[Read]:
    """The canonical files of an earlier first stage, without the input files.

    Raises:
      InputError: there was none, it read the files in another way, or a file is gone.
    """
    path = _list_path(config)
    if not path.exists():
        raise InputError(f"{path} is not there, so no canonical NetCDF is finished: {_AGAIN}")
    content = json.loads(path.read_text(encoding="utf-8"))
    for key, value in _settings(config).items():
        if content[key] != value:
            raise InputError(f"{path} tells of files with another {key} than the config: {_AGAIN}")
    sources = [
        Source(
            role=entry["role"],
            path=Path(entry["path"]),
            name=entry["name"],
            canonical=Path(config.store) / entry["netcdf"],
            sha256=entry["sha256"],
            size=entry["bytes"],
        )
        for entry in content["files"]
    ]
    read = run(partial(_reopen, config=config), sources, [str(each.canonical) for each in sources])
    return list(watched(read, len(sources), "canonical files looked through", say))


def _reopen(source: Source, config: DataConfig) -> Read:
    from jaxrain.pairs.reading import is_canonical

    if not is_canonical(source, config):
        raise InputError(f"{source.canonical} is gone or was made otherwise: {_AGAIN}")
    return source, contents_of_canonical(source)


def _settings(config: DataConfig) -> dict[str, Any]:
    """What the list depends on, as JSON has it."""
    settings = {
        "choice of files": {"fine": config.fine, "coarse": config.coarse, "not": config.exclude},
        "reading": {role: reading_of(config, role) for role in roles_of(config)},
    }
    return json.loads(json.dumps(settings))


def _list_path(config: DataConfig) -> Path:
    return Path(config.store) / "netcdf" / "files.json"
