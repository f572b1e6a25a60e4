"""From sums over hours to scores: one table of what is measured, and what each number means."""

import numpy as np

from jaxrain.pairs import quantiles
from jaxrain.verification import fractions, points, probabilities, sequences, spectra
from jaxrain.verification.conservation import Cells, conservation_sums
from jaxrain.verification.fractions import WINDOWS_KM
from jaxrain.verification.points import THRESHOLDS_MM, Sums

MEANINGS = {
    "crps_mm": "fair continuous ranked probability score (Ferro 2014) [mm]; of a single forecast, "
    "its mean absolute error. 0 is perfect",
    "plain_crps_mm": "the same without Ferro's correction [mm]: of as many equally likely amounts "
    "as there are members, higher the fewer. Where members are made to lie apart, as by "
    "sample.contrast, crps_mm is too kind, and this one is not",
    "mae_mm": "mean absolute error of the ensemble mean [mm]",
    "rmse_mm": "root mean square error of the ensemble mean [mm]",
    "bias_mm": "mean of forecast minus truth [mm]. 0 is perfect",
    "spread_skill": "root mean variance of the members times (M + 1) / M, over rmse_mm "
    "(Fortin et al. 2014). 1 is perfect, below it the ensemble is too sure of itself",
    "wet_fraction": "share of points with 0.1 mm or more, over all members",
    "wet_area_ratio": "wet_fraction over the truth's. 1 is perfect",
    "p99_ratio": "99th percentile of all points and members over the truth's. 1 is perfect",
    "p99.9_ratio": "99.9th percentile of all points and members over the truth's. 1 is perfect",
    "maximum_mm": "most rain at any point, of all members [mm], to 2 %",
    "maximum_ratio": "amount above which a member has one point, on average, over the truth's. "
    "1 is perfect",
    "spectrum_max_db": "largest distance of the power spectrum from the truth's, at wavelengths "
    "of 4 km and more [dB]. 0 is perfect",
    "log_spectral_distance_db": "root mean square of that distance [dB]. 0 is perfect",
    "effective_resolution_km": "wavelength where the power falls below half of the truth's [km]; "
    "the shortest that the grid holds where it never does",
    "rank_flatness": "share of the rank histogram that is out of place. 0 is perfect",
    "lag1_autocorrelation": "correlation of each member's rain with its own an hour later, at the "
    "same points, over consecutive hours",
    "lag1_difference": "lag1_autocorrelation minus the truth's. 0 is perfect, below it members "
    "flicker",
    "conservation_mm": "mean distance of each member's mean over a coarse cell from the coarse "
    "rain [mm], over cells whose points are all known",
}
"""Scores of one number, by name. Those below are named for their threshold, and window."""

SKILL_MEANINGS = {
    "crpss": "1 - crps_mm / crps_mm of the reference: of bilinear interpolation where the ensemble "
    "holds coarse rain, else of the first baseline. 1 is perfect, 0 no better than it",
}
"""Scores that need another forecast beside."""

THRESHOLD_MEANINGS = {
    "csi": "critical success index of the ensemble mean: hits / (hits + misses + false alarms). "
    "1 is perfect",
    "frequency_bias": "points where the ensemble mean says yes, over those where it came. "
    "1 is perfect",
    "member_csi": "critical success index of the members, each a forecast of its own, pooled",
    "member_frequency_bias": "frequency bias of the members, pooled. 1 is perfect",
    "brier": "fair Brier score (Ferro 2014) of the share of members that say yes. 0 is perfect",
    "brier_skill": "1 - brier / brier_uncertainty. 1 is perfect, 0 no better than always saying "
    "how often it comes",
    "brier_reliability": "distance of each probability from how often it came (Murphy 1973; part "
    "of the Brier score without Ferro's correction, as are the next two). 0 is perfect",
    "brier_resolution": "how far the probabilities tell often from seldom. More is better",
    "brier_uncertainty": "the weather's own: how often it comes, times how often not",
    "roc_area": "area under the ROC curve. 1 is perfect, 0.5 is chance",
    "skilful_scale_km": "smallest window whose fss is at least 0.5 + f / 2, where f is how often "
    "it comes (Roberts and Lean 2008) [km]; unknown where none is",
}

FRACTION_MEANINGS = {
    "fss": "fractions skill score (Roberts and Lean 2008) of the ensemble's probability. "
    "1 is perfect",
    "member_fss": "fractions skill score of the members, each a forecast of its own, pooled",
}


def hour_sums(
    members: np.ndarray,
    truth: np.ndarray,
    spacing_km: float,
    wavelengths_km: np.ndarray,
    *,
    before: tuple[np.ndarray, np.ndarray] | None = None,
    cells: Cells | None = None,
) -> Sums:
    """All that one hour of one forecast adds to the sums that `scores` reads.

    Args:
      members: rain of M members (one: a deterministic forecast), shape [M, H, W] [mm].
      truth: what came, shape [H, W] [mm]; NaN where it is not known.
      spacing_km: distance of neighbouring points.
      wavelengths_km: where the spectrum is wanted, shape [K] [km].
      before: members and truth of the hour before, where that one is there.
      cells: the coarse rain, where it is known.
    """
    known = np.isfinite(truth)
    return (
        points.point_sums(members, truth)
        | fractions.fraction_sums(members, truth, spacing_km)
        | spectra.spectrum_sums(members, truth, spacing_km, wavelengths_km)
        | sequences.lag_sums(members, truth, *(before or ()))
        | conservation_sums(members, truth, cells)
        | {
            # Member by member: a copy of the known points of all would double the memory.
            "rain_counts": np.mean([quantiles.rain_counts(each[known]) for each in members], 0),
            "truth_counts": quantiles.rain_counts(truth),
        }
    )


def scores(sums: Sums, wavelengths_km: np.ndarray) -> dict[str, np.ndarray]:
    """Every score, from sums over whatever hours.

    Args:
      sums: from `hour_sums`, added over hours; all with the same leading axes [...], for instance
        one for bootstrap draws.
      wavelengths_km: as given to `hour_sums`, shape [K].

    Returns:
      Scores by name, shape [...]; NaN where the hours say nothing of one (no rain above a
      threshold, no complete square for a spectrum, a single member for the spread).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return (
            _point_scores(sums)
            | _yes_no_scores(sums)
            | _fraction_scores(sums)
            | _sequence_scores(sums)
            | _quantile_scores(sums)
            | _spectrum_scores(sums, wavelengths_km)
        )


def _point_scores(sums: Sums) -> dict[str, np.ndarray]:
    count = sums["points"]
    rmse = np.sqrt(sums["squared_error"] / count)
    members = sums["ranks"].shape[-1] - 1
    alone = (sums["member_error"] - sums["crps"]) / members  # what the correction takes off
    spread = np.sqrt(sums["variance"] / count * (members + 1) / members)
    return {
        "crps_mm": sums["crps"] / count,
        "plain_crps_mm": (sums["crps"] + alone) / count,
        "mae_mm": sums["absolute_error"] / count,
        "rmse_mm": rmse,
        "bias_mm": sums["error"] / count,
        "spread_skill": spread / rmse if members > 1 else np.full_like(rmse, np.nan),
        "rank_flatness": probabilities.rank_flatness(sums["ranks"])
        if members > 1
        else np.full_like(rmse, np.nan),
        "conservation_mm": sums["cell_error"] / sums["cells"],
    }


def _yes_no_scores(sums: Sums) -> dict[str, np.ndarray]:
    result = {}
    for t, threshold in enumerate(THRESHOLDS_MM):
        came = sums["observed"][..., t]
        for prefix, kind in (("", "mean"), ("member_", "member")):
            hits, said = sums[f"{kind}_hits"][..., t], sums[f"{kind}_yes"][..., t]
            result[f"{prefix}csi_{threshold:g}mm"] = hits / (said + came - hits)
            result[f"{prefix}frequency_bias_{threshold:g}mm"] = said / came
        counts = sums["forecasts"][..., t, :], sums["events"][..., t, :]
        brier = sums["brier"][..., t] / sums["points"]
        reliability, resolution, uncertainty = probabilities.brier_parts(*counts)
        result |= {
            f"brier_{threshold:g}mm": brier,
            f"brier_skill_{threshold:g}mm": 1 - brier / uncertainty,
            f"brier_reliability_{threshold:g}mm": reliability,
            f"brier_resolution_{threshold:g}mm": resolution,
            f"brier_uncertainty_{threshold:g}mm": uncertainty,
            f"roc_area_{threshold:g}mm": probabilities.roc_area(*counts),
        }
    return result


def _fraction_scores(sums: Sums) -> dict[str, np.ndarray]:
    result = {}
    for t, threshold in enumerate(THRESHOLDS_MM):
        for w, window in enumerate(WINDOWS_KM):
            for prefix in ("", "member_"):
                difference = sums[f"{prefix}fraction_difference"][..., t, w]
                reference = sums[f"{prefix}fraction_reference"][..., t, w]
                result[f"{prefix}fss_{threshold:g}mm_{window}km"] = 1 - difference / reference
        skill = np.stack([result[f"fss_{threshold:g}mm_{w}km"] for w in WINDOWS_KM], -1)
        share = sums["observed"][..., t] / sums["points"]
        result[f"skilful_scale_km_{threshold:g}mm"] = fractions.skilful_scale_km(skill, share)
    return result


def _sequence_scores(sums: Sums) -> dict[str, np.ndarray]:
    ours = sequences.autocorrelation(sums["lag_moments"])
    truth = sequences.autocorrelation(sums["truth_lag_moments"])
    return {"lag1_autocorrelation": ours, "lag1_difference": ours - truth}


def _quantile_scores(sums: Sums) -> dict[str, np.ndarray]:
    wet = THRESHOLDS_MM.index(points.DRY_MM)
    result = {
        "wet_fraction": sums["member_yes"][..., wet] / sums["points"],
        "wet_area_ratio": sums["member_yes"][..., wet] / sums["observed"][..., wet],
    }
    for name, probability in (("p99", 0.99), ("p99.9", 0.999)):
        forecast = quantiles.quantile(sums["rain_counts"], probability)
        truth = quantiles.quantile(sums["truth_counts"], probability)
        # Where it rains on less than 1 % of the points, the percentile is of drizzle: no ratio.
        result[f"{name}_ratio"] = np.where(truth >= points.DRY_MM, forecast / truth, np.nan)
    one_point = 1 - 1 / sums["points"]
    forecast = quantiles.quantile(sums["rain_counts"], one_point[..., None])
    truth = quantiles.quantile(sums["truth_counts"], one_point[..., None])
    result["maximum_ratio"] = np.where(truth >= points.DRY_MM, forecast / truth, np.nan)
    result["maximum_mm"] = quantiles.quantile(sums["rain_counts"], 1.0)
    return result


def _spectrum_scores(sums: Sums, wavelengths_km: np.ndarray) -> dict[str, np.ndarray]:
    ratio = sums["spectrum"] / sums["truth_spectrum"]
    long = wavelengths_km >= spectra.SHORTEST_KM
    if not long.any():
        nothing = np.full(ratio.shape[:-1], np.nan)
        names = ("spectrum_max_db", "log_spectral_distance_db", "effective_resolution_km")
        return dict.fromkeys(names, nothing)
    distance = spectra.decibels(sums["spectrum"], sums["truth_spectrum"])[..., long]
    return {
        "spectrum_max_db": np.abs(distance).max(-1),
        "log_spectral_distance_db": np.sqrt(np.square(distance).mean(-1)),
        "effective_resolution_km": spectra.effective_resolution_km(ratio, wavelengths_km),
    }
