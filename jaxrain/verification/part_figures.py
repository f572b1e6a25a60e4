"""Pictures of where and when: maps of bias, and the day's course."""

import numpy as np
from matplotlib.figure import Figure

from jaxrain.grids.grid import Grid
from jaxrain.pages.field_map import draw_field
from jaxrain.pages.palette import system_colour, system_line
from jaxrain.pages.pictures import new_figure, tidy
from jaxrain.verification.breakdown import parts_of
from jaxrain.verification.scoring import MODEL, Verification

# The day's course is a curve, so it needs a few hours.
_FEWEST_HOURS = 3


def bias_figure(found: Verification, names: list[str], grids: list[Grid]) -> Figure:
    """Mean error of the ensemble's mean at every point: a map for each case that is kept.

    Args:
      found: from `scoring.verify`.
      names: of all cases.
      grids: of all cases.
    """
    columns = min(len(found.bias_maps), 3)
    rows = -(-len(found.bias_maps) // columns)
    figure = new_figure(3.9 * columns + 0.6, 3.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    means = [each.mean() for each in found.bias_maps]
    known = np.concatenate([np.abs(mean[np.isfinite(mean)]) for mean in means])
    largest = max(0.1, float(np.percentile(known, 99)) if known.size else 0)
    for ax, each, mean in zip(axes, found.bias_maps, means, strict=False):
        title = f"{names[each.case]}\n{each.hours} h"
        # Purple for too wet, orange for too dry: apart for every eye, and white is none.
        image = draw_field(
            ax, grids[each.case], mean, title, cmap="PuOr", vmin=-largest, vmax=largest
        )
        ax.title.set_fontsize(8)
    for ax in axes[len(means) :]:
        ax.axis("off")
    figure.colorbar(image, ax=list(axes), label="mean error [mm in the hour]", shrink=0.8)
    return figure


def diurnal_figure(found: Verification) -> Figure | None:
    """Mean rain and wet share by hour of the day; None where fewer than three hours are there."""
    parts = parts_of(found.parts, "hour of the day")
    if len(parts) < _FEWEST_HOURS:
        return None
    figure = new_figure(9.6, 3.3)
    of_day = {int(part.name[:2]): part for part in parts}
    for ax, title in zip(figure.subplots(1, 2), ("mean rain [mm]", "wet share"), strict=True):
        for name in ("truth", *found.systems):
            known = {
                hour: part.mean_mm[name] if "mm" in title else part.wet[name]
                for hour, part in of_day.items()
            }
            # NaN where an hour is missing: a line across it would tell what nobody knows.
            values = [known.get(hour, np.nan) for hour in range(24)]
            width = 2.2 if name in ("truth", MODEL) else 1.2
            colour = system_colour(name, found.systems)
            style = {"color": colour, "label": name, "ls": system_line(name, found.systems)}
            ax.plot(np.arange(24) + 0.5, values, marker="o", ms=3, lw=width, **style)
        ax.set_xlim(0, 24)
        ax.set_xticks(range(0, 25, 3))
        ax.set_ylim(bottom=0)
        ax.set_xlabel("hour of the day, UTC")
        ax.set_title(title, fontsize=10)
        tidy(ax)
    ax.legend(fontsize=7, frameon=False)
    return figure
