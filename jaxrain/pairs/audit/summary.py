"""What prepare found, as JSON has it."""

from collections import Counter
from typing import Any

import numpy as np

from jaxrain.pairs.audit.amounts import CLASS_EDGES_MM, describe_amounts
from jaxrain.pairs.audit.coverage import Coverage, summarise
from jaxrain.pairs.audit.doubts import find_warnings
from jaxrain.pairs.audit.lag import compare_rain
from jaxrain.pairs.audit.random_pair import SEED, choose
from jaxrain.pairs.audit.survey import Survey
from jaxrain.pairs.bending import RAIN_CHANNEL
from jaxrain.pairs.pairing import Pairing
from jaxrain.pairs.recipe import SPLITS, DataConfig
from jaxrain.pairs.statistics import Tally, merge
from jaxrain.pairs.store import Store
from jaxrain.weather.variables import plausible_range


def audit(
    store: Store,
    config: DataConfig,
    pairing: Pairing,
    covered: Coverage,
    tallies: dict[str, Tally],
    survey: Survey,
) -> dict[str, Any]:
    """Sums up a store: hours, what was left out, units, ranges, rain, clocks, sizes, hashes.

    Args:
      store: with its statistics.
      config: the data section.
      pairing: of the files.
      covered: of the pairing.
      tallies: of `tally_hours`.
      survey: filled by the same pass.

    Returns:
      Content of prepare_report.json; its `warnings` are sentences.
    """
    splits = Counter(split for area in store.areas for split in area.splits)
    files = store.manifest["files"]
    ranges = _ranges(store, tallies)
    shown, index = choose(store, survey.gaps)
    found = {
        "made_from": store.manifest["made_from"],
        "hours": {split: splits[split] for split in SPLITS},
        "coverage": summarise(covered),
        "left_out": [
            {"time": str(time), "file": name, "reason": reason}
            for time, name, reason in pairing.left_out
        ],
        "reissued": [
            {"time": str(time), "taken": taken, "passed_over": other}
            for time, taken, other in pairing.reissued
        ],
        "units_found": {name: dict(counts) for name, counts in pairing.units.items()},
        "windows_found": {name: dict(counts) for name, counts in pairing.windows.items()},
        "time_sources": dict(pairing.time_sources),
        "ranges": ranges,
        "missing_share": {
            split: 1.0 - tally.fine.size / tally.points if tally.points else None
            for split, tally in tallies.items()
        },
        "target_beyond_share": {
            "test": store.manifest["statistics"]["target"]["test_share_beyond"]
        },
        "rain": _rain(tallies, ranges, survey.counts()),
        "lag": compare_rain(survey.box_rain(), _why_no_lag(config)),
        "areas": [
            about | {"hours": len(area.hours)}
            for about, area in zip(store.manifest["areas"], store.areas, strict=True)
        ],
        "pair_shown": {"area": shown.name, "time": str(shown.hours[index]), "seed": SEED},
        "bytes": _bytes(store),
        "files": [
            {key: file[key] for key in ("role", "name", "bytes", "sha256")} for file in files
        ],
    }
    return found | {"warnings": find_warnings(found)}


def _why_no_lag(config: DataConfig) -> str | None:
    if config.coarsen is not None:
        return "the coarse rain is made from the fine"
    if RAIN_CHANNEL not in config.variables:
        return f"there is no {RAIN_CHANNEL} among the predictors"
    return None


def _ranges(store: Store, tallies: dict[str, Tally]) -> dict[str, dict[str, Any]]:
    """Over the hours of all splits: a fault in the test hours counts as well."""
    cells = sum(len(area.hours) * int(np.prod(area.coarse_grid.shape)) for area in store.areas)
    points = sum(tally.points for tally in tallies.values())
    ranges = {}
    for index, name in enumerate([*store.channels, "fine_rain"]):
        fine = name == "fine_rain"
        seen = [tally.fine if fine else tally.channels[index] for tally in tallies.values()]
        every = merge(merge(seen[0], seen[1]), seen[2])
        low, high = plausible_range("rain" if fine else name)
        ranges[name] = {
            "units": store.manifest["units"][name],
            "min": every.least,
            "mean": every.mean,
            "max": every.most,
            "std": every.std,
            "plausible": [low, high],
            "as_expected": bool(low <= every.least and every.most <= high),
            "missing_share": 1.0 - every.size / (points if fine else cells),
        }
    return ranges


def _rain(
    tallies: dict[str, Tally], ranges: dict[str, dict[str, Any]], counts: dict[str, np.ndarray]
) -> dict[str, Any]:
    coarse = ranges[RAIN_CHANNEL]["max"] if RAIN_CHANNEL in ranges else 0.0
    fine = np.sum([counts[split] for split in SPLITS], axis=0)
    return {
        "class_edges_mm": list(CLASS_EDGES_MM),
        "all": describe_amounts(fine, ranges["fine_rain"]["max"]),
        **{split: describe_amounts(counts[split], tallies[split].fine.most) for split in SPLITS},
        "coarse": describe_amounts(counts["coarse"], coarse),
    }


def _bytes(store: Store) -> dict[str, int]:
    arrays = [path for area in store.areas for path in area.folder.glob("*.npy")]
    points = sum(len(area.hours) * int(np.prod(area.fine_grid.shape)) for area in store.areas)
    canonical = [store.path / file["netcdf"] for file in store.manifest["files"]]
    return {
        "input": sum(file["bytes"] for file in store.manifest["files"]),
        "netcdf": sum(path.stat().st_size for path in canonical),
        "fine": sum(path.stat().st_size for path in arrays if path.name.startswith("fine_")),
        "coarse": sum(path.stat().st_size for path in arrays if path.name.startswith("coarse_")),
        "coarse_if_interpolated": 4 * points * len(store.channels),
    }
