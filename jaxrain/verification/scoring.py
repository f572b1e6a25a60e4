"""All hours of all cases, one at a time, to scores with intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jaxrain.errors import InputError
from jaxrain.pairs import quantiles
from jaxrain.verification import intervals, metrics, spectra
from jaxrain.verification.baselines import Baseline, reference
from jaxrain.verification.bias_maps import BiasMap, cases_to_map
from jaxrain.verification.breakdown import Field, Part, breakdown
from jaxrain.verification.conservation import CoarseRain
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.intervals import Interval
from jaxrain.verification.points import Sums
from jaxrain.verification.sequences import autocorrelation, consecutive
from jaxrain.verification.truth import Truth

MODEL = "model"
DRAWS = 1000
SEED = 0


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
      reference: the baseline that `crpss` and `Field.gain_mm` are against.
      skill: of each baseline, 1 - CRPS of the model / CRPS of the baseline.
      truth: of the truth itself, `wet_fraction`, `mean_mm`, `maximum_mm`, and where known
        `lag1_autocorrelation` and `conservation_mm`.
      sums: totals by system, see `metrics.hour_sums`; the model's has `mean_spectrum` too.
      wavelengths_km: of the spectra, shape [K].
      parts: scores by area, time, hour of the day and wetness.
      bias_maps: mean error of the ensemble's mean in the cases with the most hours.
    """

    fields: list[Field]
    points: int
    unforecast: int
    members: int
    blocks: intervals.Blocks
    systems: dict[str, dict[str, Interval]]
    reference: str
    skill: dict[str, Interval]
    truth: dict[str, float | None]
    sums: dict[str, Sums]
    wavelengths_km: np.ndarray
    parts: list[Part]
    bias_maps: list[BiasMap]

    @property
    def hours(self) -> int:
        """Distinct hours; areas or windows of the same hour count once."""
        return len({field.time for field in self.fields})


def verify(
    forecast: Forecast,
    truth: Truth,
    baselines: dict[str, Baseline],
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    coarse: CoarseRain | None = None,
) -> Verification:
    """Scores an ensemble and its baselines on the points that all of them and the truth know.

    Holds an hour of all members at a time, and the one before where hours are consecutive.

    Args:
      forecast: open ensemble.
      truth: what came.
      baselines: forecasts to compare with by name, one at least.
      progress: told after each field how many are done, of how many.
      coarse: the coarse rain on its own cells, where it is known.

    Raises:
      InputError: no point is known in any hour, or no baseline.
    """
    against = reference(baselines, forecast)
    waves = _wavelengths(forecast.cases)
    per_field: dict[str, list[Sums]] = {name: [] for name in (MODEL, *baselines)}
    mapped = cases_to_map([len(case.hours) for case in forecast.cases])
    maps = {c: BiasMap(c, forecast.cases[c].grid.shape) for c in mapped}
    fields, unforecast = [], 0
    before: tuple[dict[str, np.ndarray], np.ndarray] | None = None
    todo = [(c, h) for c, case in enumerate(forecast.cases) for h in range(len(case.hours))]
    for done, (c, h) in enumerate(todo, 1):
        case = forecast.cases[c]
        if not consecutive(case.hours, h):
            before = None
        systems = read_systems(case, h, baselines)
        known, left_out = shared_truth(truth(case, h), systems)
        unforecast += left_out
        if np.isfinite(known).any():
            cells = coarse(case, h) if coarse else None
            for name, rain in systems.items():
                earlier = (before[0][name], before[1]) if before else None
                sums = metrics.hour_sums(
                    rain, known, case.grid.spacing_km(), waves, before=earlier, cells=cells
                )
                per_field[name].append(sums)
            per_field[MODEL][-1]["mean_spectrum"] = _mean_spectrum(case, systems, known, waves)
            sums, of_reference = per_field[MODEL][-1], per_field[against][-1]
            fields.append(_field(case, c, h, known, sums, of_reference))
            if c in maps:
                maps[c].add(systems[MODEL], known)
        before = systems, known
        progress(done, len(todo))
    if not fields:
        raise InputError(
            f"{forecast.path}: no point is known to the truth and all forecasts in any of its hours"
        )
    stacked = {
        name: {key: np.stack([sums[key] for sums in all_sums]) for key in all_sums[0]}
        for name, all_sums in per_field.items()
    }
    cases = [case.name for case in forecast.cases]
    return _conclude(fields, unforecast, stacked, against, waves, cases, list(maps.values()))


def read_systems(case: Case, hour: int, baselines: dict[str, Baseline]) -> dict[str, np.ndarray]:
    """Rain of the model and the baselines in one hour [mm], each [members, H, W]."""
    return {MODEL: case.members(hour)} | {
        name: baseline(case, hour) for name, baseline in baselines.items()
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
    for case in cases:
        if min(case.grid.shape) < 2:
            rows, columns = case.grid.shape
            raise InputError(
                f"{case.name} has {rows} x {columns} points, which have no spacing: expected 2 x 2 "
                "or more"
            )
    spacings = [case.grid.spacing_km() for case in cases]
    sides = [min(case.grid.shape) for case in cases]
    return spectra.wavelengths([n * d for n, d in zip(sides, spacings, strict=True)], spacings)


def _mean_spectrum(
    case: Case, systems: dict[str, np.ndarray], truth: np.ndarray, waves: np.ndarray
) -> np.ndarray:
    mean = systems[MODEL].mean(0, keepdims=True)
    return spectra.spectrum_sums(mean, truth, case.grid.spacing_km(), waves)["spectrum"]


def _field(case: Case, c: int, h: int, truth: np.ndarray, model: Sums, reference: Sums) -> Field:
    gain = float((reference["crps"] - model["crps"]) / model["points"])
    return Field(c, h, case.hours[h], float(np.nanmean(truth, dtype=np.float64)), gain)


def _conclude(
    fields: list[Field],
    unforecast: int,
    stacked: dict[str, Sums],
    against: str,
    waves: np.ndarray,
    cases: list[str],
    maps: list[BiasMap],
) -> Verification:
    grouped = intervals.blocks(np.array([field.time for field in fields]))
    weights = intervals.draw(grouped, draws=DRAWS, seed=SEED)
    totals = {name: intervals.total(s, np.ones(len(fields))) for name, s in stacked.items()}
    value = {name: metrics.scores(total, waves) for name, total in totals.items()}
    drawn = {
        name: metrics.scores(intervals.total(s, weights), waves) for name, s in stacked.items()
    }

    def skill(of: str, other: str) -> Interval:
        with np.errstate(invalid="ignore", divide="ignore"):
            whole, each = (
                1 - scores[of]["crps_mm"] / scores[other]["crps_mm"] for scores in (value, drawn)
            )
        return intervals.interval(whole, each, grouped)

    return Verification(
        fields=fields,
        points=int(totals[MODEL]["points"]),
        unforecast=unforecast,
        members=totals[MODEL]["ranks"].shape[-1] - 1,
        blocks=grouped,
        systems={
            name: {
                score: intervals.interval(each, drawn[name][score], grouped)
                for score, each in value[name].items()
            }
            | {"crpss": skill(name, against)}
            for name in value
        },
        reference=against,
        skill={name: skill(MODEL, name) for name in value if name != MODEL},
        truth=_truth(fields, stacked[MODEL], totals[MODEL]),
        sums=totals,
        wavelengths_km=waves,
        parts=breakdown(fields, cases, stacked, waves, (grouped, weights)),
        bias_maps=maps,
    )


def _truth(fields: list[Field], sums: Sums, total: Sums) -> dict[str, float | None]:
    """What the same points say of the truth itself."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "wet_fraction": total["observed"][0] / total["points"],
            "maximum_mm": quantiles.quantile(total["truth_counts"], 1.0),
            "mean_mm": np.average([field.rain_mm for field in fields], weights=sums["points"]),
            "lag1_autocorrelation": autocorrelation(total["truth_lag_moments"]),
            "conservation_mm": total["cell_truth_error"] / total["cells"],
        }
    return {name: float(each) if np.isfinite(each) else None for name, each in found.items()}
