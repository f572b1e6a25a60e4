"""How far members' contrast should reach: each tried on validation windows, drawn and scored.

Members are drawn, and held to the coarse rain, as `sample` does both without a calibration, and
scored as `verify` does.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrain.downscaler import Downscaler
from jaxrain.ensembles.drawing import Item
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.errors import InputError
from jaxrain.grids.cells import points_across
from jaxrain.pairs.cases import Case, piece
from jaxrain.pairs.store import Store, save_json
from jaxrain.tuning.windows import blind_windows
from jaxrain.validation import window_tiling
from jaxrain.verification import metrics, spectra
from jaxrain.verification.points import Sums

PLAIN = "plain_crps_mm"
"""By which contrasts are compared. The fair CRPS takes members for independent draws, and those of
different contrast are made to lie apart, which it would reward whatever came."""

SCORES = {
    PLAIN: "plain CRPS [mm]",
    "crps_mm": "CRPS [mm]",
    "spread_skill": "spread/skill",
    "wet_area_ratio": "wet area, of truth's",
    "p99.9_ratio": "p99.9, of truth's",
    "spectrum_max_db": "spectrum [dB]",
}

# A window is as wide as so many patches, and as so many coarse cells, at least: the means that
# contrast goes by reach over two of them to each side, and only whole ones are held.
_PATCHES = 2
_CELLS = 8


@dataclasses.dataclass(frozen=True)
class ContrastTrial:
    """One contrast, measured.

    Attributes:
      contrast: largest power.
      scores: of SCORES by name, as `verification.metrics.MEANINGS` has them; those known.
    """

    contrast: float
    scores: dict[str, float]


def contrast_cases(downscaler: Downscaler, store: Store, count: int) -> list[Case]:
    """Windows of the validation hours, whole coarse cells wide, evenly by their coarse rain."""
    patch = downscaler.config.train.validation_size or downscaler.config.data.patch
    cell = max(
        points_across(coarse, fine)
        for area in store.areas
        for coarse, fine in (
            (area.coarse_grid.y, area.fine_grid.y),
            (area.coarse_grid.x, area.fine_grid.x),
        )
    )
    side = cell * max(_CELLS, math.ceil(_PATCHES * patch / cell))
    found = []
    for number, (area, hour, place) in enumerate(blind_windows(store, side, count, by_rain=True)):
        height, width = (min(side, length) for length in area.fine_grid.shape)
        found.append(piece(store, area, [hour], place, (height, width), f"window{number}"))
    return found


def try_contrast(
    downscaler: Downscaler, config: SampleConfig, cases: Sequence[Case]
) -> ContrastTrial:
    """Draws members of the cases and scores them together.

    Args:
      downscaler: the run.
      config: of the members; its tiles are made to fit the windows.
      cases: with their truth.

    Raises:
      InputError: the sampler or the predictors do not fit, or there is no coarse rain to be
        consistent with; or no truth is known.
    """
    widest = max(max(case.fine_grid.shape) for case in cases)
    tile, overlap = window_tiling(dataclasses.replace(downscaler.config, sample=config), widest)
    config = dataclasses.replace(config, tile=tile, overlap=overlap)
    spacings = [case.fine_grid.spacing_km() for case in cases]
    sides = [min(case.fine_grid.shape) for case in cases]
    extents = [n * d for n, d in zip(sides, spacings, strict=True)]
    waves = spectra.wavelengths(extents, spacings)
    total: Sums = {}
    for case, spacing in zip(cases, spacings, strict=True):
        assert case.truth is not None
        draw = downscaler.prepare(case, config)
        for hour, truth in enumerate(case.truth):
            rain = np.empty((config.members, *truth.shape), np.float32)
            for item, field in draw([Item(hour, member) for member in config.numbers]):
                rain[item.member - config.first_member] = field
            known = np.where(np.isfinite(rain).all(axis=0), truth, np.nan)
            if np.isfinite(known).any():
                sums = metrics.hour_sums(rain, known, spacing, waves)
                total = {name: total.get(name, 0) + each for name, each in sums.items()}
    if not total:
        raise InputError("no point of these windows of the validation hours is known to the truth")
    found = metrics.scores(total, waves)
    scores = {name: float(found[name]) for name in SCORES if name in found}
    told = {name: value for name, value in scores.items() if np.isfinite(value)}
    return ContrastTrial(config.contrast, told)


def extent(cases: Sequence[Case]) -> dict[str, int]:
    """What scores of these cases rest on: `windows`, distinct `hours` and `points`."""
    return {
        "windows": len(cases),
        "hours": len({hour for case in cases for hour in case.hours}),
        "points": sum(math.prod(case.fine_grid.shape) for case in cases),
    }


def fitting(trials: Sequence[ContrastTrial], tolerance: float) -> ContrastTrial:
    """Of those whose plain CRPS is at most `tolerance` (a share) above the best, the one whose
    spread / skill is nearest to 1, by its logarithm; where that is not known, the best CRPS. Of
    equals the least contrast."""
    least = min(trial.scores[PLAIN] for trial in trials)
    good = [trial for trial in trials if trial.scores[PLAIN] <= least * (1 + tolerance)]
    if not all(trial.scores.get("spread_skill", 0) > 0 for trial in good):
        return min(good, key=lambda trial: (trial.scores[PLAIN], trial.contrast))

    def distance(trial: ContrastTrial) -> tuple[float, float]:
        return abs(math.log(trial.scores["spread_skill"])), trial.contrast

    return min(good, key=distance)


def save_trials(
    folder: Path,
    trials: Sequence[ContrastTrial],
    best: ContrastTrial,
    config: SampleConfig,
    found_on: dict[str, Any],
) -> None:
    """Writes `contrast.json` into a folder: the trials, how they were drawn, and on what."""
    told = {
        "trials": [dataclasses.asdict(trial) for trial in trials],
        "recommended": best.contrast,
        "sample": dataclasses.asdict(config) | {"contrast": None},
    }
    save_json(folder / "contrast.json", told | found_on)
