"""The report of a verification: `scores.json`, `index.html`, and two of its pictures."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from jaxrain.errors import InputError
from jaxrain.pages.pictures import png
from jaxrain.verification import figures, page
from jaxrain.verification.baselines import Baseline
from jaxrain.verification.breakdown import Field
from jaxrain.verification.browser import make_reel
from jaxrain.verification.forecast import Forecast
from jaxrain.verification.fractions import WINDOWS_KM
from jaxrain.verification.gauge_scores import GaugeScores
from jaxrain.verification.maps import Scene, map_figure, scene, telling_fields
from jaxrain.verification.metrics import (
    FRACTION_MEANINGS,
    MEANINGS,
    SKILL_MEANINGS,
    THRESHOLD_MEANINGS,
)
from jaxrain.verification.part_figures import bias_figure, diurnal_figure
from jaxrain.verification.points import THRESHOLDS_MM
from jaxrain.verification.probability_figures import probability_figure
from jaxrain.verification.scoring import MODEL, Verification, read_systems
from jaxrain.verification.truth import Truth
from jaxrain.whole import whole_file


def report_folder(path: str | Path) -> Path:
    """The report's folder, not yet made: asked before the work, so that it is not done in vain.

    Raises:
      InputError: a file lies there, or above it.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder for the report: give another")
    nearest = next((each for each in folder.parents if each.exists()), Path())
    if not nearest.is_dir():
        raise InputError(f"--report {folder}: {nearest} is no folder; choose another")
    return folder


def write_report(
    folder: Path,
    found: Verification,
    forecast: Forecast,
    truth: Truth,
    baselines: dict[str, Baseline],
    gauges: Sequence[GaugeScores] = (),
    notes: Sequence[str] = (),
) -> Path:
    """Writes scores.json, index.html, maps.png and spectra.png, each whole or not at all.

    Args:
      folder: where; made where it isn't there, its files of these names are replaced.
      found: from `verify`.
      forecast: still open: a few hours are read again for their maps.
      truth: what came.
      baselines: as given to `verify`.
      gauges: scores at gauges, where there are any.
      notes: what was left out, and why.

    Returns:
      The page's path.
    """
    maps = []
    for field, why in telling_fields(found.fields):
        shown = _scene(forecast, field, truth, baselines)
        maps.append((shown.title, why, png(map_figure(shown))))
    day = diurnal_figure(found)
    names, grids = zip(*((case.name, case.grid) for case in forecast.cases), strict=True)
    pictures = page.Pictures(
        maps=maps,
        spectra=png(figures.spectrum_figure(found)),
        ranks=png(figures.rank_figure(found)),
        probabilities=png(probability_figure(found)),
        skill=png(figures.skill_figure(found)),
        bias=png(bias_figure(found, list(names), list(grids))),
        day=png(day) if day else None,
    )
    reel = make_reel(forecast, truth, baselines, found.fields)
    attributes = {name: str(value) for name, value in forecast.attributes.items()}
    html = page.render(found, forecast.path.name, attributes, pictures, reel, gauges, notes)
    scores = scores_json(found, forecast.path.name, attributes, gauges, notes)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # by a file system that holds what the kernel tells, as /proc
        raise InputError(f"--report {folder}: cannot be made there; choose another") from None
    _write(folder / "scores.json", scores.encode())
    _write(folder / "maps.png", maps[0][2])
    _write(folder / "spectra.png", pictures.spectra)
    _write(folder / "index.html", html.encode())
    return folder / "index.html"


def scores_json(
    found: Verification,
    name: str,
    attributes: dict[str, str],
    gauges: Sequence[GaugeScores] = (),
    notes: Sequence[str] = (),
) -> str:
    """All numbers of the report as JSON text.

    `hours`, `points`, `model` and `baselines` keep their form; the rest may grow.
    """
    content = {
        "hours": found.hours,
        "points": found.points,
        "model": found.systems[MODEL],
        "baselines": {name: found.systems[name] for name in found.systems if name != MODEL},
        "crps_skill": found.skill,
        "reference": found.reference,
        "fields": len(found.fields),
        "members": found.members,
        "points_without_forecast": found.unforecast,
        "interval": {
            "level": 0.95,
            "method": f"bootstrap over {found.blocks.kind}",
            "block_hours": found.blocks.hours,
            "blocks": found.blocks.count,
        },
        "truth": found.truth,
        "thresholds_mm": THRESHOLDS_MM,
        "windows_km": WINDOWS_KM,
        "rank_histogram": found.sums[MODEL]["ranks"].tolist(),
        "reliability": {
            f"{threshold:g}mm": {
                "forecasts": found.sums[MODEL]["forecasts"][t].tolist(),
                "events": found.sums[MODEL]["events"][t].tolist(),
            }
            for t, threshold in enumerate(THRESHOLDS_MM)
        },
        "spectra": _spectra(found),
        "consecutive_pairs": int(found.sums[MODEL]["lag_pairs"]),
        "coarse_cells": int(found.sums[MODEL]["cells"]),
        "parts": [asdict(part) for part in found.parts],
        "gauges": {f"{each.hours}h": _gauges(each) for each in gauges},
        "notes": list(notes),
        "meanings": MEANINGS | SKILL_MEANINGS | THRESHOLD_MEANINGS | FRACTION_MEANINGS,
        "forecast": {"file": name, "attributes": attributes},
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _gauges(found: GaugeScores) -> dict[str, Any]:
    return {
        "sums": found.sums,
        "stations": found.stations,
        "ends": found.ends,
        "interval": f"bootstrap over {found.blocks.kind}",
        "blocks": found.blocks.count,
        "systems": found.systems,
    }


def _spectra(found: Verification) -> dict[str, Any]:
    """Mean densities [mm2 km2] at wavelengths [km]; empty where no square was complete."""
    model = found.sums[MODEL]
    squares = float(model["spectrum_squares"])
    lines = {"truth": model["truth_spectrum"], "ensemble_mean": model["mean_spectrum"]}
    lines |= {name: sums["spectrum"] for name, sums in found.sums.items()}
    return {"wavelength_km": found.wavelengths_km.tolist(), "squares": int(squares)} | {
        name: (line / squares).tolist() for name, line in lines.items() if squares > 0
    }


def _scene(forecast: Forecast, field: Field, truth: Truth, baselines: dict[str, Baseline]) -> Scene:
    case = forecast.cases[field.case]
    systems = read_systems(case, field.hour, baselines)
    end = np.datetime_as_string(field.time, unit="m").replace("T", " ")
    return scene(
        f"{case.name}, hour to {end} UTC",
        case.grid,
        truth(case, field.hour),
        *_input_of(systems),
        systems[MODEL],
        case.numbers,
    )


def _input_of(systems: dict[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """What stands beside truth and members: the coarse rain; without it, the first baseline."""
    if "nearest" in systems:
        return systems["nearest"][0], "Coarse input"
    if "bilinear" in systems:
        return systems["bilinear"][0], "Coarse input, interpolated"
    name = next(name for name in systems if name != MODEL)
    return systems[name].mean(0), f"Mean of {name}"


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(content)
