"""What prepare found, as a summary for machines and a table for people."""

from collections import Counter
from typing import Any

import numpy as np

from jaxrain.pairs.pairing import Pairing
from jaxrain.pairs.recipe import SPLITS
from jaxrain.pairs.statistics import Tally, merge
from jaxrain.pairs.store import Store
from jaxrain.weather.variables import VARIABLES

_LISTED = 12  # left-out hours that the table names; audit.json names all


def audit(store: Store, pairing: Pairing, tallies: dict[str, Tally]) -> dict[str, Any]:
    """Sums up a store: hours, what was left out, units, ranges, missing points, sizes.

    Args:
      store: with its statistics.
      pairing: of the files.
      tallies: of `tally_hours`.

    Returns:
      Content of audit.json; its `warnings` are sentences.
    """
    splits = Counter(split for area in store.areas for split in area.splits)
    ranges = _ranges(store, tallies)
    missing = {
        split: 1.0 - tally.fine.size / tally.points if tally.points else None
        for split, tally in tallies.items()
    }
    beyond = store.manifest["statistics"]["target"]["test_share_beyond"]
    arrays = [path for area in store.areas for path in area.folder.glob("*.npy")]
    return {
        "hours": {split: splits[split] for split in SPLITS},
        "left_out": [
            {"time": str(time), "file": name, "reason": reason}
            for time, name, reason in pairing.left_out
        ],
        "reissued": [
            {"time": str(time), "taken": taken, "passed_over": other}
            for time, taken, other in pairing.reissued
        ],
        "units_found": {name: dict(counts) for name, counts in pairing.units.items()},
        "time_sources": dict(pairing.time_sources),
        "ranges": ranges,
        "missing_share": missing,
        "target_beyond_share": {"test": beyond},
        "areas": store.manifest["areas"],
        "bytes": {
            "fine": _size(arrays, "fine_"),
            "coarse": _size(arrays, "coarse_"),
            "coarse_if_interpolated": _interpolated_bytes(store),
            "netcdf": sum(
                (store.path / file["netcdf"]).stat().st_size for file in store.manifest["files"]
            ),
        },
        "files": len(store.manifest["files"]),
        "warnings": _warnings(pairing, ranges, splits, beyond),
    }


def audit_table(summary: dict[str, Any]) -> str:
    """The summary as a compact table of text."""
    lines = ["", f"audit of {summary['files']} files"]
    hours = ", ".join(f"{count} {split}" for split, count in summary["hours"].items())
    lines.append(f"  hours paired   {hours}")
    left_out = Counter(hour["reason"] for hour in summary["left_out"])
    for reason, count in left_out.most_common():
        lines.append(f"  left out       {count} hours: {reason}")
    for hour in [h for h in summary["left_out"] if h["reason"] != "in no split"][:_LISTED]:
        lines.append(f"                 {hour['time']} {hour['file']}: {hour['reason']}")
    for hour in summary["reissued"][:_LISTED]:
        lines.append(
            f"  repeated       {hour['time']}: took {hour['taken']}, not {hour['passed_over']}"
        )
    for area in summary["areas"]:
        (h, w), (k, m) = area["fine_shape"], area["coarse_shape"]
        lines.append(f"  {area['name']:<14} {k} x {m} -> {h} x {w} points, {area['fine_extent']}")
    found = (f"{name} {'/'.join(counts)}" for name, counts in summary["units_found"].items())
    lines.append(f"  units found    {', '.join(found)}")
    lines.append(f"  {'':<14} {'units':<8}{'least':>12}{'mean':>12}{'most':>12}")
    for name, of in summary["ranges"].items():
        numbers = "".join(f"{of[key]:>12.5g}" for key in ("min", "mean", "max"))
        lines.append(f"  {name:<14} {of['units']:<8}{numbers}")
    missing = ", ".join(
        f"{100 * share:.2f} % {split}"
        for split, share in summary["missing_share"].items()
        if share is not None
    )
    lines.append(f"  missing points {missing}")
    beyond = summary["target_beyond_share"]["test"]
    if beyond is not None:
        lines.append(f"  target beyond the training range: {100 * beyond:.4f} % of test points")
    size = summary["bytes"]
    saved = size["coarse_if_interpolated"] / max(size["coarse"], 1)
    lines.append(
        f"  on disk        fine {human_bytes(size['fine'])}, "
        f"predictors {human_bytes(size['coarse'])} (1/{saved:.0f} of what they were interpolated), "
        f"NetCDF {human_bytes(size['netcdf'])}"
    )
    lines += [f"  warning        {warning}" for warning in summary["warnings"]]
    return "\n".join(lines)


def _ranges(store: Store, tallies: dict[str, Tally]) -> dict[str, dict[str, Any]]:
    """Over the hours of all splits: a fault in the test hours counts as well."""
    ranges = {}
    for index, name in enumerate([*store.channels, "fine_rain"]):
        seen = [
            tally.fine if name == "fine_rain" else tally.channels[index]
            for tally in tallies.values()
        ]
        every = merge(merge(seen[0], seen[1]), seen[2])
        ranges[name] = {
            "units": store.manifest["units"][name],
            "min": every.least,
            "mean": every.mean,
            "max": every.most,
        }
    return ranges


def _warnings(
    pairing: Pairing,
    ranges: dict[str, dict[str, Any]],
    splits: Counter[str],
    beyond: float | None,
) -> list[str]:
    warnings = []
    guessed = pairing.time_sources["produced"]
    if guessed:
        warnings.append(
            f"{guessed} fine hours say no valid time: the hour that the file was produced in was "
            "taken; check that it is the end of the hour summed"
        )
    for name, counts in pairing.units.items():
        if len(counts) > 1:
            warnings.append(f"{name} comes in several units, {', '.join(map(repr, counts))}")
    for name, of in ranges.items():
        variable = VARIABLES["rain" if name == "fine_rain" else name.rstrip("0123456789")]
        low, high = variable.plausible
        if of["min"] < low or of["max"] > high:
            warnings.append(
                f"{name} runs from {of['min']:g} to {of['max']:g} {of['units']}, plausible is "
                f"{low:g} to {high:g}: check its units"
            )
    for split in ("validation", "test"):
        if not splits[split]:
            warnings.append(f"no hour is for {split}: name some in data.splits.{split}")
    if beyond is not None and beyond > 1e-3:
        warnings.append(
            f"{100 * beyond:.2f} % of the test points lie beyond the training range, which "
            "sampling clips: train on more hours"
        )
    return warnings


def _size(arrays: list[Any], prefix: str) -> int:
    return sum(path.stat().st_size for path in arrays if path.name.startswith(prefix))


def _interpolated_bytes(store: Store) -> int:
    points = sum(len(area.hours) * int(np.prod(area.fine_grid.shape)) for area in store.areas)
    return 4 * points * len(store.channels)


def human_bytes(size: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
