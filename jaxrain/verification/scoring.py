"""All hours of all cases, one at a time, to scores with intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jaxrain.errors import InputError
from jaxrain.verification import intervals, metrics, spectra
from jaxrain.verification.baselines import Baseline
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.points import Sums
from jaxrain.verification.truth import Truth

MODEL = "model"
DRAWS = 1000
SEED = 0

Interval = dict[str, float | None]
"""`value`, `low` and `high` (95 %); None where not known."""


@dataclass(frozen=True)
class Field:
    """One hour of one case.

    Attributes:
      case: its number in the forecast.
      hour: its number in the case.
      time: end of the hour, UTC.
      rain_mm: mean of the truth [mm].
      gain_mm: CRPS of bilinear interpolation minus the model's, mean over the points [mm].
    """

    case: int
    hour: int
    time: np.datetime64
    rain_mm: float
    gain_mm: float


@dataclass(frozen=True, eq=False)
class Verification:
    """What verifying found.

    Attributes:
      fields: every hour of every case that has a known point.
      points: known points over all fields.
      unforecast: points whose truth is known but where a system forecasts nothing (NaN): out.
      members: how many the ensemble has.
      blocks: how hours are grouped for the intervals.
      systems: scores by system ('model' and the baselines), then by name.
      skill: of each baseline, 1 - CRPS of the model / CRPS of the baseline.
      truth: of the truth itself, `wet_fraction` and `mean_mm`.
      sums: totals by system, see `metrics.hour_sums`; the model's has `mean_spectrum` too.
      wavelengths_km: of the spectra, shape [K].
    """

    fields: list[Field]
    points: int
    unforecast: int
    members: int
    blocks: intervals.Blocks
    systems: dict[str, dict[str, Interval]]
    skill: dict[str, Interval]
    truth: dict[str, float]
    sums: dict[str, Sums]
    wavelengths_km: np.ndarray

    @property
    def hours(self) -> int:
        """Distinct hours; areas or windows of the same hour count once."""
        return len({field.time for field in self.fields})


def verify(
    forecast: Forecast,
    truth: Truth,
    baselines: dict[str, Baseline],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verification:
    """Scores an ensemble and its baselines on the points that all of them and the truth know.

    Holds one hour of all members at a time.

    Args:
      forecast: open ensemble.
      truth: what came.
      baselines: deterministic forecasts by name, `bilinear` among them.
      progress: told after each field how many are done, of how many.

    Raises:
      InputError: no point is known in any hour.
    """
    waves = _wavelengths(forecast.cases)
    per_field: dict[str, list[Sums]] = {name: [] for name in (MODEL, *baselines)}
    fields, unforecast = [], 0
    todo = [(c, h) for c, case in enumerate(forecast.cases) for h in range(len(case.hours))]
    for done, (c, h) in enumerate(todo, 1):
        case = forecast.cases[c]
        systems = read_systems(case, h, baselines)
        known, left_out = shared_truth(truth(case, h), systems)
        unforecast += left_out
        if np.isfinite(known).any():
            for name, rain in systems.items():
                sums = metrics.hour_sums(rain, known, case.spacing_km(), waves)
                per_field[name].append(sums)
            per_field[MODEL][-1]["mean_spectrum"] = _mean_spectrum(case, systems, known, waves)
            fields.append(_field(case, c, h, known, per_field))
        progress(done, len(todo))
    if not fields:
        raise InputError(f"{forecast.path}: the truth knows no point in any of its hours")
    return _conclude(fields, unforecast, per_field, waves)


def read_systems(case: Case, hour: int, baselines: dict[str, Baseline]) -> dict[str, np.ndarray]:
    """Rain of the model and the baselines in one hour [mm], each [members, H, W]."""
    return {MODEL: case.members(hour)} | {
        name: baseline(case, hour)[None] for name, baseline in baselines.items()
    }


def shared_truth(truth: np.ndarray, systems: dict[str, np.ndarray]) -> tuple[np.ndarray, int]:
    """Truth with NaN where a system forecasts nothing, and how many points that costs."""
    forecast = np.ones(truth.shape, bool)
    for rain in systems.values():
        for member in rain:
            forecast &= np.isfinite(member)
    lost = int((np.isfinite(truth) & ~forecast).sum())
    return np.where(forecast, truth, np.nan), lost


def _wavelengths(cases: list[Case]) -> np.ndarray:
    spacings = [case.spacing_km() for case in cases]
    sides = [min(case.grid.shape) for case in cases]
    return spectra.wavelengths([n * d for n, d in zip(sides, spacings, strict=True)], spacings)


def _mean_spectrum(
    case: Case, systems: dict[str, np.ndarray], truth: np.ndarray, waves: np.ndarray
) -> np.ndarray:
    mean = systems[MODEL].mean(0, keepdims=True)
    return spectra.spectrum_sums(mean, truth, case.spacing_km(), waves)["spectrum"]


def _field(
    case: Case, c: int, h: int, truth: np.ndarray, per_field: dict[str, list[Sums]]
) -> Field:
    model, bilinear = per_field[MODEL][-1], per_field["bilinear"][-1]
    gain = float((bilinear["crps"] - model["crps"]) / model["points"])
    return Field(c, h, case.hours[h], float(np.nanmean(truth, dtype=np.float64)), gain)


def _conclude(
    fields: list[Field], unforecast: int, per_field: dict[str, list[Sums]], waves: np.ndarray
) -> Verification:
    stacked = {
        name: {key: np.stack([sums[key] for sums in all_sums]) for key in all_sums[0]}
        for name, all_sums in per_field.items()
    }
    grouped = intervals.blocks(np.array([field.time for field in fields]))
    weights = intervals.draw(grouped, draws=DRAWS, seed=SEED)
    totals = {name: intervals.total(s, np.ones(len(fields))) for name, s in stacked.items()}
    value = {name: metrics.scores(total, waves) for name, total in totals.items()}
    drawn = {
        name: metrics.scores(intervals.total(s, weights), waves) for name, s in stacked.items()
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        skill = {
            name: intervals.interval(
                1 - value[MODEL]["crps_mm"] / value[name]["crps_mm"],
                1 - drawn[MODEL]["crps_mm"] / drawn[name]["crps_mm"],
                grouped,
            )
            for name in value
            if name != MODEL
        }
    model = totals[MODEL]
    return Verification(
        fields=fields,
        points=int(model["points"]),
        unforecast=unforecast,
        members=model["ranks"].shape[-1] - 1,
        blocks=grouped,
        systems={
            name: {
                score: intervals.interval(each, drawn[name][score], grouped)
                for score, each in value[name].items()
            }
            for name in value
        },
        skill=skill,
        truth={
            "wet_fraction": float(model["observed"][0] / model["points"]),
            "mean_mm": float(
                sum(f.rain_mm * s for f, s in zip(fields, stacked[MODEL]["points"], strict=True))
                / model["points"]
            ),
        },
        sums=totals,
        wavelengths_km=waves,
    )
