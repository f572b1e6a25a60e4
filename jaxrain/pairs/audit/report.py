"""prepare_report.html and prepare_report.json, written beside and renamed."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxrain.pages.document import counted
from jaxrain.pairs.audit.coverage import coverage
from jaxrain.pairs.audit.summary import audit
from jaxrain.pairs.audit.survey import Survey
from jaxrain.pairs.pairing import Pairing
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.statistics import Tally
from jaxrain.pairs.store import Store, save_json, save_text
from jaxrain.pairs.workers import Run, in_this_process

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    # Loaded when needed: training and workers import this module, and matplotlib is slow.
    from jaxrain.pairs.audit import figures, maps
    from jaxrain.pairs.audit.page import Pictures, render
    from jaxrain.pairs.audit.random_pair import choose, read_pair

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
    make: dict[str, Callable[[], Figure]] = {
        "calendar": partial(figures.calendar_figure, covered),
        "pair": partial(maps.pair_figure, pair),
        "rain": partial(figures.rain_figure, survey.counts(), extremes),
        **{a.name: partial(maps.gaps_figure, a, survey.gaps[a.name]) for a in largest},
    }
    if any(found["lag"]["hours"]):
        make["lag"] = partial(figures.lag_figure, found["lag"])
    names = [f"the picture '{name}' of the audit" for name in make]
    drawn = dict(zip(make, run(_draw, list(make.values()), names), strict=True))
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


def _draw(make: Callable[[], "Figure"]) -> bytes:
    """A picture as PNG."""
    from jaxrain.pages.pictures import png

    return png(make())


def read_report(path: Path) -> dict[str, Any] | None:
    """The content of a store's prepare_report.json; None where the report is not whole."""
    if not ((path / _JSON).exists() and (path / _HTML).exists()):
        return None
    return json.loads((path / _JSON).read_text(encoding="utf-8"))
