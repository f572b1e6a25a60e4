"""`python -m jaxrain.verify OUT.nc --report DIR`: scores against baselines, as JSON and a page."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from jaxrain.allocator import keep_freed_memory
from jaxrain.command import run_command
from jaxrain.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain verify",
        description="Scores an ensemble against what came, beside interpolation of its coarse "
        "rain; where its predictors hold none, beside climatology.",
    )
    parser.add_argument("ensemble", metavar="OUT.nc", help="what `jaxrain sample` wrote")
    parser.add_argument(
        "--truth",
        nargs="+",
        metavar="FILE",
        help="files of fine rain, GRIB, NetCDF or the .npy hours that the run was prepared from "
        "(default: the store that OUT.nc names)",
    )
    parser.add_argument(
        "--truth-utc-offset",
        type=float,
        metavar="HOURS",
        help="how far those files' times run ahead of UTC: 8 for Beijing time (default: the run's "
        "data.fine_utc_offset_hours)",
    )
    parser.add_argument(
        "--truth-variable",
        metavar="NAME",
        help="of the rain in those files (default: the run's data.fine_variable)",
    )
    parser.add_argument(
        "--stations",
        nargs="+",
        default=[],
        metavar="FILE",
        help="gauges too: CSV with the columns station, time (end of the sum, UTC), longitude, "
        "latitude, rain_mm and perhaps hours (1, 6 or 24), or MICAPS diamond-3 files",
    )
    parser.add_argument(
        "--station-zone",
        choices=("utc", "beijing"),
        default="utc",
        help="of the times in MICAPS files that don't say so themselves (utc)",
    )
    parser.add_argument(
        "--beside",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PATH",
        help="further forecasts of the same hours and points, scored as baselines: files, with or "
        "without members, or runs, as of a regression, which are drawn first (DIR/beside/NAME.nc)",
    )
    parser.add_argument(
        "--report",
        required=True,
        metavar="DIR",
        help="folder for index.html, scores.json, maps.png and spectra.png",
    )
    return run_command(_verify, parser, argv)


def _verify(arguments: argparse.Namespace) -> None:
    from jaxrain.config import values_of_text
    from jaxrain.pairs.sources import is_npy
    from jaxrain.verification.baselines import baselines, left_out, spread_sums, without_regression
    from jaxrain.verification.beside import forecasts_beside, is_run, parse_beside
    from jaxrain.verification.conservation import coarse_rain
    from jaxrain.verification.fine_reading import offset_told, reading_asked, reading_of_run
    from jaxrain.verification.forecast import open_forecast
    from jaxrain.verification.gauges import verify_gauges, without_gauges
    from jaxrain.verification.page import headline
    from jaxrain.verification.report import report_folder, write_report
    from jaxrain.verification.score_tables import gauge_basis, terminal
    from jaxrain.verification.scoring import verify
    from jaxrain.verification.stations import read_stations
    from jaxrain.verification.truth import (
        store_at_hand,
        store_of,
        truth_from_files,
        truth_from_store,
    )

    for option in ("truth_utc_offset", "truth_variable"):
        if getattr(arguments, option) is not None and not arguments.truth:
            name = option.replace("_", "-")
            raise InputError(f"--{name} tells of files of truth: give --truth FILE ... too")
    if arguments.truth_variable is not None and all(is_npy(Path(path)) for path in arguments.truth):
        raise InputError(
            f"--truth-variable {arguments.truth_variable}: .npy hours hold no variables; the run's "
            "data.npy.fine.channels says which channel is rain: leave it out"
        )
    folder = report_folder(arguments.report)
    reports = read_stations(arguments.stations, arguments.station_zone)
    with ExitStack() as stack:
        forecast = stack.enter_context(open_forecast(arguments.ensemble))
        named = parse_beside(forecast, arguments.beside)
        notes = []
        if arguments.truth:
            store, why = store_at_hand(forecast)
            text = str(forecast.attributes.get("jaxrain_config", ""))
            sections = [values_of_text(text).get("data"), store and store.manifest["config"]]
            asked = arguments.truth_variable, arguments.truth_utc_offset
            reading = reading_asked(reading_of_run(sections), *asked)
            notes = offset_told(reading)
            for note in notes:  # now: hours may lack for it
                print(f"note: {note}")
            truth = truth_from_files(forecast, arguments.truth, reading)
        else:
            store, why = store_of(forecast), ""
            truth = truth_from_store(forecast, store)
        files = {name: path for name, path in named.items() if not is_run(path)}
        beside = stack.enter_context(forecasts_beside(forecast, files))
        if len(files) < len(named):
            from jaxrain.runs_beside import runs_beside  # knows networks, and starts slowly

            runs = runs_beside(forecast, named, folder)
            drawn = {run.name: run.draw() for run in runs}
            beside |= stack.enter_context(forecasts_beside(forecast, drawn))
            beside = {name: beside[name] for name in named}
        against = baselines(forecast, store) | beside
        more = left_out(against, why) + without_regression(forecast, against)
        more += spread_sums(forecast)
        more += without_gauges(forecast) if reports else []
        for note in more:
            print(f"note: {note}")
        notes += more
        # Before the long part: its reports may fit no hour.
        gauges = verify_gauges(forecast, truth, against, reports) if arguments.stations else []
        cells = coarse_rain(forecast, store)
        found = verify(forecast, truth, against, _progress, coarse=cells)
        page = write_report(folder, found, forecast, truth, against, gauges, notes)
    print(f"{found.hours} hours, {len(found.fields)} fields, {found.points} points")
    print(terminal(found))
    for each in gauges:
        print(f"gauges: {gauge_basis(each)}")
    print(f"{headline(found.skill[found.reference], found.reference)}.")
    print(f"report: {page}")


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\rverified {done} of {of} hours", end="\n" if done == of else "", file=sys.stderr)


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
