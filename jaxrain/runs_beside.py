"""Runs whose rain is to stand beside an ensemble that is verified: drawn where that one is."""

import sys
from collections.abc import Mapping
from pathlib import Path

from jaxrain.config import override
from jaxrain.downscaler import load
from jaxrain.ensemble_file import write_ensemble
from jaxrain.ensembles.consistency import nothing_held
from jaxrain.errors import InputError
from jaxrain.pairs.cases import Case, piece
from jaxrain.pairs.store import Store, open_store
from jaxrain.training.mesh import keep_compiled_programs
from jaxrain.verification.beside import is_run
from jaxrain.verification.forecast import Forecast
from jaxrain.verification.truth import area_of, store_index, store_of, truth_from_store

_ORIGIN = ("jaxrain_store", "jaxrain_split", "jaxrain_box")  # attributes, the same of both


def draw_runs(forecast: Forecast, named: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Draws what runs make of the hours and points of a forecast, each with its own settings.

    Args:
      forecast: what is verified, drawn from a store's hours.
      named: a file, which is passed on as it is, or a run's folder, by name.
      folder: where the files are written, as beside/NAME.nc; one that is there is replaced.

    Returns:
      The files by name.

    Raises:
      InputError: a run that can't be read or that other predictors were trained for, or the
        forecast's store is gone or it came from elsewhere.
    """
    return {
        name: _draw(forecast, name, path, folder / "beside") if is_run(path) else path
        for name, path in named.items()
    }


def _draw(forecast: Forecast, name: str, run: Path, folder: Path) -> Path:
    keep_compiled_programs()
    try:
        path = store_of(forecast).path
    except InputError as error:
        why = str(error).split(": give --truth")[0]
        raise InputError(
            f"--beside {name}={run}: {why}; draw it with `python -m jaxrain.sample {run}` from the "
            "same input and give its file"
        ) from None
    downscaler = load(run, [override("data.store", str(path))])
    store = open_store(path, downscaler.config.data)
    cases = _cases(forecast, store)
    output = folder / f"{name}.nc"
    if output.exists() and output.samefile(forecast.path):
        raise InputError(
            f"--beside {name}={run}: would be written over {forecast.path}, which is verified: "
            "choose another name"
        )
    settings = downscaler.config.sample
    said = [note for case in cases for note in nothing_held(case, settings.consistency)]
    for line in filter(None, [downscaler.caveat(settings), *said]):
        print(f"warning: {name}: {line}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{name}: drawn with {run} (step {downscaler.step})", flush=True)
    told = forecast.attributes.items()
    origin = {key: str(value) for key, value in told if key in _ORIGIN}
    write_ensemble(downscaler, cases, output, origin, overwrite=True)
    return output


def _cases(forecast: Forecast, store: Store) -> list[Case]:
    """The pieces of the store's areas that the forecast is of."""
    truth_from_store(forecast, store)  # refuses hours and points that are not there
    found = []
    for case in forecast.cases:
        area = area_of(case, store)
        indices = [store_index(area, case, hour) for hour in range(len(case.hours))]
        where = (area, indices, case.origin, case.grid.shape, case.name)
        found.append(piece(store, *where, truth=False))
    return found
