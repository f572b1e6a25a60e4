"""Colours that mean the same to every eye: rain in classes, and one colour for each forecast."""

from collections.abc import Iterable, Sequence

from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap

# Light rain in blues that darken, heavy rain in ambers that darken: blue against amber is the pair
# that all common colour blindness leaves apart (the test simulates it), and white is dry.
RAIN_EDGES_MM = (0.1, 0.5, 1, 2, 5, 10, 20, 50)
RAIN_COLOURS = (
    "#dbe9f6",
    "#a6cee4",
    "#5fa6d1",
    "#2b74b3",
    "#0b3b7a",
    "#ffd166",
    "#f08a24",
    "#a83208",
)
DRY = "#ffffff"
MISSING = "#b8b8b8"

PROBABILITY_EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

# Okabe and Ito (2008), Color Universal Design.
SYSTEM_COLOURS = {
    "truth": "#000000",
    "model": "#0072B2",
    "ensemble mean": "#56B4E9",
    "bilinear": "#D55E00",
    "nearest": "#E69F00",
    "quantile-mapped": "#009E73",
}
OTHER_COLOURS = ("#CC79A7", "#882255", "#999933")

DIFFERENCE_EDGES_MM = (-20, -10, -5, -2, -0.5, 0.5, 2, 5, 10, 20)
# Shares of time: of what should never be, and of what often is.
GAP_EDGES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 0.9, 1.0)
WET_EDGES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)


def rain_scale() -> tuple[Colormap, BoundaryNorm]:
    """Colours and classes of rain in an hour [mm]: white below the first edge, NaN grey."""
    colours = ListedColormap(list(RAIN_COLOURS[:-1]), "rain").with_extremes(
        under=DRY, over=RAIN_COLOURS[-1], bad=MISSING
    )
    return colours, BoundaryNorm(RAIN_EDGES_MM, len(RAIN_COLOURS) - 1)


def probability_scale() -> tuple[Colormap, BoundaryNorm]:
    """Colours and classes of a probability 0..1: white below the first edge, NaN grey."""
    return _graded("BuPu", PROBABILITY_EDGES)


def gap_scale() -> tuple[Colormap, BoundaryNorm]:
    """Colours and classes of the share of time that something is missing, 0..1: white is never."""
    return _graded("Oranges", GAP_EDGES)


def wet_scale() -> tuple[Colormap, BoundaryNorm]:
    """Colours and classes of the share of time that it rains, 0..1: white below 1 %, NaN grey."""
    return _graded("YlGnBu", WET_EDGES)


def difference_scale() -> tuple[Colormap, BoundaryNorm]:
    """Colours and classes of a difference of rain [mm]: purple where less, amber where more."""
    # Orange against purple is apart for every eye; white is within half a millimetre.
    count = len(DIFFERENCE_EDGES_MM) + 1
    colours = colormaps["PuOr_r"].resampled(count)(range(count))
    colours[count // 2] = (1, 1, 1, 1)
    scale = ListedColormap(colours[1:-1], "difference").with_extremes(
        under=colours[0], over=colours[-1], bad=MISSING
    )
    return scale, BoundaryNorm(DIFFERENCE_EDGES_MM, count - 2)


def _graded(name: str, edges: Sequence[float]) -> tuple[Colormap, BoundaryNorm]:
    # A sequence of one hue whose lightness falls evenly reads without colour too.
    count = len(edges) - 1
    colours = colormaps[name].resampled(count + 1)(range(1, count + 1))
    scale = ListedColormap(colours, name).with_extremes(under=DRY, bad=MISSING)
    return scale, BoundaryNorm(edges, count)


def system_colour(name: str, systems: Iterable[str] = ()) -> str:
    """A forecast's colour; those of `systems` without one of their own take the rest in turn."""
    if name in SYSTEM_COLOURS:
        return SYSTEM_COLOURS[name]
    others = [system for system in systems if system not in SYSTEM_COLOURS]
    return OTHER_COLOURS[others.index(name) % len(OTHER_COLOURS)]


def system_line(name: str, systems: Iterable[str] = ()) -> str:
    """Its line in a figure: solid, then dashed, then dotted, where the colours begin again."""
    others = [system for system in systems if system not in SYSTEM_COLOURS]
    turn = others.index(name) // len(OTHER_COLOURS) if name in others else 0
    return ("-", "--", ":", "-.")[turn % 4]
