"""Figures without a window system, as PNG whose bytes depend on nothing but the numbers."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

_DOTS_PER_INCH = 110


def new_figure(width: float, height: float) -> Figure:
    """An empty figure [inches] in the page's style."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    figure.set_dpi(_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # once, where savefig draws twice
    buffer = io.BytesIO()
    # Without a library's version in it, so that the same numbers give the same bytes.
    Image.fromarray(np.asarray(canvas.buffer_rgba())).save(buffer, "png")
    return buffer.getvalue()


def tidy(ax: Axes) -> None:
    """A light grid, small numbers, no frame above and to the right."""
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
