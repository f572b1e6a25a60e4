"""A validation sample beside its truth, as a PNG."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# mm in an hour; the classes forecasters use, so light rain is seen beside heavy.
LEVELS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
MISSING = "0.85"


def save_picture(
    path: Path,
    *,
    truth: NDArray[np.float32],
    coarse: NDArray[np.float32],
    members: NDArray[np.float32],
    titles: list[str],
) -> None:
    """Draws one row a case: truth, coarse rain, two members; mm, north (row 0) up.

    Args:
      path: of the PNG; written beside and renamed.
      truth: [N, H, W], NaN where missing.
      coarse: interpolated coarse rain, [N, H, W].
      members: [N, M, H, W], M >= 2.
      titles: one for each case.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import BoundaryNorm
    from matplotlib.figure import Figure

    cases = len(truth)
    figure = Figure(figsize=(11, 2.9 * cases), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(cases, 4, squeeze=False)
    colours = colormaps["turbo"].with_extremes(bad=MISSING, under="white")
    norm = BoundaryNorm(LEVELS, colours.N, extend="both")
    names = ("truth", "coarse, interpolated", "member 1", "member 2")
    for row, title in enumerate(titles):
        fields = (truth[row], coarse[row], members[row, 0], members[row, 1])
        for axis, field, name in zip(axes[row], fields, names, strict=True):
            image = axis.imshow(field, cmap=colours, norm=norm, interpolation="nearest")
            axis.set(xticks=[], yticks=[], title=name)
        axes[row, 0].set_ylabel(title, fontsize="small")
    figure.colorbar(image, ax=axes, label="rain [mm in an hour]", shrink=0.8, ticks=LEVELS)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    figure.savefig(partial, format="png", dpi=90)
    partial.replace(path)
