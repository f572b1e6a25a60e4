"""The page of a verification."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from jaxrain.pages.document import counted, document, facts, figure, grouped, section, tiles
from jaxrain.verification import browser, score_tables, tables
from jaxrain.verification.baselines import CLIMATOLOGY_MEMBERS, in_words
from jaxrain.verification.breakdown import KINDS
from jaxrain.verification.browser import Reel
from jaxrain.verification.calibration_note import calibration_table
from jaxrain.verification.gauge_scores import GaugeScores
from jaxrain.verification.score_tables import basis
from jaxrain.verification.scoring import MODEL, Interval, Verification
from jaxrain.verification.spectra import MAX_MISSING
from jaxrain.verification.tables import number

# With fewer blocks than this a bootstrap's percentiles are more guess than measurement.
_FEW_BLOCKS = 10
# Attributes longer than this (the config) are folded away.
_LONG_TEXT = 200


@dataclass(frozen=True)
class Pictures:
    """PNG files of the page.

    Attributes:
      maps: title, reason of choice and picture of each hour that is shown.
      spectra: power spectra.
      ranks: rank histogram.
      probabilities: reliability and ROC.
      skill: frequency bias and fractions skill score.
      bias: maps of bias.
      day: the day's course; None where there are too few hours.
    """

    maps: list[tuple[str, str, bytes]]
    spectra: bytes
    ranks: bytes
    probabilities: bytes
    skill: bytes
    bias: bytes
    day: bytes | None


def render(
    found: Verification,
    name: str,
    attributes: dict[str, str],
    pictures: Pictures,
    reel: Reel,
    gauges: Sequence[GaugeScores] = (),
    notes: Sequence[str] = (),
) -> str:
    """The page as text.

    Its size is bounded by that of its parts: up to three hours' maps and six figures (together
    about 2 MB), `browser.MOST_BYTES`, and tables of which that by time has 120 rows at most.

    Args:
      found: from `verify`.
      name: the ensemble's file.
      attributes: its global attributes; as everything from files, escaped.
      pictures: embedded as they are.
      reel: what can be browsed.
      gauges: scores at gauges, where there are any.
      notes: what was left out, and why.
    """
    body = "".join(
        (
            _head(found, name, notes),
            section(
                "Browse the hours",
                "White is dry (below 0.1 mm), grey is not known; on the probability the black "
                f"line is the rim of where it came. {escape(browser.limits(reel))}",
                browser.render(reel),
            ),
            _maps(pictures),
            section(
                "Scales: how much rain at which size",
                "Left of the dotted line are waves that a 1 km grid holds well. A smooth forecast "
                "drops away from the truth to the right; an ensemble's mean is meant to, its "
                "members are not. Members: the mean of their spectra, not the spectrum of their "
                f"mean. {_resolution(found)}",
                figure(
                    pictures.spectra,
                    "Power spectra and their distance from the truth",
                    f"{basis(found)}, "
                    + counted(int(found.sums[MODEL]["spectrum_squares"]), "square"),
                ),
            ),
            section(
                "Is the ensemble as sure as it may be?",
                "Even bars mean that the truth is like one more member; a U means too little "
                "spread, a slope means a bias. Only points where the truth or a member has 0.1 mm "
                "count, and ties are shared evenly.",
                figure(pictures.ranks, "Rank histogram", basis(found)) + _calibration(attributes),
            ),
            section(
                "Are its probabilities worth their name?",
                "On the diagonal a forecast of 30 % comes true 3 times in 10; the dotted line is "
                "how often it happens at all. Below, the further a curve bends to the upper left, "
                "the better often and seldom are told apart; a single forecast is one point.",
                figure(pictures.probabilities, "Reliability and ROC", basis(found)),
            ),
            section(
                "Right amounts, right neighbourhoods",
                "Frequency bias: how often a forecast says yes, over how often it came. Fractions "
                "skill score: is the share of wet points right within a window, even where the "
                "points are not? Bars are 95 % intervals.",
                figure(pictures.skill, "Frequency bias and fractions skill score", basis(found)),
            ),
            _parts(found, pictures),
            _gauges(gauges),
            _scores(found),
            _provenance(attributes),
            _limits(found),
        )
    )
    return document(f"Verification of {name}", body)


def headline(skill: Interval, reference: str) -> str:
    """The result in one sentence, no stronger than its interval allows.

    Args:
      skill: of the ensemble against the reference.
      reference: the baseline's name.
    """
    value, low, high = skill["value"], skill["low"], skill["high"]
    if value is None:
        return f"Neither the forecast nor {reference} errs: there is nothing to compare"
    change = f"{abs(100 * value):.0f} % {'below' if value >= 0 else 'above'}"
    sentence = f"The ensemble’s CRPS is {change} {in_words(reference)}"
    if low is None or high is None:
        return f"{sentence}; too few hours for an interval"
    if low > 0:
        return f"{sentence} (95 %: {100 * low:.0f} to {100 * high:.0f} % below)"
    if high < 0:
        return f"{sentence} (95 %: {-100 * high:.0f} to {-100 * low:.0f} % above)"
    return (
        f"{sentence}, no clear difference "
        f"(95 %: {-100 * low:.0f} % above to {100 * high:.0f} % below)"
    )


def _head(found: Verification, name: str, notes: Sequence[str]) -> str:
    model, reference = found.systems[MODEL], found.systems[found.reference]
    first, last = (min(f.time for f in found.fields), max(f.time for f in found.fields))
    spread = model["spread_skill"]["value"]
    numbers = [
        (number(model["crps_mm"]["value"]), f"CRPS of {found.members} members [mm]"),
        (
            number(reference["crps_mm"]["value"]),
            f"{in_words(found.reference).removeprefix('the ')} [mm]",
        ),
        (number(spread), "spread over error (1 is perfect)"),
        (f"{found.hours}", f"hours, in {len(found.fields)} fields"),
        (grouped(found.points), "points compared"),
    ]
    warning = ""
    if found.blocks.count < _FEW_BLOCKS:
        warning = (
            f'<p class="warning">All of this rests on {counted(found.hours, "hour")} in '
            f"{found.blocks.words()}: the intervals are rough, and other weather may score "
            "otherwise.</p>"
        )
    left_out = "".join(f'<p class="soft">Note: {escape(note)}.</p>' for note in notes)
    return (
        f"<header><h1>{escape(headline(found.skill[found.reference], found.reference))}</h1>"
        f'<p class="lead">{escape(name)}, {counted(found.hours, "hour")} ending {_time(first)} to '
        f"{_time(last)} UTC. "
        f"Rain in an hour at every point, against {counted(len(found.systems) - 1, 'baseline')}. "
        'All numbers: <a href="scores.json">scores.json</a>.</p>'
        f"{tiles(numbers)}{warning}{left_out}</header>"
    )


def _time(time: object) -> str:
    return str(time)[:16].replace("T", " ")


def _provenance(attributes: dict[str, str]) -> str:
    short = [(k, v) for k, v in attributes.items() if len(v) <= _LONG_TEXT and "\n" not in v]
    folded = "".join(
        f"<details><summary>{escape(name)}</summary><pre>{escape(value)}</pre></details>"
        for name, value in attributes.items()
        if (name, value) not in short
    )
    return section("What was verified", "", facts(short) + folded)


def _maps(pictures: Pictures) -> str:
    body = "".join(
        f"<h3>{escape(title)}</h3><p class='soft'>Chosen by rule: {escape(why)}.</p>"
        + figure(png, f"Maps of {title}")
        for title, why, png in pictures.maps
    )
    return section(
        "Hours worth a look",
        "White is dry (below 0.1 mm), hatched grey is not known. Members differ where the coarse "
        "input leaves the weather open; each is one possible hour, their mean is not.",
        body,
    )


def _resolution(found: Verification) -> str:
    value = found.systems[MODEL]["effective_resolution_km"]["value"]
    if value is None:
        return "No square of any hour was complete enough for a spectrum."
    return f"Effective resolution of the members: {number(value)} km."


def _calibration(attributes: dict[str, str]) -> str:
    table = calibration_table(attributes)
    if table is None:
        return ""
    same = attributes.get("jaxrain_split") == "validation"
    warning = ": those verified here, which thus look better than others would" if same else ""
    return (
        "<h3>Calibration of the members</h3><p>Their spread and amounts were fitted to the run’s "
        f"validation hours{warning}.</p>{tables.html(table)}"
    )


def _parts(found: Verification, pictures: Pictures) -> str:
    named = [(kind, score_tables.by_part(found, kind)) for kind in KINDS]
    folded = "".join(
        f"<details><summary>By {escape(kind)}</summary>{tables.html(table)}</details>"
        for kind, table in named
        if table
    )
    day = figure(pictures.day, "The day's course", basis(found)) if pictures.day else ""
    return section(
        "Where and when",
        "Mean error of the ensemble's mean at every point, in the cases with the most hours: "
        "purple is too wet, orange too dry. The parts' CRPS and means, weighted with their points, "
        "add up to the whole's, and their intervals come from the same drawing, where a part lies "
        "in more than one block; spread, spectrum and high quantiles don't, and one wet part can "
        "make the whole's.",
        figure(pictures.bias, "Maps of bias", "hours of each map in its title") + day + folded,
    )


def _gauges(found: Sequence[GaugeScores]) -> str:
    if not found:
        return ""
    by_period = "".join(
        f"<h3>Sums of {each.hours} h</h3>{tables.html(score_tables.by_gauge_threshold(each))}"
        for each in found
    )
    return section(
        "At the gauges",
        "Rain interpolated bilinearly to each station, beside the gridded truth treated as a "
        "forecast. A gauge measures a point, the grid means a square kilometre: part of every "
        "error here is that difference.",
        tables.html(score_tables.gauge_errors(found)) + by_period,
    )


def _scores(found: Verification) -> str:
    wet = found.truth["wet_fraction"]
    text = (
        f"In small print 95 % intervals from drawing {found.blocks.words()} with replacement. A "
        "single forecast’s CRPS is its mean absolute error. The truth: mean "
        f"{number(found.truth['mean_mm'])} mm, most {number(found.truth['maximum_mm'])} mm, wet on "
        f"{number(None if wet is None else 100 * wet)} % of the points; lag-1 autocorrelation "
        f"{number(found.truth['lag1_autocorrelation'])}; its own means over coarse cells are "
        f"{number(found.truth['conservation_mm'])} mm from the coarse rain."
    )
    folded = (
        ("By threshold", score_tables.by_threshold(found)),
        ("By threshold and window", score_tables.by_window(found)),
    )
    return section(
        "Scores",
        text,
        tables.html(score_tables.overview(found))
        + "".join(
            f"<details><summary>{title}</summary>{tables.html(table)}</details>"
            for title, table in folded
        ),
    )


def _of_reference(found: Verification) -> list[str]:
    """What the reference is worth, in a sentence or two; none where it is a forecast of its own."""
    told = {
        "bilinear": "Interpolation is one forecast that cannot say how sure it is, and the mean "
        "absolute error is what CRPS makes of it. Its frequency bias at heavy rain shows what "
        "averaging over a coarse cell loses.",
        "climatology": f"Climatology is {CLIMATOLOGY_MEMBERS} training hours' rain at the same "
        "points, or as many as there are: it knows the place, and nothing of the day.",
    }
    return [told[found.reference]] if found.reference in told else []


def _limits(found: Verification) -> str:
    lost = ""
    if found.unforecast:
        lost = (
            f" {grouped(found.unforecast)} points with a known truth are left out for every "
            "system, since one of them forecasts nothing there (beside missing coarse cells)."
        )
    sentences = (
        "The points of one hour are not independent, nor are neighbouring hours: "
        f"{grouped(found.points)} points are far fewer pieces of evidence. Intervals come from "
        f"drawing {found.blocks.words()} with replacement; they tell how "
        "scores vary within this weather, not what another season or region would give.",
        *_of_reference(found),
        "The truth is itself an analysis of gauges, radar or satellites, and its errors count as "
        "the forecast’s.",
        f"Points without a known truth are left out.{lost} For fractions they are dry on both "
        "sides; for spectra too, and squares that miss more than "
        f"{100 * MAX_MISSING:.0f} % are left out. Points are not weighted by their area.",
    )
    paragraphs = "".join(f"<p>{sentence}</p>" for sentence in sentences)
    return section("What this does not tell", "", paragraphs)
