"""What training looks at now and then: real samples of a few validation hours, scored, pictured."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from jaxrain.beside import Beside
from jaxrain.config import Config
from jaxrain.ensembles.canvas import Canvas, make_canvas
from jaxrain.ensembles.chain import make_downscale
from jaxrain.ensembles.noise import minutes_since_epoch
from jaxrain.first_guess import load_first_guess
from jaxrain.grids.regrid import bilinear_matrix
from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.store import Area, Store
from jaxrain.pairs.surroundings import place_maps
from jaxrain.stages import Regression
from jaxrain.training.mesh import whole_here
from jaxrain.training.network import Apply
from jaxrain.training.picture import save_picture
from jaxrain.verification.points import fair_crps


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One validation hour's window.

    Attributes:
      title: area and time.
      canvas: where it is sampled.
      coarse: predictors of the whole area, canonical units, [C, h, w].
      minutes: the valid hour, minutes since 1970.
      truth: fine rain, mm, [H, W], NaN where missing.
      bilinear: coarse rain interpolated, mm, [H, W]; NaN everywhere if the predictors hold none.
    """

    title: str
    canvas: Canvas
    coarse: NDArray[np.float32]
    minutes: int
    truth: NDArray[np.float32]
    bilinear: NDArray[np.float32]


def make_validation(
    config: Config,
    store: Store,
    apply: Apply,
    mesh: Mesh,
    report: Path | None,
    regression: Regression | None = None,
) -> Callable[[int, Any], dict[str, float]] | None:
    """Prepares validation: `train.validation_cases` hours, spread over the wetter half.

    Args:
      config: its `sample` section says how, with the members and steps of `train`.
      store: whose validation hours are taken.
      apply: the network.
      mesh: where the weights lie; all its hosts must validate together, each by itself.
      report: folder for `validation_STEP.png`; None draws none.
      regression: what the network learns the remainder of, if so.

    Returns:
      validate(step, weights) -> {"validation_crps_mm": fair CRPS, mean over known points,
      "validation_bilinear_mae_mm": what interpolation has there, "validation_ratio": the one over
      the other}; the last two only where the predictors hold rain. None where there is nothing to
      validate.
    """
    cases = choose_cases(config, store)
    if not cases:
        return None
    members = 1 if config.diffusion.objective == "regression" else config.train.validation_members
    sample = dataclasses.replace(config.sample, steps=config.train.validation_steps)
    beside = Beside(regression, load_first_guess(config, store.manifest))
    downscale = make_downscale(
        beside.network(apply),
        store.scaling(config.data),
        config.diffusion,
        sample,
        config.data.encodings,
        **beside.functions(),
    )

    def validate(step: int, weights: Any) -> dict[str, float]:
        # On one device: a few small chains are not worth a message between devices.
        weights = beside.weights(whole_here(weights, mesh))
        drawn = [draw(downscale, weights, case, members) for case in cases]
        if report is not None:
            rows = [
                (case.truth, case.bilinear, rain) for case, rain in zip(cases, drawn, strict=True)
            ]
            titles = [case.title for case in cases]
            save_picture(report / f"validation_{step:08d}.png", rows, titles=titles)
        return score(cases, drawn)

    return validate


def draw(downscale: Callable[..., Any], weights: Any, case: Case, members: int) -> Any:
    """Members of a case, mm, [M, H, W]; `downscale` as `make_downscale` builds it, or another chain
    of `make_chain`, whose arrays come back."""
    coarse = np.broadcast_to(case.coarse, (members, *case.coarse.shape))
    minutes = np.full(members, case.minutes)
    return jax.device_get(downscale(weights, case.canvas, coarse, np.arange(members), minutes))


def choose_cases(config: Config, store: Store) -> list[Case]:
    """Hours spread evenly over the wetter half of the validation hours; of each, a wet window.

    Where the wetter half has fewer than are asked for, the wettest hours of all.
    """
    hours = [(area, hour) for area in store.areas for hour in area.indices("validation")]
    wetness = [float(area.cover(hour)[1].mean()) for area, hour in hours]
    count = min(config.train.validation_cases, len(hours))
    if count == 0:
        return []
    least = min(np.median(wetness), sorted(wetness)[-count])
    wetter = [h for h, wet in zip(hours, wetness, strict=True) if wet >= least]
    chosen = np.linspace(0, len(wetter) - 1, count).round().astype(int)
    return [make_case(config, store.channels, *wetter[index]) for index in chosen]


def score(cases: list[Case], drawn: list[NDArray[np.float32]]) -> dict[str, float]:
    """Fair CRPS beside the MAE of interpolation, over points known to all; drawn are [M, H, W]."""
    crps, mae = [], []
    for case, members in zip(cases, drawn, strict=True):
        known = np.isfinite(case.truth) & np.isfinite(members).all(axis=0)
        crps.append(fair_crps(members[:, known], case.truth[known]))
        mae.append(np.abs(case.bilinear[known] - case.truth[known]))
    value, of_bilinear = float(np.concatenate(crps).mean()), float(np.concatenate(mae).mean())
    scores = {"validation_crps_mm": value, "validation_bilinear_mae_mm": of_bilinear}
    if of_bilinear > 0:
        scores["validation_ratio"] = value / of_bilinear
    return {name: number for name, number in scores.items() if np.isfinite(number)}


def spread_skill(cases: list[Case], drawn: list[NDArray[np.float32]]) -> float:
    """Root mean variance of the members over the error of their mean, corrected for their number
    (Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1, eq. 15); 1 where they are calibrated."""
    variance, error = [], []
    for case, members in zip(cases, drawn, strict=True):
        known = np.isfinite(case.truth) & np.isfinite(members).all(axis=0)
        inside = members[:, known].astype(np.float64)
        variance.append(inside.var(axis=0, ddof=1) * (1 + 1 / len(members)))
        error.append((inside.mean(axis=0) - case.truth[known]) ** 2)
    return float(np.sqrt(np.concatenate(variance).mean() / np.concatenate(error).mean()))


def wettest_window(rain: NDArray[np.float32], size: tuple[int, int]) -> tuple[int, int]:
    """First row and column of the window of `size` with the most rain; [H, W], NaN counts as 0."""
    sums = np.zeros((rain.shape[0] + 1, rain.shape[1] + 1))
    sums[1:, 1:] = np.nan_to_num(rain).cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    height, width = size
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
    inside += sums[:-height, :-width]
    row, column = np.unravel_index(np.argmax(inside), inside.shape)
    return int(row), int(column)


def window_tiling(config: Config, side: int) -> tuple[int, int]:
    """Tile and overlap [pixels] for a window of so many: sampling's, or one tile that holds it.

    A larger tile would be mostly padding, whose points cost as much as the window's.
    """
    tile, overlap = config.sample.tiling(config.data.patch)
    divisor = config.model.divisor
    whole = -(-side // divisor) * divisor
    return (tile, overlap) if tile <= whole else (whole, 0)


def make_case(
    config: Config,
    channels: list[str],
    area: Area,
    hour: int,
    place: tuple[int, int] | None = None,
) -> Case:
    """A window of an hour: its first row and column are `place`, or the wettest window's."""
    rain, coarse = np.asarray(area.fine(hour)), np.asarray(area.coarse(hour))
    side = config.train.validation_size or config.data.patch
    height, width = (min(side, length) for length in rain.shape)
    row, column = wettest_window(rain, (height, width)) if place is None else place
    fine = area.fine_grid.window(row, column, height, width)
    tile, overlap = window_tiling(config, max(height, width))
    canvas = make_canvas(
        fine,
        area.coarse_grid,
        interpolations=tuple(config.data.interpolations),
        origin=(row, column),
        tile=tile,
        overlap=overlap,
        maps=partial(place_maps, area.statics, config.data.encodings, area=area.name),
    )
    bilinear = np.full((height, width), np.nan, np.float32)
    if RAIN_CHANNEL in channels:
        weights_y = bilinear_matrix(area.coarse_grid.y, fine.y)
        weights_x = bilinear_matrix(area.coarse_grid.x, fine.x)
        bilinear = weights_y @ coarse[channels.index(RAIN_CHANNEL)] @ weights_x.T
    return Case(
        title=f"{area.name} {area.hours[hour]}Z",
        canvas=canvas,
        coarse=coarse,
        minutes=int(minutes_since_epoch(area.hours[hour])),
        truth=rain[row : row + height, column : column + width],
        bilinear=bilinear,
    )
