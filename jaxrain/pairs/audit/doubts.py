"""What a user should look into before training, as sentences."""

from typing import Any

from jaxrain.pairs.audit.lag import lag_hint
from jaxrain.pairs.bending import RAIN_CHANNEL

# Of the test points, beyond what training has seen; of a predictor's points, missing.
_MUCH_BEYOND, _MUCH_MISSING = 1e-3, 1e-3
# Mean fine over mean coarse rain, either way: analyses differ, but not so much.
_RATIO, _RATIO_HOURS = 5.0, 48


def find_warnings(found: dict[str, Any]) -> list[str]:
    """Sentences on what is doubtful in a summary of `summary.audit`."""
    return [*_clocks(found), *_contents(found), *_hours(found)]


def _clocks(found: dict[str, Any]) -> list[str]:
    warnings = []
    lag, guessed = found["lag"], found["time_sources"].get("produced", 0)
    if lag["best"] and lag["clear"]:
        at = dict(zip(lag["lags"], lag["correlation"], strict=True))
        side = "later" if lag["best"] > 0 else "earlier"
        warnings.append(
            f"the fine files' times are {abs(lag['best'])} h {side} than the predictors': so far "
            f"apart their rain agrees best (correlation {at[lag['best']]:.2f}, {at[0]:.2f} as they "
            f"are): {lag_hint(lag['best'])}"
        )
    if guessed:
        warnings.append(
            f"{guessed} fine hours say no valid time: the hour that the file was produced in was "
            "taken; check that it is the end of the hour summed"
        )
    return warnings


def _contents(found: dict[str, Any]) -> list[str]:
    warnings = []
    for name, counts in found["units_found"].items():
        if len(counts) > 1:
            warnings.append(f"{name} comes in several units, {', '.join(map(repr, counts))}")
    for name, of in found["ranges"].items():
        low, high = of["plausible"]
        if not of["as_expected"]:
            warnings.append(
                f"{name} runs from {of['min']:g} to {of['max']:g} {of['units']}, plausible is "
                f"{low:g} to {high:g}: check its units"
            )
        # Rain that is made from the fine is missing where that is.
        if of["missing_share"] > _MUCH_MISSING and name not in ("fine_rain", RAIN_CHANNEL):
            warnings.append(
                f"{name} is missing at {100 * of['missing_share']:.2g} % of its points: check that "
                "its files are whole"
            )
    lag = found["lag"]
    if max(lag["hours"]) >= _RATIO_HOURS and lag["coarse_mm"]:
        ratio = lag["fine_mm"] / lag["coarse_mm"]
        if not 1 / _RATIO <= ratio <= _RATIO:
            warnings.append(
                f"the fine rain's mean is {ratio:.3g} times the coarse rain's over the same boxes: "
                "check the units of both and the hours that they are summed over"
            )
    return warnings


def _hours(found: dict[str, Any]) -> list[str]:
    warnings = []
    for split in ("validation", "test"):
        if not found["hours"][split]:
            warnings.append(f"no hour is for {split}: name some in data.splits.{split}")
    beyond = found["target_beyond_share"]["test"]
    if beyond is not None and beyond > _MUCH_BEYOND:
        warnings.append(
            f"{100 * beyond:.2f} % of the test points lie beyond the training range, which "
            "sampling clips: train on more hours"
        )
    return warnings
