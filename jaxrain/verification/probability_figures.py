"""Pictures of probabilities: reliability and ROC at each threshold."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxrain.pages.palette import system_colour, system_line
from jaxrain.pages.pictures import new_figure, tidy
from jaxrain.verification.points import THRESHOLDS_MM
from jaxrain.verification.probabilities import roc_curve
from jaxrain.verification.scoring import MODEL, Verification

# A share of fewer points says nothing.
_FEWEST_POINTS = 50


def probability_figure(found: Verification) -> Figure:
    """A column per threshold: reliability above, ROC below."""
    figure = new_figure(12.4, 5.4)
    axes = figure.subplots(2, len(THRESHOLDS_MM))
    for column, threshold in enumerate(THRESHOLDS_MM):
        _reliability(axes[0, column], found, column)
        axes[0, column].set_title(f"{threshold:g} mm or more", fontsize=10)
        _roc(axes[1, column], found, column)
    for row, (x, y) in enumerate(
        (("share of members", "how often it came"), ("false alarm rate", "hit rate"))
    ):
        axes[row, 0].set_ylabel(y)
        for ax in axes[row]:
            ax.set_xlabel(x, fontsize=8)
            ax.set_xlim(-0.03, 1.03)
            ax.set_ylim(-0.03, 1.03)
            tidy(ax)
    return figure


def _reliability(ax: Axes, found: Verification, t: int) -> None:
    forecasts, events = found.sums[MODEL]["forecasts"][t], found.sums[MODEL]["events"][t]
    said = np.arange(len(forecasts)) / (len(forecasts) - 1)
    enough = forecasts >= _FEWEST_POINTS
    ax.plot([0, 1], [0, 1], color="black", lw=1, ls="--")
    colour = system_colour(MODEL)
    ax.plot(said[enough], events[enough] / forecasts[enough], "o-", color=colour, ms=4)
    ax.axhline(events.sum() / max(forecasts.sum(), 1), color="grey", lw=1, ls=":")
    inset = ax.inset_axes((0.06, 0.7, 0.34, 0.22))
    inset.bar(said, np.maximum(forecasts, 0.5), width=0.8 / len(said), color="#9a9a9a")
    inset.set_yscale("log")
    inset.set_title("points, log", fontsize=6, pad=2)
    inset.tick_params(which="both", left=False, bottom=False, labelleft=False, labelbottom=False)


def _roc(ax: Axes, found: Verification, t: int) -> None:
    ax.plot([0, 1], [0, 1], color="black", lw=1, ls="--")
    for name, sums in found.sums.items():
        false_alarms, hits = roc_curve(sums["forecasts"][t], sums["events"][t])
        area = found.systems[name][f"roc_area_{THRESHOLDS_MM[t]:g}mm"]["value"]
        if area is None:
            continue
        colour = system_colour(name, found.systems)
        if len(hits) > 3:
            line, told = system_line(name, found.systems), f"{name} {area:.2f}"
            ax.plot(false_alarms, hits, marker="o", ls=line, color=colour, ms=3, label=told)
        else:
            # A single forecast is one point; the lines to the corners are chance's.
            ax.plot(false_alarms[1], hits[1], "D", color=colour, ms=5, label=f"{name} {area:.2f}")
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize=6, frameon=False, loc="lower right", title="area", title_fontsize=6)
