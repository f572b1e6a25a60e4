"""Pictures of hours, clocks and amounts."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from jaxrain.pages.colours import HOUR_COLOURS
from jaxrain.pages.palette import SYSTEM_COLOURS
from jaxrain.pages.pictures import new_figure, tidy
from jaxrain.pairs.audit.amounts import CLASS_EDGES_MM, class_counts, exceedance
from jaxrain.pairs.audit.coverage import STATES, Coverage, months
from jaxrain.pairs.audit.survey import BIN_MM
from jaxrain.pairs.placement import WET_MM
from jaxrain.pairs.recipe import SPLITS

_MONTHS_PER_ROW = 4
_COARSE_COLOUR = SYSTEM_COLOURS["bilinear"]


def calendar_figure(covered: Coverage) -> Figure:
    """Days across and hours down, a panel per month of which a file holds an hour."""
    shown = months(covered)
    columns = min(len(shown), _MONTHS_PER_ROW)
    rows = -(-len(shown) // columns)
    # Few months are drawn larger, for the page is as wide as ever.
    cell = min(9.6 / columns / 34, 0.2)
    figure = new_figure(columns * 34 * cell + 0.4, rows * (24 * cell * 0.8 + 0.35) + 0.25)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for ax, month in zip(axes, shown, strict=False):
        _month(ax, covered, month, gap=cell)
    for ax in axes[len(shown) :]:
        ax.axis("off")
    for ax in axes[: len(shown) : columns]:
        ax.set_ylabel("hour [UTC]", fontsize=8)
    return figure


def lag_figure(lag: dict[str, Any]) -> Figure:
    """Correlation of fine and coarse rain by lag; the best stands out."""
    figure = new_figure(9.6, 2.9)
    ax = figure.subplots()
    lags = np.array(lag["lags"])
    values = np.array(lag["correlation"], float)  # None -> NaN
    colours = [SYSTEM_COLOURS["model"] if each == lag["best"] else "#b9c3cc" for each in lags]
    ax.bar(lags, values, color=colours, width=0.8)
    ax.axvline(0, color="black", lw=1, ls=":", zorder=3)
    ax.axhline(0, color="black", lw=1)
    ax.set_xticks(lags)
    ax.set_xticklabels([f"{each:+d}" if each else "0" for each in lags])
    ax.set_xlabel("fine files’ times are later than the predictors’ by [h]")
    ax.set_ylabel("correlation")
    tidy(ax)
    ax.grid(False, axis="x")
    return figure


def rain_figure(counts: dict[str, np.ndarray], extremes: dict[str, float | None]) -> Figure:
    """Histogram of the fine rain over classes, and how often each amount is reached.

    Args:
      counts: of `Survey`.
      extremes: amounts to mark, mm, by what they are.
    """
    figure = new_figure(9.6, 3.6)
    classes, reached = figure.subplots(1, 2)
    _histogram(classes, np.sum([counts[split] for split in SPLITS], axis=0))
    for name in (*SPLITS, "coarse"):
        if counts[name].sum():
            _curve(reached, name, counts[name])
    lowest = min((line.get_ydata().min() for line in reached.lines), default=1e-3)
    reached.set_xscale("log")
    reached.set_yscale("log")
    reached.set_xlim(WET_MM, 400)
    reached.set_ylim(10 ** np.floor(np.log10(max(lowest, 1e-9))), 1)
    for number, (name, amount) in enumerate(extremes.items()):
        if amount is not None and amount >= WET_MM:
            reached.axvline(amount, color="#777777", lw=0.8, ls=":")
            # One below the other, for p99.9 and the maximum may lie close together.
            reached.text(
                amount, 0.98 - 0.07 * number, f" {name}", va="top", fontsize=7, color="#444444",
                transform=reached.get_xaxis_transform(),
            )  # fmt: skip
    reached.set_xlabel("mm in the hour")
    reached.set_ylabel("share of points with at least that")
    reached.set_title("How often an amount is reached", fontsize=10)
    reached.xaxis.set_major_formatter("{x:g}")
    if reached.lines:
        reached.legend(fontsize=7.5, frameon=False, loc="lower left")
    tidy(reached)
    return figure


def _month(ax: Axes, covered: Coverage, month: np.datetime64, gap: float) -> None:
    first = month.astype("datetime64[h]")
    days = int(((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(int))
    cells = np.full(days * 24, -1)
    inside = covered.hours.astype("datetime64[M]") == month
    cells[(covered.hours[inside] - first).astype(int)] = covered.states[inside]
    ax.pcolormesh(
        np.arange(days + 1) + 0.5,
        np.arange(25),
        np.ma.masked_less(cells, 0).reshape(days, 24).T,
        cmap=ListedColormap([HOUR_COLOURS[name] for name in STATES]),
        vmin=-0.5,
        vmax=len(STATES) - 0.5,
        edgecolors="white",
        linewidth=3 * gap,
    )
    ax.set_ylim(24, 0)
    ax.set_xlim(0.5, 31.5)
    ax.set_xticks([1, 8, 15, 22, 29][: 4 + (days > 28)])
    ax.set_yticks([0, 6, 12, 18])
    ax.tick_params(labelsize=7, length=2)
    ax.spines[:].set_visible(False)
    ax.set_title(str(month), fontsize=9, loc="left")


def _histogram(ax: Axes, counts: np.ndarray) -> None:
    shares = class_counts(counts)[1:] / max(counts.sum(), 1)
    lefts = np.array(CLASS_EDGES_MM)
    rights = np.append(lefts[1:], 400.0)
    ax.bar(lefts, shares, width=rights - lefts, align="edge", color=SYSTEM_COLOURS["model"],
           edgecolor="white")  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(lefts[0], rights[-1])
    if shares.any():
        ax.set_ylim(10 ** np.floor(np.log10(shares[shares > 0].min())) / 2, 1)
    ax.set_xticks([0.1, 0.5, 1, 5, 10, 50, 100])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    ax.set_xlabel("mm in the hour")
    ax.set_ylabel("share of all known points")
    ax.set_title(f"Fine rain by amount; the other {100 * (1 - shares.sum()):.3g} % are dry",
                 fontsize=10)  # fmt: skip
    tidy(ax)


def _curve(ax: Axes, name: str, counts: np.ndarray) -> None:
    shares = exceedance(counts)
    amounts = np.arange(len(counts)) * BIN_MM
    # Steps that a screen can't show are left out, the last one never.
    kept = (amounts >= WET_MM - BIN_MM / 2) & (shares > 0)
    amounts, shares = amounts[kept], shares[kept]
    if amounts.size == 0:
        return
    changes = np.flatnonzero(np.diff(shares, append=0.0) < 0)
    style: dict[str, Any] = {"color": _COARSE_COLOUR, "ls": "--", "lw": 1.6}
    if name != "coarse":
        # A dark rim, for yellow on white is hard to see.
        rim = [withStroke(linewidth=2.8, foreground="#555555")]
        style = {"color": HOUR_COLOURS[name], "lw": 1.8, "path_effects": rim}
    label = "coarse rain" if name == "coarse" else f"fine, {name}"
    ax.plot(amounts[changes], shares[changes], label=label, **style)
