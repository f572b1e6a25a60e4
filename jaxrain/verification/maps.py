"""Maps of one hour: what came, what the model was given, and what it made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxrain.grids.grid import Grid
from jaxrain.pages.field_map import draw_field, map_inches
from jaxrain.pages.palette import RAIN_EDGES_MM, probability_scale, rain_scale
from jaxrain.pages.pictures import new_figure
from jaxrain.verification.breakdown import Field

# Share of points with 5 mm from which on an hour is one of heavy rain.
_MUCH = 0.02


@dataclass(frozen=True, eq=False)
class Scene:
    """The fields of one hour that are drawn.

    Attributes:
      title: which hour and where.
      grid: H x W points.
      truth: [mm], shape [H, W], NaN where not known.
      coarse: coarse rain on the same grid [mm], shape [H, W].
      coarse_name: how it came to that grid.
      members: the first three [mm], shape [3, H, W] or fewer.
      numbers: of these members.
      mean: of all members [mm], shape [H, W].
      count: how many members there are.
      threshold: of the probability [mm].
      probability: share of all members at or above it, shape [H, W], NaN where one is not known.
    """

    title: str
    grid: Grid
    truth: np.ndarray
    coarse: np.ndarray
    coarse_name: str
    members: np.ndarray
    numbers: Sequence[int]
    mean: np.ndarray
    count: int
    threshold: float
    probability: np.ndarray


def scene(
    title: str,
    grid: Grid,
    truth: np.ndarray,
    coarse: np.ndarray,
    coarse_name: str,
    members: np.ndarray,
    numbers: Sequence[int],
) -> Scene:
    """What is drawn of an hour, from all its members [M, H, W] and their numbers [M]; the rest as
    in `Scene`.

    The probability is of 5 mm where the hour has much of it, else of 1 mm.
    """
    rain = truth[np.isfinite(truth)]
    threshold = 5.0 if rain.size and (rain >= 5).mean() >= _MUCH else 1.0
    probability = np.mean([member >= threshold for member in members], 0)
    mean = members.mean(0)
    return Scene(
        title=title,
        grid=grid,
        truth=truth,
        coarse=coarse,
        coarse_name=coarse_name,
        members=members[:3],
        numbers=numbers[:3],
        mean=mean,
        count=len(members),
        threshold=threshold,
        probability=np.where(np.isfinite(mean), probability, np.nan),
    )


def telling_fields(fields: Sequence[Field]) -> list[tuple[Field, str]]:
    """Up to three hours worth looking at, and why: chosen by rule, so that none is hand-picked."""
    by_rain = sorted(fields, key=lambda field: field.rain_mm, reverse=True)
    wet = by_rain[: max(1, len(by_rain) // 2)]
    chosen = [
        (by_rain[0], "the most rain of all"),
        (wet[len(wet) // 2], "middling: a quarter of all were wetter"),
        (
            min(wet, key=lambda field: field.gain_mm),
            "the model's least gain on the reference among the wetter half",
        ),
    ]
    seen: list[tuple[Field, str]] = []
    for field, why in chosen:
        if field not in [other for other, _ in seen]:
            seen.append((field, why))
    return seen


def map_figure(shown: Scene) -> Figure:
    """Two rows of maps: truth, coarse input, mean, probability; three members, and the scales."""
    height, width = map_inches(shown.grid)
    figure = new_figure(4 * width + 0.9, 2 * height + 1.2)
    axes = figure.subplots(2, 4)
    rain_colours, rain_norm = rain_scale()
    probability_colours, probability_norm = probability_scale()
    panels: list[tuple[Axes, np.ndarray, str]] = [
        (axes[0, 0], shown.truth, "Truth"),
        (axes[0, 1], shown.coarse, shown.coarse_name),
        (axes[0, 2], shown.mean, f"Mean of {shown.count} members"),
    ]
    panels += [
        (ax, member, f"Member {number}")
        for ax, member, number in zip(axes[1], shown.members, shown.numbers, strict=False)
    ]
    rain_image = None
    for ax, values, title in panels:
        rain_image = draw_field(ax, shown.grid, values, title, cmap=rain_colours, norm=rain_norm)
    probability_image = draw_field(
        axes[0, 3],
        shown.grid,
        shown.probability,
        f"Probability of {shown.threshold:g} mm or more",
        cmap=probability_colours,
        norm=probability_norm,
    )
    for ax in axes[1, len(shown.members) :]:
        ax.axis("off")
    for row, column in np.ndindex(2, 4):
        axes[row, column].tick_params(labelleft=column == 0, labelbottom=row == 1)
    if shown.grid.projected:
        axes[1, 0].set_xlabel("km", fontsize=7)
    _scales(figure, axes[1, 3], rain_image, probability_image)
    return figure


def _scales(figure: Figure, ax: Axes, rain: Any, probability: Any) -> None:
    """Both colour scales where an eighth map would be."""
    ax.axis("off")
    for image, left, label, ticks, extend in (
        (rain, 0.12, "rain in the hour [mm]", RAIN_EDGES_MM, "both"),
        (probability, 0.62, "probability [%]", (0.05, 0.1, 0.3, 0.5, 0.7, 0.9), "min"),
    ):
        bar = figure.colorbar(
            image, cax=ax.inset_axes((left, 0.03, 0.07, 0.94)), extend=extend, ticks=list(ticks)
        )
        percent = label.endswith("[%]")
        bar.ax.set_yticklabels([f"{100 * t:g}" if percent else f"{t:g}" for t in ticks])
        bar.ax.tick_params(labelsize=7, length=2)
        bar.set_label(label, fontsize=8)
