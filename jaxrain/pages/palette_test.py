import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from jaxrain.pages.colours import HOUR_COLOURS
from jaxrain.pages.palette import (
    GAP_EDGES,
    MISSING,
    PROBABILITY_EDGES,
    RAIN_EDGES_MM,
    WET_EDGES,
    difference_scale,
    gap_scale,
    probability_scale,
    rain_scale,
    system_colour,
    system_line,
    wet_scale,
)

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(colour, vision):
    """CIE L*a*b* of a colour as an eye of that kind sees it."""
    srgb = np.array(to_rgb(colour))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    f = np.cbrt(np.maximum(to_xyz @ seen / [0.9505, 1, 1.089], 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_every_class_of_rain_looks_unlike_every_other(vision):
    colours, norm = rain_scale()
    middles = [0.0, *(np.array(RAIN_EDGES_MM[1:]) + RAIN_EDGES_MM[:-1]) / 2, 80.0]
    seen = [lab(colours(norm(value))[:3], vision) for value in middles] + [lab(MISSING, vision)]
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(apart) > 10  # 2.3 is just noticeable side by side


def test_edges_belong_to_the_class_above_and_below_them_is_dry():
    colours, norm = rain_scale()
    assert colours(norm(0.0999))[:3] == (1, 1, 1)
    assert colours(norm(0.1)) == colours(norm(0.4)) != colours(norm(0.5))
    assert colours(norm(49.9)) != colours(norm(50.1))


def test_probability_darkens_evenly():
    colours, norm = probability_scale()
    middles = (np.array(PROBABILITY_EDGES[1:]) + PROBABILITY_EDGES[:-1]) / 2
    lightness = [lab(colours(norm(value))[:3], "normal")[0] for value in middles]
    assert (np.diff(lightness) < -2).all()
    assert colours(norm(0.0))[:3] == (1, 1, 1)


@pytest.mark.parametrize("vision", VISION)
def test_every_state_of_an_hour_looks_unlike_every_other(vision):
    seen = [lab(colour, vision) for colour in HOUR_COLOURS.values()]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 10


@pytest.mark.parametrize("vision", VISION)
def test_more_and_less_rain_are_apart_and_darken_away_from_none(vision):
    colours, norm = difference_scale()
    classes = [-30.0, -15.0, -7.0, -3.0, -1.0, 0.0, 1.0, 3.0, 7.0, 15.0, 30.0]
    seen = np.array([lab(colours(norm(value))[:3], vision) for value in classes])
    assert (np.diff(seen[:6, 0]) > 2).all()
    assert (np.diff(seen[5:, 0]) < -2).all()
    assert (np.linalg.norm(seen[:5] - seen[:5:-1], axis=1) > 10).all()
    assert colours(norm(0.0))[:3] == (1, 1, 1)


@pytest.mark.parametrize(("scale", "edges"), [(gap_scale, GAP_EDGES), (wet_scale, WET_EDGES)])
def test_shares_of_time_darken_evenly(scale, edges):
    colours, norm = scale()
    middles = (np.array(edges[1:]) + edges[:-1]) / 2
    lightness = [lab(colours(norm(value))[:3], "normal")[0] for value in middles]
    assert (np.diff(lightness) < -2).all()
    assert colours(norm(0.0))[:3] == (1, 1, 1)


def test_eleven_forecasts_beside_one_another_are_each_another_line():
    systems = ["model", "bilinear", *(f"other{number}" for number in range(9))]
    drawn = {(system_colour(name, systems), system_line(name, systems)) for name in systems}
    assert len(drawn) == len(systems)
    assert system_line("model", systems) == system_line("truth") == "-"
