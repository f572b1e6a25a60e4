"""Runs whose rain is to stand beside an ensemble that is verified: drawn where that one is."""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import netCDF4

from jaxrain.config import override
from jaxrain.downscaler import Downscaler, load
from jaxrain.ensemble_file import write_ensemble
from jaxrain.ensembles.consistency import nothing_held
from jaxrain.errors import InputError
from jaxrain.fingerprint import fingerprint
from jaxrain.pairs.cases import Case, piece
from jaxrain.pairs.recipe import BESIDE_KEYS
from jaxrain.training.mesh import keep_compiled_programs
from jaxrain.verification.beside import is_run
from jaxrain.verification.forecast import Forecast
from jaxrain.verification.truth import area_of, store_index, store_of, truth_from_store

# Attributes that say where an ensemble's predictors came from, the same of both.
_ORIGIN = ("jaxrain_store", "jaxrain_split", "jaxrain_box")
_MADE_BY = "jaxrain_made_by"  # of all that defines a file: one that has it is ours, and replaced

# What the predictors of a store hang on.
_PREDICTORS = ("variables", "levels", "interpolate_levels", "derive_humidity", "coarsen")


@dataclasses.dataclass(frozen=True, eq=False)
class RunBeside:
    """A run that is to draw, with what it is to draw.

    Attributes:
      name: what stands beside is called.
      downscaler: the run, with its own settings.
      cases: of the forecast that it is to stand beside.
      origin: attributes of that forecast.
      output: where its rain is written.
    """

    name: str
    downscaler: Downscaler
    cases: Sequence[Case]
    origin: dict[str, str]
    output: Path

    def draw(self) -> Path:
        """Draws the file, or takes the one that is there, if all that defines it is the same."""
        made_by = self._made_by()
        if self.output.exists() and _attribute(self.output, _MADE_BY) == made_by:
            print(f"{self.name}: {self.output}, drawn before", flush=True)
            return self.output
        print(
            f"{self.name}: drawn with {self.downscaler.run} (step {self.downscaler.step})",
            flush=True,
        )
        keep_compiled_programs()
        origin = self.origin | {_MADE_BY: made_by}
        write_ensemble(self.downscaler, self.cases, self.output, origin, overwrite=True)
        return self.output

    def _made_by(self) -> str:
        settings = self.downscaler.config.sample
        told = fingerprint(self.downscaler, self.cases, settings) | {
            "members": str(settings.numbers),
            "products": str((settings.products, settings.thresholds_mm)),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def runs_beside(forecast: Forecast, named: Mapping[str, Path], folder: Path) -> list[RunBeside]:
    """Looks whether runs can draw the hours and points of a forecast.

    Args:
      forecast: what is verified, drawn from a store's hours.
      named: all that is to stand beside it, files and runs, by name.
      folder: where files of runs are to be written, as beside/NAME.nc.

    Raises:
      InputError: a run that can't be read or was trained with other predictors, or the forecast's
        store is gone or it came from elsewhere, or a file would be lost.
    """
    found = []
    for name, run in named.items():
        if not is_run(run):
            continue
        try:
            found.append(_run_beside(forecast, name, run, folder / "beside"))
        except InputError as error:
            raise InputError(f"--beside {name}={run}: {error}") from None
    for each in found:
        for path in (forecast.path, *named.values()):
            if each.output.exists() and path.exists() and each.output.samefile(path):
                raise InputError(
                    f"--beside {each.name}={named[each.name]} would be written over {path}, which "
                    "is asked for too: choose another name"
                )
    return found


def _run_beside(forecast: Forecast, name: str, run: Path, folder: Path) -> RunBeside:
    elsewhere = f"draw it with `python -m jaxrain.sample {run}` and give its file"
    try:
        store = store_of(forecast)
        truth_from_store(forecast, store)  # refuses hours and points that are not there
    except InputError as error:
        raise InputError(
            f"{str(error).split(': give')[0].split('; give')[0]}; {elsewhere}"
        ) from None
    downscaler = load(run, [override("data.store", str(store.path))])
    made, trained = (each["config"] for each in (store.manifest, downscaler.manifest))
    for key in (*_PREDICTORS, *BESIDE_KEYS):
        if made.get(key) != trained.get(key):
            raise InputError(
                f"trained with data.{key}={trained.get(key)}, and {store.path}, which "
                f"{forecast.path} was drawn from, has {made.get(key)}; {elsewhere}"
            )
    output = folder / f"{name}.nc"
    if output.exists() and _attribute(output, _MADE_BY) is None:
        raise InputError(f"{output} is there already and is none of ours: move it away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made ({error.strerror})") from None
    cases = []
    for case in forecast.cases:
        area = area_of(case, store)
        indices = [store_index(area, case, hour) for hour in range(len(case.hours))]
        where = (area, indices, case.origin, case.grid.shape, case.name)
        cases.append(piece(store, *where, truth=False))
    settings = downscaler.config.sample
    said = [note for case in cases for note in nothing_held(case, settings.consistency)]
    for line in filter(None, [downscaler.caveat(settings), *said]):
        print(f"warning: {name}: {line}", file=sys.stderr)
    told = forecast.attributes.items()
    origin = {key: str(value) for key, value in told if key in _ORIGIN}
    return RunBeside(name, downscaler, cases, origin, output)


def _attribute(path: Path, name: str) -> str | None:
    """A global attribute of a NetCDF file; None where it has none, or is no such file."""
    try:
        with netCDF4.Dataset(path) as file:
            return str(file.getncattr(name)) if name in file.ncattrs() else None
    except OSError:
        return None
