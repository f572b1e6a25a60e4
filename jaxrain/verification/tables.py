"""Tables of scores, as HTML and as lines for a terminal."""

from collections.abc import Sequence
from html import escape

from jaxrain.pages.document import table
from jaxrain.verification.fractions import WINDOWS_KM
from jaxrain.verification.metrics import FRACTION_MEANINGS, MEANINGS, THRESHOLD_MEANINGS
from jaxrain.verification.points import THRESHOLDS_MM
from jaxrain.verification.scoring import MODEL, Interval, Verification

_TERMINAL = ("crps_mm", "rmse_mm", "bias_mm", "wet_area_ratio", "p99.9_ratio", "spectrum_max_db")


def number(value: float | None) -> str:
    """Three significant digits, four places at the most; a dash where not known."""
    if value is None:
        return "–"
    text = f"{value:#.3g}".rstrip(".") if abs(value) >= 0.1 else f"{value:.4f}"
    return text.replace("-", "−") if float(text) else "0"


def bounds(score: Interval) -> str:
    """'low to high', or nothing where no interval is known."""
    if score["low"] is None or score["high"] is None:
        return ""
    return f"{number(score['low'])} to {number(score['high'])}"


def overview(found: Verification) -> str:
    """HTML table of the scores that are one number, a column per system."""
    rows = [
        _row(name, [found.systems[system][name] for system in found.systems], meaning)
        for name, meaning in MEANINGS.items()
    ]
    return table(["", *found.systems, "what it is"], rows)


def by_threshold(found: Verification) -> str:
    """HTML table of the yes-or-no scores, a column per threshold."""
    rows: list[str] = []
    for score, meaning in THRESHOLD_MEANINGS.items():
        rows.append(_group(f"{score}: {meaning}", 1 + len(THRESHOLDS_MM)))
        for system in _systems(found, score):
            cells = [found.systems[system][f"{score}_{t:g}mm"] for t in THRESHOLDS_MM]
            rows.append(_row(system, cells))
    return table(["at or above", *(f"{t:g} mm" for t in THRESHOLDS_MM)], rows)


def by_window(found: Verification) -> str:
    """HTML table of fractions skill scores, a column per window."""
    rows: list[str] = []
    for score, meaning in FRACTION_MEANINGS.items():
        for threshold in THRESHOLDS_MM:
            title = f"{score}, {threshold:g} mm or more: {meaning}"
            rows.append(_group(title, 1 + len(WINDOWS_KM)))
            for system in _systems(found, score):
                names = [f"{score}_{threshold:g}mm_{w}km" for w in WINDOWS_KM]
                rows.append(_row(system, [found.systems[system][name] for name in names]))
    return table(["window", *(f"{w} km" for w in WINDOWS_KM)], rows)


def terminal(found: Verification) -> str:
    """The scores that matter most, as lines of text."""
    lines = [f"{'':<18}" + "".join(f"{system:>12}" for system in found.systems)]
    for name in _TERMINAL:
        cells = [number(scores[name]["value"]) for scores in found.systems.values()]
        lines.append(f"{name:<18}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


def _systems(found: Verification, score: str) -> list[str]:
    """A single forecast's members are itself: their rows would repeat."""
    return [MODEL] if score.startswith("member_") else list(found.systems)


def _row(name: str, scores: Sequence[Interval], meaning: str = "") -> str:
    cells = "".join(
        f"<td>{number(score['value'])}<small>{bounds(score)}</small></td>" for score in scores
    )
    if meaning:
        cells += f'<td class="meaning">{escape(meaning)}</td>'
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _group(title: str, columns: int) -> str:
    return f'<tr class="group"><th colspan="{columns}">{escape(title)}</th></tr>'
