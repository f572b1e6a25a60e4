"""`python -m jaxrain.sample RUN --output OUT.nc`: an ensemble over whole domains, written whole."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxrain.allocator import keep_freed_memory
from jaxrain.command import add_drawing_arguments, check_output, run_command
from jaxrain.errors import InputError

if TYPE_CHECKING:
    from jaxrain.downscaler import Downscaler
    from jaxrain.pairs.cases import Case

SETTINGS = (
    *("members", "first_member", "sampler", "steps", "seed", "eta", "batch", "tile", "overlap"),
    *("calibrate", "contrast", "consistency", "turn", "first_guess", "sigma_max"),
    *("epsilon_scale", "noise_correlation", "noise_hours", "spread_sums_hours"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain sample",
        description="Draws an ensemble of hourly rain and writes it as CF-NetCDF. Interrupted and "
        "started again, it goes on where it was. Settings not given are the run's.",
    )
    parser.add_argument("run", metavar="RUN", help="folder that training made")
    parser.add_argument(
        "--output", required=True, metavar="OUT.nc", help="NetCDF file or .zarr store to write"
    )
    parser.add_argument(
        "--split", metavar="NAME", help="hours of the run's store: train, validation or test (test)"
    )
    parser.add_argument(
        "--input", nargs="+", metavar="FILE", help="GRIB or NetCDF predictors, instead of a split"
    )
    parser.add_argument(
        "--spread-sums",
        dest="spread_sums_hours",
        metavar="H",
        help="longest sum of rain in --input, 3 or 6 hours, whose mean may stand for each of its "
        "hours: for forecasts in such steps; extremes of these hours are too weak (1: none)",
    )
    parser.add_argument(
        "--hours",
        nargs="+",
        metavar="PERIOD",
        help="only these: START/END or one time, UTC, as in 2022-10-18T16/2022-10-18T20",
    )
    parser.add_argument(
        "--box",
        nargs=4,
        type=float,
        metavar=("NORTH", "WEST", "SOUTH", "EAST"),
        help="only points in it, degrees; with --input it may reach beyond the run's area",
    )
    parser.add_argument("--members", metavar="M", help="members of every hour")
    parser.add_argument(
        "--first-member",
        metavar="K",
        help="number of the first of them (0): each is as in a larger ensemble of the same seed",
    )
    add_drawing_arguments(parser)
    parser.add_argument("--seed", metavar="K", help="the same seed draws the same members")
    parser.add_argument(
        "--calibrate",
        choices=("true", "false"),
        help="whether members are calibrated, where `tune --calibrate` was run (true)",
    )
    parser.add_argument(
        "--contrast",
        metavar="C",
        help="for about a day a power of its own, between 1/C and C, gathers each member's rain "
        "inside coarse cells or scatters it, for days sharper or duller than training saw; with "
        "--consistency hard, or the means of cells move; 1 for none",
    )
    parser.add_argument(
        "--consistency",
        metavar="NAME",
        help="how far each member's mean over a coarse cell is held to the coarse rain: off, soft "
        "or hard",
    )
    parser.add_argument(
        "--first-guess",
        metavar="RUN2",
        help="a run that draws in one step, from whose rain the chain goes on; with --sigma-max",
    )
    parser.add_argument(
        "--epsilon-scale",
        metavar="L",
        help="divides the noise that the network finds at each step of a chain from a first guess: "
        "above 1, as 1.1, members keep more of the finest scales; from pure noise of all (1)",
    )
    parser.add_argument(
        "--noise-correlation",
        metavar="C",
        help="of the noise of an hour and the next, carried by the steering wind where predictors "
        "hold one: above 0, as 0.8, sequences flicker less (0)",
    )
    parser.add_argument("--noise-hours", metavar="K", help="hours that such noise remembers (12)")
    parser.add_argument(
        "--turn",
        choices=("true", "false"),
        help="whether members look at the weather from eight sides in turn, where training did "
        "(data.augment)",
    )
    parser.add_argument(
        "--products",
        metavar="NAME,...",
        help="beside the members: mean, maximum, exceedance, quantiles as q90; none for none",
    )
    parser.add_argument("--store", metavar="DIR", help="where the run's store lies now")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT.nc if it exists")
    return run_command(_sample, parser, argv)


def _sample(arguments: argparse.Namespace) -> None:
    output = Path(arguments.output)
    _check(arguments, output)
    from jaxrain.config import override, sample_overrides
    from jaxrain.downscaler import load
    from jaxrain.ensemble_file import write_ensemble
    from jaxrain.heeded import check_heeded
    from jaxrain.training.mesh import keep_compiled_programs

    keep_compiled_programs()
    given = {name: getattr(arguments, name) for name in SETTINGS}
    words = sample_overrides(given, arguments.products)
    if arguments.store:
        words.append(override("data.store", arguments.store))
    downscaler = load(arguments.run, words)
    check_heeded(downscaler, given)
    cases, origin = _cases(arguments, downscaler)
    config = downscaler.config.sample
    if caveat := downscaler.caveat(config):
        _warn([caveat])
    how = f"{config.members} members, {config.sampler} in {config.steps} steps"
    match downscaler.config.diffusion.objective:
        case "regression":
            how = "by regression"
        case "denoising" if config.first_guess:
            how += f" from the first guess of {config.first_guess}"
        case "crps":
            how = f"{config.members} members in one step"
    print(
        f"{downscaler.run} (step {downscaler.step}): {sum(len(case.hours) for case in cases)} "
        f"hours of {len(cases)} case(s), {how}",
        flush=True,
    )
    write_ensemble(downscaler, cases, output, origin, overwrite=arguments.overwrite)
    print(f"wrote {output}")


def _check(arguments: argparse.Namespace, output: Path) -> None:
    """What can be refused before anything heavy is imported."""
    check_output(output, overwrite=arguments.overwrite)
    if arguments.split and arguments.input:
        raise InputError("--split and --input exclude each other: give one of them")
    if arguments.spread_sums_hours is not None and not arguments.input:
        raise InputError(
            f"--spread-sums {arguments.spread_sums_hours}: a store holds the rain of single hours "
            "alone; give a forecast's files with --input, or leave it out"
        )


def _cases(
    arguments: argparse.Namespace, downscaler: "Downscaler"
) -> "tuple[list[Case], dict[str, str]]":
    """The cases that were asked for, and global attributes that say where they came from."""
    from jaxrain.ensembles.consistency import nothing_held
    from jaxrain.pairs.cases import cases
    from jaxrain.pairs.choosing import chosen_hours, within
    from jaxrain.pairs.inputs import (
        beyond_training,
        hours_left_out,
        input_cases,
        missing_predictors,
        read_inputs,
    )
    from jaxrain.pairs.pieces import beyond_area, box_attribute, parse_box
    from jaxrain.pairs.recipe import SPLITS
    from jaxrain.pairs.spread_sums import hours_spread, spread_attribute
    from jaxrain.pairs.store import open_store

    data = downscaler.config.data
    box = parse_box(arguments.box) if arguments.box else None
    if arguments.input:
        spread, chosen = downscaler.config.sample.spread_sums_hours, chosen_hours(arguments.hours)
        dataset = read_inputs(arguments.input, data, spread_hours=spread)
        _warn(hours_left_out(dataset, chosen) + hours_spread(dataset, chosen))
        found = within(input_cases(dataset, downscaler.areas, data, box), arguments.hours)
        for case in found:
            _warn(missing_predictors(case) + beyond_training(case, downscaler.manifest))
        origin = {"jaxrain_input": ", ".join(Path(path).name for path in arguments.input)}
        origin |= spread_attribute(dataset, chosen)
    else:
        split = arguments.split or "test"
        if split not in SPLITS:
            raise InputError(f"--split {split}: there are {', '.join(SPLITS)}")
        every = cases(open_store(data.store, data), data, split, truth=False, box=box)
        found = within(every, arguments.hours)
        origin = {"jaxrain_store": str(data.store), "jaxrain_split": split}
    origin |= box_attribute(box)
    for case in found:
        _warn(beyond_area(case.area, downscaler.areas, box))
        _warn(nothing_held(case, downscaler.config.sample.consistency))
    return found, origin


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
