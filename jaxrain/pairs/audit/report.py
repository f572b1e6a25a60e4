"""prepare_report.html and prepare_report.json, written beside and renamed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxrain.pages.document import counted
from jaxrain.pairs.audit.coverage import coverage
from jaxrain.pairs.audit.page import Pictures, render
from jaxrain.pairs.audit.random_pair import choose, read_pair
from jaxrain.pairs.audit.summary import audit
from jaxrain.pairs.audit.survey import Survey
from jaxrain.pairs.pairing import Pairing
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.statistics import Tally
from jaxrain.pairs.store import Store, save_json, save_text
from jaxrain.pairs.workers import Run, in_this_process

_JSON, _HTML = "prepare_report.json", "prepare_report.html"
# Areas whose maps are drawn: those with the most hours.
_AREAS = 6


def write_report(
    store: Store,
    config: DataConfig,
    pairing: Pairing,
    tallies: dict[str, Tally],
    survey: Survey,
    run: Run = in_this_process,
) -> dict[str, Any]:
    """Writes both files into the store.

    Args:
      store: with its statistics.
      config: the data section.
      pairing: of the files.
      tallies: of `tally_hours`.
      survey: filled by the same pass.
      run: who draws the pictures.

    Returns:
      The content of prepare_report.json.
    """
    paired = [
        (time, split)
        for area in store.areas
        for time, split in zip(area.hours, area.splits, strict=True)
    ]
    covered = coverage(paired, pairing.left_out, config.splits)
    found = audit(store, config, pairing, covered, tallies, survey)
    pair = read_pair(store, *choose(store, survey.gaps))
    largest = sorted(store.areas, key=lambda area: -len(area.hours))[:_AREAS]
    rain = found["rain"]["all"]
    extremes = {"p99": rain["p99_mm"], "p99.9": rain["p99.9_mm"], "most": rain["most_mm"]}
    asked: dict[str, tuple[Any, ...]] = {
        "pair": ("pair", pair),
        "rain": ("rain", survey.counts(), extremes),
        **{a.name: ("gaps", a, survey.gaps[a.name]) for a in largest},
        "calendar": ("calendar", covered),
    }
    if any(found["lag"]["hours"]):
        asked["lag"] = ("lag", found["lag"])
    names = [f"the picture '{name}' of the audit" for name in asked]
    drawn = dict(zip(asked, run(_draw, list(asked.values()), names), strict=True))
    pictures = Pictures(
        calendar=drawn["calendar"],
        lag=drawn.get("lag"),
        pair=(pair.title, drawn["pair"]),
        rain=drawn["rain"],
        gaps=[
            (
                f"{area.name}: {counted(len(area.hours), 'hour')}, {area.fine_grid.extent()}",
                drawn[area.name],
            )
            for area in largest
        ],
    )
    save_text(store.path / _HTML, render(found, store.manifest["config"], pictures))
    save_json(store.path / _JSON, found)
    return found


def _draw(asked: tuple[Any, ...]) -> bytes:
    """A picture as PNG: its kind, and what its function takes."""
    # Loaded by who draws: matplotlib is slow, and the command has workers for it.
    from jaxrain.pages.pictures import png
    from jaxrain.pairs.audit import figures, maps

    make: dict[str, Callable[..., Any]] = {
        "calendar": figures.calendar_figure,
        "lag": figures.lag_figure,
        "rain": figures.rain_figure,
        "pair": maps.pair_figure,
        "gaps": maps.gaps_figure,
    }
    kind, *given = asked
    return png(make[kind](*given))


def read_report(path: Path) -> dict[str, Any] | None:
    """The content of a store's prepare_report.json; None where the report is not whole."""
    if not ((path / _JSON).exists() and (path / _HTML).exists()):
        return None
    return json.loads((path / _JSON).read_text(encoding="utf-8"))
