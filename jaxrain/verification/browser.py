"""The page's case browser: hours, members and thresholds to choose from, without a network.

Fields are kept as classes of the page's colour scales, one small PNG per hour with all its layers
one below the other; `browser.js` colours them. A threshold is always an edge of a class, so nothing
that the browser shows is rounded.
"""

import base64
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from jaxrain.pages.field_map import cell_aspect
from jaxrain.pages.palette import (
    DRY,
    MISSING,
    PROBABILITY_EDGES,
    RAIN_COLOURS,
    RAIN_EDGES_MM,
    probability_scale,
)
from jaxrain.verification.baselines import Baseline
from jaxrain.verification.breakdown import Field
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.points import THRESHOLDS_MM
from jaxrain.verification.scoring import MODEL, read_systems
from jaxrain.verification.truth import Truth

MOST_SIDE = 256
"""Points along a side: of larger grids every second, third, ... point is shown."""
MOST_FIELDS = 24
MOST_MEMBERS = 12
MOST_BYTES = 8_000_000
"""Of the browser's pictures in the page; hours beyond are left out."""

# A class is stored as a grey level, far enough apart that no browser's rounding mixes them up.
_LEVELS = 15


@dataclass(frozen=True, eq=False)
class Reel:
    """What the browser holds.

    Attributes:
      content: as `browser.js` reads it, ready for JSON.
      shown: hours in it.
      of: hours that were verified.
      members: members in it, and of how many.
      every: of how many points each way it holds one, on the largest grid.
    """

    content: dict[str, Any]
    shown: int
    of: int
    members: tuple[int, int]
    every: int


def make_reel(
    forecast: Forecast, truth: Truth, baselines: dict[str, Baseline], fields: Sequence[Field]
) -> Reel:
    """Reads the hours to be browsed once more and packs them.

    First come the hours of the case with the wettest hour, from that one outwards, then the rest by
    their rain, until MOST_FIELDS or MOST_BYTES is reached.
    """
    packed: list[tuple[Field, dict[str, Any]]] = []
    size, every, count = 0, 1, 1
    for field in _by_interest(fields)[:MOST_FIELDS]:
        case = forecast.cases[field.case]
        systems = read_systems(case, field.hour, baselines)
        step = -(-max(case.grid.shape) // MOST_SIDE)
        picture = _picture(case, systems, truth(case, field.hour), step)
        size += len(picture["png"])
        if packed and size > MOST_BYTES:
            break
        packed.append((field, picture))
        every, count = max(every, step), len(systems[MODEL])
    packed.sort(key=lambda pair: (pair[0].case, pair[0].time))
    pictures = []
    for number, (field, picture) in enumerate(packed):
        before = packed[number - 1][0] if number else None
        hour = np.timedelta64(3600, "s")
        follows = before and before.case == field.case and field.time - before.time == hour
        pictures.append(picture | {"time": _time(field), "follows": bool(follows)})
    content = {
        "fields": pictures,
        "beside": list(baselines),
        "members": min(count, MOST_MEMBERS),
        "numbers": forecast.cases[0].numbers[:MOST_MEMBERS],
        "thresholds": THRESHOLDS_MM,
        "rain": {"edges": RAIN_EDGES_MM, "colours": [MISSING, DRY, *RAIN_COLOURS]},
        "probability": {"edges": PROBABILITY_EDGES[:-1], "colours": _probability_colours()},
        "levels": _LEVELS,
    }
    return Reel(content, len(packed), len(fields), (min(count, MOST_MEMBERS), count), every)


def render(reel: Reel) -> str:
    """The browser as HTML: controls, empty pictures, data and script."""
    content = reel.content
    script = files("jaxrain.verification").joinpath("browser.js").read_text(encoding="utf-8")
    # What files say may hold '</script>'.
    data = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    hours = [f"{field['case']}, hour to {field['time']} UTC" for field in content["fields"]]
    members = [f"member {number}" for number in content["numbers"]]
    thresholds = [f"{threshold:g} mm or more" for threshold in THRESHOLDS_MM]
    controls = (
        _choice("hour", "Hour", hours, 0)
        + '<button type="button" id="browser-back">◀ before</button>'
        '<button type="button" id="browser-next">next ▶</button>'
        '<button type="button" id="browser-play" aria-pressed="false">play the sequence</button>'
        + _choice("member", "Member", members, 0)
        + _choice("threshold", "Probability of", thresholds, 1)
        + _choice("beside", "Beside", content["beside"], 0)
    )
    panels = "".join(
        f'<figure><figcaption id="browser-{name}-title"></figcaption>'
        f'<canvas id="browser-{name}-picture" role="img"></canvas></figure>'
        for name in ("truth", "compared", "one", "mean", "probability")
    )
    return (
        f'<div class="controls">{controls}</div><div class="panels">{panels}</div>'
        '<output id="browser-readout">Point at a map to read it.</output>'
        '<div class="scale" id="browser-rain-scale"></div>'
        '<div class="scale" id="browser-probability-scale"></div>'
        "<noscript><p>The browser needs JavaScript; it fetches nothing.</p></noscript>"
        f'<script type="application/json" id="browser-data">{data}</script>'
        f"<script>{script}</script>"
    )


def limits(reel: Reel) -> str:
    """What of the verified hours the browser holds, in a sentence."""
    members = "all members" if reel.members[0] == reel.members[1] else (
        f"the first {reel.members[0]} of {reel.members[1]} members (probabilities and the mean are "
        "of all)"
    )  # fmt: skip
    which = "" if reel.shown == reel.of else ": those around the wettest, then the wettest"
    points = "" if reel.every == 1 else f"; of the largest grid one point in {reel.every} each way"
    return f"It holds {reel.shown} of {reel.of} fields{which}; {members}{points}."


def _by_interest(fields: Sequence[Field]) -> list[Field]:
    wettest = max(fields, key=lambda field: field.rain_mm)
    return sorted(
        fields,
        key=lambda field: (
            (0, abs(field.hour - wettest.hour), field.hour)
            if field.case == wettest.case
            else (1, -field.rain_mm, field.hour)
        ),
    )


def _picture(
    case: Case, systems: dict[str, np.ndarray], truth: np.ndarray, step: int
) -> dict[str, Any]:
    members = systems[MODEL]
    north_up = 1 if case.grid.y[0] > case.grid.y[-1] else -1
    rain = [truth, *(each.mean(0) for name, each in systems.items() if name != MODEL)]
    rain += [members.mean(0), *members[:MOST_MEMBERS]]
    known = np.isfinite(members).all(0)
    chances = [
        np.where(known, np.mean([m >= t for m in members], 0), np.nan) for t in THRESHOLDS_MM
    ]
    layers = [_classes(each, RAIN_EDGES_MM) for each in rain]
    layers += [_classes(each, PROBABILITY_EDGES[:-1]) for each in chances]
    cut = [layer[::north_up][::step, ::step] for layer in layers]
    rows, columns = case.grid.y[::north_up][::step], case.grid.x[::step]
    return {
        "case": case.name,
        "height": len(rows),
        "width": len(columns),
        "aspect": cell_aspect(case.grid),
        "unit": "km" if case.grid.projected else "°",
        "y": [float(rows[0]), float(rows[-1])],
        "x": [float(columns[0]), float(columns[-1])],
        "png": base64.b64encode(_png(np.concatenate(cut) * _LEVELS)).decode(),
    }


def _classes(values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """0 not known, 1 below the first edge, 2 from it on, ..."""
    classes = np.searchsorted(np.asarray(edges), values, side="right") + 1
    return np.where(np.isfinite(values), classes, 0).astype(np.uint8)


def _png(grey: np.ndarray) -> bytes:
    """A PNG of one byte per point [H, W]: lines unfiltered, since neighbours share their class."""
    height, width = grey.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), grey], 1).tobytes()
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def _probability_colours() -> list[str]:
    colours, norm = probability_scale()
    return [MISSING, DRY, *(to_hex(colours(norm(edge))) for edge in PROBABILITY_EDGES[:-1])]


def _choice(name: str, label: str, options: Sequence[str], chosen: int) -> str:
    items = "".join(
        f'<option value="{number}"{" selected" * (number == chosen)}>{escape(option)}</option>'
        for number, option in enumerate(options)
    )
    return f'<label>{escape(label)} <select id="browser-{name}">{items}</select></label>'


def _time(field: Field) -> str:
    return np.datetime_as_string(field.time, unit="m").replace("T", " ")
