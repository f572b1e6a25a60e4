"""What is fuzzed: whole files of each kind, and the readers that a command would call on them."""

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from jaxrain.config import Config, config_text, load_config
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.store import open_areas, open_store, read_manifest, recipe_of
from jaxrain.training.portable import Portable, read_portable, write_safetensors
from jaxrain.training.progress import read_progress
from jaxrain.training.recognise import split_state
from jaxrain.training.saved import FOLDER, read_loader_state, whole_step
from jaxrain.training.seal import FILE, write_seal
from jaxrain.verification.stations import read_stations
from jaxrain.weather.npy_files import read_coarse_npy, read_fine_npy
from jaxrain.weather.npy_layout import NpyFolders

_STEP = 7
_CHECKPOINT = f"run/{FOLDER}/{_STEP}"
_Files = dict[str, bytes]


def _whole(content: bytes) -> None:
    """Damage may lie anywhere in the file."""


def _nothing(folder: Path) -> None:
    """No file has to be made to fit the damaged one."""


@dataclass(frozen=True)
class Subject:
    """A kind of file.

    Attributes:
      name: of the subject.
      files: makes whole ones, by path.
      victims: those that are damaged.
      read: reads the damaged file, or all of its folder, as a command would.
      header: how many bytes from the start are damaged; None for all.
      mend: what is done after the damage, as a seal that fits again.
    """

    name: str
    files: Callable[[], _Files]
    victims: tuple[str, ...]
    read: Callable[[Path, str], Any]
    header: Callable[[bytes], int | None] = field(default=_whole)
    mend: Callable[[Path], None] = field(default=_nothing)


def _config_files() -> _Files:
    folder = Path(__file__).parents[1] / "configs"
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.yaml"))}
    return files | {"resolved.yaml": config_text(Config()).encode()}


def _read_configs(folder: Path, victim: str) -> None:
    load_config(folder / victim, ["train.steps=5"])


def _manifest() -> dict[str, Any]:
    channels = ["u850", "tp"]
    ranges: dict[str, Any] = {name: {"min": 0.0, "max": 5.0} for name in channels}
    hours = [
        {
            "area": "area0",
            "time": f"2022-06-01T0{hour}:00:00",
            "split": split,
            "sources": [f"rain_{hour}.nc"],
            "day": "20220601",
            "index": hour,
        }
        for hour, split in enumerate(("train", "train", "validation", "test"))
    ]
    return {
        "format": 1,
        "jaxrain_version": "0.1.0",
        "config": json.loads(json.dumps(recipe_of(DataConfig()))),
        "variables": ["u", "tp"],
        "channels": channels,
        "units": {"u850": "m s-1", "tp": "mm", "fine_rain": "mm"},
        "areas": [{"name": "area0", "projected": False, "fine_shape": [16, 16]}],
        "hours": hours,
        "files": [{"role": "fine", "name": "rain_0.nc", "bytes": 5}],
        "made_from": "0" * 64,
        "static": [
            {"name": "terrain", "arrays": {"area0": "terrain_0.npy"}, "low": 0.0, "high": 9.0}
        ],
        "statistics": {
            "fine_rain": {"min": 0.0, "max": 30.0},
            "target": {"std": 0.1},
            "channels": ranges,
        },
    }


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _store_files() -> _Files:
    axis = np.linspace(22, 23, 16)
    rain = np.zeros((4, 16, 16), np.float32)
    arrays: dict[str, np.ndarray] = {
        "fine_y": axis[::-1].copy(),
        "fine_x": axis,
        "coarse_y": axis[::-5].copy(),
        "coarse_x": axis[::5].copy(),
        "fine_20220601": rain,
        "coarse_20220601": np.zeros((4, 2, 4, 4), np.float32),
        "cover_20220601": np.zeros((4, 2, 2, 2), np.uint8),
    }
    files = {f"store/area0/{name}.npy": _npy(array) for name, array in arrays.items()}
    files["store/area0/mapping.json"] = json.dumps({"grid_mapping_name": "x"}).encode()
    files["store/static/terrain_0.npy"] = _npy(rain[0])
    return files | {"store/manifest.json": json.dumps(_manifest(), indent=1).encode()}


def _read_store(folder: Path, victim: str) -> None:
    store = folder / "store"
    opened = open_store(store, DataConfig())
    scaling = opened.scaling(DataConfig())
    assert len(scaling.channels) == len(opened.channels)
    manifest = read_manifest(store)
    for area in open_areas(store, manifest):
        # Whatever the manifest says, no path of it leads out of the folder.
        assert all(store in path.resolve().parents for path in area.paths()), area
        for index in range(len(area.hours)):
            for kind in (area.fine, area.coarse, area.cover):
                np.nansum(np.asarray(kind(index)))
        for static in area.statics:
            static.scaled((0, 0), (4, 4))


def _checkpoint_files() -> _Files:
    progress = {
        "next_batch": _STEP,
        "batch_size": 4,
        "seed": 0,
        "logged": 4,
        "pending": [{"loss": 0.5, "grad_norm": 1.0}],
        "bad_batches": 0,
        "losses": [0.9, 0.7],
    }
    files = {
        "run/config.yaml": config_text(Config()).encode(),
        f"{_CHECKPOINT}/loader/metadata": json.dumps(progress).encode(),
        f"{_CHECKPOINT}/params/array": bytes(range(200)),
    }
    with tempfile.TemporaryDirectory() as name:
        for path, content in files.items():
            (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / path).write_bytes(content)
        _seal(Path(name))
        return files | {f"{_CHECKPOINT}/{FILE}": (Path(name) / _CHECKPOINT / FILE).read_bytes()}


def _seal(folder: Path) -> None:
    write_seal(folder / _CHECKPOINT)


def _read_checkpoint(folder: Path, victim: str) -> None:
    run = folder / "run"
    load_config(run / "config.yaml")
    read_progress(read_loader_state(run, whole_step(run)))


def _folders() -> NpyFolders:
    axis = {"first": 22.0, "step": 0.25, "size": 4}
    names = "x_%Y%m%d%H.npy"
    of_both = {"latitude": axis, "longitude": axis, "names": names}
    return TypeAdapter(NpyFolders).validate_python(
        {
            "fine": {"channels": ["rain"], **of_both},
            "coarse": {"channels": ["u850", "tp"], "scaled": {}, **of_both},
        }
    )


def _array_files() -> _Files:
    return {
        "fine/x_2022060101.npy": _npy(np.ones((4, 4), np.float32)),
        "coarse/x_2022060101.npy": _npy(np.full((2, 4, 4), 0.5, np.float64)),
        "coarse/min_values.npy": _npy(np.zeros(2)),
        "coarse/max_values.npy": _npy(np.ones(2)),
    }


def _read_arrays(folder: Path, victim: str) -> None:
    folders = _folders()
    fine, coarse = folder / "fine/x_2022060101.npy", folder / "coarse/x_2022060101.npy"
    read_fine_npy(fine, folders, region=None, utc_offset_hours=0.0)
    read_coarse_npy(coarse, folders, variables=["u", "tp"], levels=[850], region=None)


def _npy_header(content: bytes) -> int:
    return min(128, len(content))


def _tensors_file(folder: Path) -> None:
    rng = np.random.default_rng(0)
    params = {
        "denoise_fn.noise_level_mlp.1.weight": rng.normal(size=(8, 2)).astype(np.float32),
        "denoise_fn.downs.0.weight": rng.normal(size=(2, 3, 3, 3)).astype(np.float32),
    }
    moments = {name: np.ones((2, 2), np.float32) for name in ("exp_avg", "exp_avg_sq")}
    content = Portable(
        params=params,
        ema=params,
        optimizer={"state": {0: {"step": 3, **moments}}},
        step=3,
        epoch=1,
        config=config_text(Config()),
    )
    write_safetensors(folder / "own.safetensors", content)


def _safetensors_files() -> _Files:
    with tempfile.TemporaryDirectory() as name:
        _tensors_file(Path(name))
        return {"own.safetensors": (Path(name) / "own.safetensors").read_bytes()}


def _read_tensors(folder: Path, victim: str) -> None:
    path = folder / "own.safetensors"
    content = read_portable(path)
    split_state(content.params, str(path))


def _safetensors_header(content: bytes) -> int:
    return 8 + int.from_bytes(content[:8], "little")


def _station_files() -> _Files:
    rows = [f"5928{n},2022-06-01T0{n}:00,113.{n},23.{n},{n}.5,1" for n in range(8)]
    table = "\n".join(["station,time,longitude,latitude,rain_mm,hours", *rows, ""])
    lines = [f"5928{n} 113.{n} 23.{n} 71 {n}.5" for n in range(8)]
    micaps = "\r\n".join(["diamond 3 2022年06月01日08时6小时降水量", "2022 06 01 08 8", *lines, ""])
    return {"gauges.csv": table.encode(), "gauges.000": micaps.encode("gbk")}


def _read_gauges(folder: Path, victim: str) -> None:
    read_stations([folder / "gauges.csv"])
    read_stations([folder / "gauges.000"], "beijing")


_CONFIGS = tuple(_config_files())
_AXES = tuple(f"store/area0/{name}.npy" for name in ("fine_y", "coarse_x", "fine_20220601"))
SUBJECTS = (
    Subject("config", _config_files, _CONFIGS, _read_configs),
    Subject(
        "manifest",
        _store_files,
        ("store/manifest.json",) * 4 + ("store/area0/mapping.json",),
        _read_store,
    ),
    Subject(
        "checkpoint",
        _checkpoint_files,
        tuple(f"{_CHECKPOINT}/{name}" for name in (FILE, "params/array", "loader/metadata")),
        _read_checkpoint,
    ),
    # The same with a seal that fits what was written: by hand, or by another program.
    Subject(
        "sealed",
        _checkpoint_files,
        (f"{_CHECKPOINT}/loader/metadata", "run/config.yaml"),
        _read_checkpoint,
        mend=_seal,
    ),
    Subject("npy", _array_files, tuple(_array_files()), _read_arrays, _npy_header),
    Subject(
        "store-npy", _store_files, (*_AXES, "store/static/terrain_0.npy"), _read_store, _npy_header
    ),
    Subject(
        "safetensors",
        _safetensors_files,
        ("own.safetensors",),
        _read_tensors,
        _safetensors_header,
    ),
    Subject("stations", _station_files, ("gauges.csv", "gauges.000"), _read_gauges),
)
