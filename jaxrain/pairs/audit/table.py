"""What prepare found, in the few lines that a terminal has room for."""

from collections import Counter
from typing import Any

_LISTED = 6  # left-out and repeated hours that the table names; the report names all


def audit_table(found: dict[str, Any]) -> str:
    """The summary of `summary.audit` as text; its warnings come last, where the eye is."""
    lines = ["", f"audit of {len(found['files'])} files"]
    hours = ", ".join(f"{count} {split}" for split, count in found["hours"].items())
    lines += [_line("hours paired", hours), *_unpaired(found)]
    for area in found["areas"]:
        (h, w), (k, m) = area["fine_shape"], area["coarse_shape"]
        lines.append(_line(area["name"], f"{k} x {m} -> {h} x {w} points, {area['fine_extent']}"))
    units = (f"{name} {'/'.join(counts)}" for name, counts in found["units_found"].items())
    lines += [_line("units found", ", ".join(units)), *_values(found)]
    lines.append(_line("clocks", told_of_lag(found["lag"])))
    size = found["bytes"]
    lines.append(
        _line(
            "on disk",
            f"fine {human_bytes(size['fine'])}, predictors {human_bytes(size['coarse'])} (1/"
            f"{saved_factor(size):.0f} of what they were interpolated), NetCDF "
            f"{human_bytes(size['netcdf'])}",
        )
    )
    lines += [_line("WARNING", warning) for warning in found["warnings"]]
    lines.append(_line("report", "prepare_report.html in the store shows all of it"))
    return "\n".join(lines)


def told_of_lag(lag: dict[str, Any]) -> str:
    """The lag's finding in a sentence."""
    if lag["best"] is None:
        return f"not compared: {lag['reason']}"
    correlation = dict(zip(lag["lags"], lag["correlation"], strict=True))
    told = f"fine and coarse rain agree best at lag {lag['best']:+d} h".replace("+0", "0")
    told += f" (correlation {correlation[lag['best']]:.2f}"
    if lag["best"] != 0:
        told += f", {correlation[0]:.2f} at 0"
        told += ")" if lag["clear"] else "), not clearly: the difference may be chance"
        return told
    return f"{told})"


def saved_factor(size: dict[str, int]) -> float:
    """How many times as large the predictors were, interpolated to the fine grid."""
    return size["coarse_if_interpolated"] / max(size["coarse"], 1)


def human_bytes(size: float) -> str:
    """Bytes in the unit that suits."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _unpaired(found: dict[str, Any]) -> list[str]:
    missing = found["coverage"]["hours"]["missing"]
    lines = [_line("missing", f"{missing} hours of the splits are in no file")] if missing else []
    left_out = Counter(hour["reason"] for hour in found["left_out"])
    for reason, count in left_out.most_common(_LISTED):
        lines.append(_line("left out", f"{count} hours: {reason}"))
    for hour in found["reissued"][:_LISTED]:
        told = f"{hour['time']}: took {hour['taken']}, not {hour['passed_over']}"
        lines.append(_line("repeated", told))
    if len(found["reissued"]) > _LISTED:
        lines.append(_line("repeated", f"and {len(found['reissued']) - _LISTED} more"))
    return lines


def _values(found: dict[str, Any]) -> list[str]:
    ranges, rain = found["ranges"], found["rain"]["all"]
    plausible = sum(of["as_expected"] for of in ranges.values())
    missing = ", ".join(
        f"{100 * share:.2f} % {split}"
        for split, share in found["missing_share"].items()
        if share is not None
    )
    lines = [
        _line("ranges", f"{plausible} of {len(ranges)} variables and levels are plausible"),
        _line(
            "rain",
            f"wet {100 * rain['wet_share']:.2g} %, p99 {rain['p99_mm']:g} mm, p99.9 "
            f"{rain['p99.9_mm']:g} mm, most {ranges['fine_rain']['max']:.4g} mm",
        ),
        _line("missing points", missing),
    ]
    beyond = found["target_beyond_share"]["test"]
    if beyond is not None:
        told = f"{100 * beyond:.4f} % of test points"
        lines.append(f"  target beyond the training range: {told}")
    return lines


def _line(name: str, text: str) -> str:
    return f"  {name:<14} {text}"
