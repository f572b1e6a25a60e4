"""The page that tells a forecaster what is in a store."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

from jaxrain.pages.colours import HOUR_COLOURS
from jaxrain.pages.document import (
    counted,
    document,
    facts,
    figure,
    folded,
    grouped,
    section,
    table,
    tiles,
)
from jaxrain.pairs.audit.coverage import STATES
from jaxrain.pairs.audit.table import human_bytes, saved_factor, told_of_lag
from jaxrain.weather.variables import VARIABLES

# Rows of a table that grows with the files; prepare_report.json has them all.
_ROWS = 200
_LAG_TEXT = (
    "Rain of the fine files, averaged over boxes of coarse cells, against the predictors’ rain "
    "hours before and after. Right times put the highest bar at 0; fine files in Beijing time put "
    "it at +8, sums that are named by the start of their hour at ±1."
)


@dataclass(frozen=True)
class Pictures:
    """PNG files of the page.

    Attributes:
      calendar: hours by state.
      lag: correlation by lag; None where nothing was compared.
      pair: title and picture of the pair.
      rain: amounts.
      gaps: title and picture of each area that is shown.
    """

    calendar: bytes
    lag: bytes | None
    pair: tuple[str, bytes]
    rain: bytes
    gaps: list[tuple[str, bytes]]


def render(found: dict[str, Any], config: dict[str, Any], pictures: Pictures) -> str:
    """The page as text; the same store gives the same bytes.

    Args:
      found: of `summary.audit`.
      config: the part of the data section that the store depends on.
      pictures: embedded as they are.
    """
    title, drawn = pictures.pair
    body = (
        _head(found),
        _hours(found, pictures.calendar),
        _clocks(found["lag"], pictures.lag),
        section(
            "One pair, drawn by lot",
            f"{escape(title)}; from the wetter half of the hours, seed "
            f"{found['pair_shown']['seed']}. Where both sides have rain, it should lie in the same "
            "place. White is dry or no difference, hatched grey is not known.",
            figure(drawn, f"Coarse rain, a predictor, fine rain and difference: {title}"),
        ),
        _rain(found, pictures.rain),
        _gaps(found, pictures.gaps),
        _ranges(found["ranges"]),
        _units(found),
        _files(found, config),
    )
    return document("What prepare found", "".join(body))


def _head(found: dict[str, Any]) -> str:
    hours, covered, warnings = found["hours"], found["coverage"], found["warnings"]
    wrong = counted(len(warnings), "warning") if warnings else "nothing to warn of"
    lag = found["lag"]["best"]
    numbers = [
        (grouped(sum(hours.values())), "hours paired: " + _joined(hours.items())),
        (grouped(covered["hours"]["missing"]), "hours missing that a split asks for"),
        (_percent(_missing_share(found)), "of the fine points missing"),
        ("–" if lag is None else f"{lag:+d} h" if lag else "0 h", "lag of fine to coarse rain"),
        (f"1/{saved_factor(found['bytes']):.0f}", "of the bytes of interpolated predictors"),
    ]
    told = "".join(f'<p class="warning">{escape(warning)}</p>' for warning in warnings)
    where = "; ".join(
        f"{area['name']}: {area['fine_shape'][0]} × {area['fine_shape'][1]} points, "
        f"{area['fine_extent']}"
        for area in found["areas"]
    )
    return (
        f"<header><h1>{counted(sum(hours.values()), 'hour')} of rain and its predictors, "
        f"{wrong}</h1>"
        f'<p class="lead">Hours ending {_time(covered["first"])} to {_time(covered["last"])} UTC. '
        f"{escape(where)}. All of it for machines: "
        f'<a href="prepare_report.json">prepare_report.json</a>.</p>{tiles(numbers)}{told}</header>'
    )


def _hours(found: dict[str, Any], png: bytes) -> str:
    covered = found["coverage"]
    legend = "".join(
        f'<li><i style="background:{HOUR_COLOURS[name]}"></i>{escape(meaning)}: '
        f"<b>{grouped(covered['hours'][name])}</b></li>"
        for name, meaning in STATES.items()
    )
    beyond = ""
    if covered["asked_beyond"]:
        beyond = (
            f" The splits ask for {counted(covered['asked_beyond'], 'hour')} more before the first "
            "or after the last hour of all files."
        )
    if len(found["areas"]) > 1:
        beyond += " An hour that several areas hold counts once here."
    lists = _listed(
        "Missing hours",
        [(_span(run), counted(run["hours"], "hour")) for run in covered["missing"]],
    )
    lists += _listed("Left-out hours, with the reason", _left_out(found["left_out"]))
    lists += _listed(
        "Hours that came more than once",
        [
            (_time(hour["time"]), f"took {hour['taken']}, not {hour['passed_over']}")
            for hour in found["reissued"]
        ],
    )
    return section(
        "Which hours are there",
        "Each square is an hour, by the end of the hour summed; months of which no file holds an "
        f"hour are not drawn.{beyond}",
        f'{figure(png, "Calendar of hours by state")}<ul class="legend">{legend}</ul>{lists}',
    )


def _left_out(hours: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    """Neighbours of one reason and file in one row."""
    rows = []
    for (reason, name), run in groupby(hours, key=lambda hour: (hour["reason"], hour["file"])):
        times = [hour["time"] for hour in run]
        span = _time(times[0]) + (f" to {_time(times[-1])}" if len(times) > 1 else "")
        rows.append((span, f"{counted(len(times), 'hour')}, {reason} ({name})"))
    return rows


def _clocks(lag: dict[str, Any], png: bytes | None) -> str:
    told = f"<p><b>{escape(told_of_lag(lag).capitalize())}.</b></p>"
    if lag["fine_mm"] is not None and lag["coarse_mm"]:
        told += (
            f"<p>Over the same boxes and hours the fine files have {_number(lag['fine_mm'])} mm in "
            f"the mean, the predictors {_number(lag['coarse_mm'])} mm: "
            f"{_number(lag['fine_mm'] / lag['coarse_mm'])} to 1.</p>"
        )
    if png is None:
        return section("Do the clocks agree?", "", told)
    return section("Do the clocks agree?", _LAG_TEXT, told + figure(png, "Correlation by lag"))


def _rain(found: dict[str, Any], png: bytes) -> str:
    rain = found["rain"]
    rows = []
    for name in ("all", "train", "validation", "test", "coarse"):
        of = rain[name]
        if not of["points"]:
            continue
        cells = [
            grouped(of["points"]),
            _percent(of["wet_share"]),
            *(_number(of[key]) for key in ("p50_mm", "p99_mm", "p99.9_mm", "most_mm")),
        ]
        rows.append(
            _row({"all": "fine, all", "coarse": "coarse"}.get(name, f"fine, {name}"), cells)
        )
    header = ["", "known points", "wet", "median [mm]", "p99 [mm]", "p99.9 [mm]", "most [mm]"]
    beyond = found["target_beyond_share"]["test"]
    after = ""
    if beyond is not None:
        share = _percent(beyond) if beyond else "None"
        after = f"<p>{share} of the test points lie beyond the range of the training hours"
        after += ", which sampling clips.</p>" if beyond else ".</p>"
    return section(
        "How much it rains",
        "Wet is 0.1 mm or more. Splits of one climate lie close together; coarse rain falls short "
        "at heavy amounts, for a mean over a coarse cell has no peaks.",
        figure(png, "Rain by amount") + table(header, rows) + after,
    )


def _gaps(found: dict[str, Any], pictures: Sequence[tuple[str, bytes]]) -> str:
    body = "".join(
        f"<h3>{escape(title)}</h3>{figure(png, f'Missing and wet: {title}')}"
        for title, png in pictures
    )
    left = len(found["areas"]) - len(pictures)
    if left > 0:
        body += f"<p class='soft'>{counted(left, 'further area')} with fewer hours.</p>"
    return section(
        "Where it is missing, where it rains",
        "A radar’s blind sector, the sea or a bad tile shows on the left; ground clutter, a wrong "
        "fill value or a missing mountain’s rain on the right.",
        body,
    )


def _ranges(ranges: dict[str, dict[str, Any]]) -> str:
    rows = []
    for name, of in ranges.items():
        low, high = of["plausible"]
        cells = [
            escape(of["units"]),
            *(_number(of[key], 5) for key in ("min", "mean", "max", "std")),
            f"{_number(low)} to {_number(high)}",
            _bar(of),
            _percent(of["missing_share"]),
            "as expected" if of["as_expected"] else '<b class="bad">check</b>',
        ]
        rows.append(_row(name, cells))
    header = ["", "units", "least", "mean", "most", "std", "plausible", "", "missing", ""]
    return section(
        "Variables and levels",
        "Over the hours of all splits. The bar is what was found (blue, its mean black) within "
        "what the atmosphere can show (grey); temperature and geopotential are held against the "
        "standard atmosphere at their level.",
        table(header, rows),
    )


def _bar(of: dict[str, Any]) -> str:
    """Where the values lie within the plausible range, as a small drawing."""
    low, high = of["plausible"]

    def place(value: float) -> float:
        return min(max(120 * (value - low) / (high - low), 0.0), 120.0)

    start, end, mean = (place(of[key]) for key in ("min", "max", "mean"))
    colour = "#0072b2" if of["as_expected"] else "#d55e00"
    return (
        '<svg width="124" height="12" role="img" aria-label="range"><rect width="120" height="10" '
        f'y="1" fill="#e3e8ec"/><rect x="{start:.1f}" y="1" width="{max(end - start, 1.5):.1f}" '
        f'height="10" fill="{colour}"/><rect x="{mean:.1f}" width="1.5" height="12"/></svg>'
    )


def _units(found: dict[str, Any]) -> str:
    pairs = []
    for name, counts in found["units_found"].items():
        told = ", ".join(f"{units or 'none'} ({counted(n, 'file')})" for units, n in counts.items())
        windows = found["windows_found"].get(name, {})
        told += "".join(f"; {window} ({counted(n, 'file')})" for window, n in windows.items())
        ours = VARIABLES["rain" if name == "fine_rain" else name].units
        pairs.append((name, f"{told} → {ours}"))
    words = {
        "name": "from the file’s name",
        "file": "from within the file",
        "produced": "guessed from when it was produced",
    }
    sources = _joined((words.get(name, name), n) for name, n in found["time_sources"].items())
    pairs.append(("times of the fine hours", sources))
    return section(
        "Units and windows, as found",
        "What the files say, and what the store has. Rain is the sum of the hour that ends at its "
        "time, UTC.",
        facts(pairs),
    )


def _files(found: dict[str, Any], config: dict[str, Any]) -> str:
    size, files = found["bytes"], found["files"]
    pairs = [
        ("input", f"{counted(len(files), 'file')}, {human_bytes(size['input'])}"),
        ("canonical NetCDF", human_bytes(size["netcdf"])),
        ("fine rain, arrays", human_bytes(size["fine"])),
        (
            "predictors, arrays",
            f"{human_bytes(size['coarse'])} on their own grid; interpolated to the fine one "
            f"{human_bytes(size['coarse_if_interpolated'])}",
        ),
        ("made from (hash of config and files)", found["made_from"]),
    ]
    rows = [
        _row(file["name"], [file["role"], grouped(file["bytes"]), f"<code>{file['sha256']}</code>"])
        for file in files[:_ROWS]
    ]
    hashes = table(["file", "role", "bytes", "SHA-256"], rows) + _more(len(files) - _ROWS)
    recipe = json.dumps(config, indent=1, ensure_ascii=False)
    return section(
        "Files and sizes",
        "",
        facts(pairs)
        + folded(f"Hashes of {counted(len(files), 'file')}", hashes)
        + folded("Config that the store depends on", f"<pre>{escape(recipe)}</pre>"),
    )


def _listed(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    told = facts(rows[:_ROWS]) + _more(len(rows) - _ROWS)
    return folded(f"{title} ({grouped(len(rows))})", told)


def _more(count: int) -> str:
    if count <= 0:
        return ""
    return f'<p class="soft">and {grouped(count)} more, all in prepare_report.json</p>'


def _row(name: str, cells: Iterable[str]) -> str:
    """A row: the name is plain text, the cells HTML."""
    return f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>'


def _joined(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{grouped(count)} {name}" for name, count in pairs)


def _missing_share(found: dict[str, Any]) -> float:
    return found["ranges"]["fine_rain"]["missing_share"]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _number(value: float | None, digits: int = 3) -> str:
    if value is None:
        return "–"
    # Large values in full: powers of ten are hard to compare.
    text = f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
    return text.replace("-", "−")


def _span(run: dict[str, Any]) -> str:
    first, last = _time(run["first"]), _time(run["last"])
    return first if first == last else f"{first} to {last}"


def _time(text: str) -> str:
    """'2022-06-01T05:00:00' -> '2022-06-01 05:00'."""
    told = text[:16].replace("T", " ")
    return told if len(told) > 13 else f"{told}:00"
