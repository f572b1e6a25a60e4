"""Figures without a window system, as PNG whose bytes depend on nothing but the numbers."""

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_DOTS_PER_INCH = 110


def new_figure(width: float, height: float) -> Figure:
    """An empty figure [inches] in the page's style."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    # Without the library's version in it the same numbers give the same bytes.
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def tidy(ax: Axes) -> None:
    """A light grid, small numbers, no frame above and to the right."""
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
