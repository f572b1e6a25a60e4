"""Fits a calibration to validation windows: the spread first, then the amounts, told before/after.

The members are drawn once, up to the end of their chains. Of each factor on their distance from
the centre the amounts are mapped to truth's by quantiles, and the factor is taken for which
spread/skill is 1.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxrain.config import Config
from jaxrain.downscaler import Downscaler
from jaxrain.ensembles.calibration import Calibration, Drawn, rain_of, settings_of
from jaxrain.pairs.quantiles import quantile, rain_counts
from jaxrain.pairs.scaling import Scaling
from jaxrain.pairs.store import Store
from jaxrain.tuning.windows import blind_windows
from jaxrain.validation import Case, draw, make_case, score, spread_skill
from jaxrain.verification.mapping import fit_map
from jaxrain.verification.points import DRY_MM

_INFLATIONS = (0.25, 4.0)
_HALVINGS = 10  # of the range above, in its logarithm: the factor to 0.2 %

Fields = list[NDArray[np.float32]]


@dataclasses.dataclass(frozen=True)
class _Fit:
    inflation: float
    quantiles_mm: tuple[tuple[float, ...], tuple[float, ...]] | None


def calibrate(downscaler: Downscaler, cases: Sequence[Case], members: int) -> Calibration:
    """Draws members of validation windows, as the run's `sample` says, and fits to their truth.

    Args:
      downscaler: the run.
      cases: the windows; with two or more the fit to each half is scored on the other.
      members: of each, at least 2.

    Returns:
      The calibration; its report has `before`, `after` (on what it was fitted to) and, of two or
      more windows, `held_out`, each as `scores` gives them. A network that predicts eps says
      nothing of the mean where its chain begins, if that is no first guess: its spread is left,
      and inflation is 1.
    """
    config = downscaler.config.sample
    scaling = Scaling.from_manifest(downscaler.manifest, downscaler.config.data)
    process = downscaler.config.diffusion
    inflate = process.prediction != "eps" or config.first_guess is not None
    chain = downscaler.chain(config, centred=inflate)
    drawn = [_draw(chain, downscaler.weights, case, members) for case in cases]
    numbers = list(range(len(cases)))
    whole = _fit(scaling, drawn, cases, numbers, inflate)
    assert whole.quantiles_mm is not None
    source, target = whole.quantiles_mm
    report = {
        "windows": len(cases),
        "hours": len({case.minutes for case in cases}),
        "points": int(sum(np.isfinite(case.truth).sum() for case in cases)),
        "members": members,
        "before": scores(cases, _rain(scaling, drawn, None)),
        "after": scores(cases, _rain(scaling, drawn, whole)),
    }
    if len(cases) > 1:
        halves = numbers[::2], numbers[1::2]
        held: dict[int, NDArray[np.float32]] = {}
        for fitted, other in (halves, halves[::-1]):
            fit = _fit(scaling, drawn, cases, fitted, inflate)
            held |= zip(other, _rain(scaling, [drawn[i] for i in other], fit), strict=True)
        report["held_out"] = scores(cases, [held[number] for number in numbers])
    return Calibration(
        checkpoint=downscaler.checkpoint,
        settings=settings_of(config, downscaler.beside.hashes().get("first guess")),
        inflation=whole.inflation,
        source_mm=source,
        target_mm=target,
        report=report,
    )


def scores(cases: Sequence[Case], drawn: Fields) -> dict[str, float]:
    """Fair CRPS [mm], spread/skill, wet area and 99.9th percentile over truth's."""
    known = _known(cases, drawn)
    truth = np.concatenate([case.truth[k] for case, k in zip(cases, known, strict=True)])
    ours = np.concatenate([rain[:, k].ravel() for rain, k in zip(drawn, known, strict=True)])
    wet = float(np.mean(truth >= DRY_MM))
    high = [float(quantile(rain_counts(rain), 0.999)) for rain in (ours, truth)]
    found = {
        "crps_mm": score(list(cases), drawn)["validation_crps_mm"],
        "spread_skill": spread_skill(list(cases), drawn),
        "wet_area_ratio": float(np.mean(ours >= DRY_MM)) / wet if wet else np.nan,
        "p99.9_ratio": high[0] / high[1] if high[1] >= DRY_MM else np.nan,
    }
    return {name: value for name, value in found.items() if np.isfinite(value)}


def window_cases(config: Config, store: Store, count: int) -> list[Case]:
    """Windows of the validation hours, of the patch's size, as `blind_windows` chooses them."""
    side = config.train.validation_size or config.data.patch
    chosen = blind_windows(store, side, count)
    return [make_case(config, store.channels, *each) for each in chosen]


def _known(cases: Sequence[Case], drawn: Fields) -> list[NDArray[np.bool_]]:
    pairs = zip(cases, drawn, strict=True)
    return [np.isfinite(case.truth) & np.isfinite(rain).all(axis=0) for case, rain in pairs]


def _draw(chain: Callable[..., Any], weights: Any, case: Case, members: int) -> Drawn:
    return Drawn(*draw(chain, weights, case, members))


def _rain(scaling: Scaling, drawn: Sequence[Drawn], fit: _Fit | None) -> Fields:
    how: dict[str, Any] = {} if fit is None else dataclasses.asdict(fit)
    return [np.asarray(rain_of(each, scaling, **how)) for each in drawn]


def _fit(
    scaling: Scaling,
    drawn: Sequence[Drawn],
    cases: Sequence[Case],
    numbers: Sequence[int],
    inflate: bool,
) -> _Fit:
    """Fits to the cases of these numbers."""
    drawn, cases = [drawn[number] for number in numbers], [cases[number] for number in numbers]

    def at(inflation: float) -> _Fit:
        rain = _rain(scaling, drawn, _Fit(inflation, None))
        known = _known(cases, rain)
        ours = sum(rain_counts(r[:, k]) for r, k in zip(rain, known, strict=True))
        truth = sum(rain_counts(case.truth[k]) for case, k in zip(cases, known, strict=True))
        fitted = fit_map(np.asarray(ours), np.asarray(truth))
        pairs = (tuple(fitted.source_mm.tolist()), tuple(fitted.target_mm.tolist()))
        return _Fit(inflation, pairs)

    if not inflate:
        return at(1.0)
    low, high = np.log(_INFLATIONS)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        spread = spread_skill(list(cases), _rain(scaling, drawn, at(float(np.exp(middle)))))
        low, high = (middle, high) if spread < 1 else (low, middle)
    return at(float(np.exp((low + high) / 2)))
