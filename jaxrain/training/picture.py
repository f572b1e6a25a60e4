"""A validation sample beside its truth, as a PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# mm in an hour; the classes forecasters use, so light rain is seen beside heavy.
LEVELS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
MISSING = "0.85"


Field = NDArray[np.floating]


def save_picture(
    path: Path, cases: Sequence[tuple[Field, Field, Field]], titles: Sequence[str]
) -> None:
    """Draws one row a case: truth, interpolated coarse rain, two members; row 0 is up.

    Args:
      path: of the PNG; written beside and renamed.
      cases: (truth [H, W], coarse [H, W], members [M, H, W]) with M >= 2; mm, NaN where missing.
      titles: one for each case.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import BoundaryNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.9 * len(cases)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(cases), 4, squeeze=False)
    colours = colormaps["turbo"].with_extremes(bad=MISSING, under="white")
    norm = BoundaryNorm(LEVELS, colours.N, extend="both")
    names = ("truth", "coarse, interpolated", "member 1", "member 2")
    for row, (truth, coarse, members), title in zip(axes, cases, titles, strict=True):
        fields = (truth, coarse, members[0], members[1])
        for axis, field, name in zip(row, fields, names, strict=True):
            image = axis.imshow(field, cmap=colours, norm=norm, interpolation="nearest")
            axis.set(xticks=[], yticks=[], title=name)
        row[0].set_ylabel(title, fontsize="small")
    figure.colorbar(image, ax=axes, label="rain [mm in an hour]", shrink=0.8, ticks=LEVELS)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    figure.savefig(partial, format="png", dpi=90)
    partial.replace(path)
