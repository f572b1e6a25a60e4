"""`python -m jaxrain.sample RUN --output OUT.nc`: an ensemble over whole domains, written whole."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jaxrain.allocator import keep_freed_memory
from jaxrain.command import check_output, run_command
from jaxrain.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jaxrain.downscaler import Downscaler
    from jaxrain.pairs.cases import Case

_TELL_EVERY = 15.0  # seconds between lines where no terminal shows a bar
_EXPECTED = "regression"  # of parts: what the run's regression expects of an hour

SETTINGS = (
    *("members", "first_member", "sampler", "steps", "seed", "eta", "batch", "tile", "overlap"),
    *("calibrate", "contrast", "consistency", "turn", "first_guess", "sigma_max"),
    *("epsilon_scale", "noise_correlation", "noise_hours"),
)
# Settings that members of one step lack.
OF_A_CHAIN = ("sampler", "steps", "eta", "sigma_max", "epsilon_scale")


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
        "--hours",
        nargs="+",
        metavar="PERIOD",
        help="only these: START/END or one time, UTC, as in 2022-10-18T16/2022-10-18T20",
    )
    parser.add_argument("--members", metavar="M", help="members of every hour")
    parser.add_argument(
        "--first-member",
        metavar="K",
        help="number of the first of them (0): each is as in a larger ensemble of the same seed",
    )
    parser.add_argument("--sampler", metavar="NAME", help="ddpm, ddim, dpmpp_2m, heun")
    parser.add_argument("--steps", metavar="N", help="denoising steps of every member")
    parser.add_argument("--seed", metavar="K", help="the same seed draws the same members")
    parser.add_argument(
        "--eta", metavar="E", help="share of fresh noise in a step of ddim or heun, 0 to 1"
    )
    parser.add_argument("--batch", metavar="B", help="tiles that the network sees at once")
    parser.add_argument("--tile", metavar="PIXELS", help="edge of a tile")
    parser.add_argument("--overlap", metavar="PIXELS", help="overlap of neighbouring tiles")
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
        "--sigma-max",
        metavar="S",
        help="most noise over signal, where the chain begins, in units of the scaled target",
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
    from jaxrain.config import override
    from jaxrain.downscaler import load
    from jaxrain.training.mesh import keep_compiled_programs

    keep_compiled_programs()
    given = {f"sample.{name}": getattr(arguments, name) for name in SETTINGS}
    words = [override(key, value) for key, value in given.items() if value is not None]
    if arguments.products is not None:
        names = "" if arguments.products == "none" else arguments.products
        words.append(f"sample.products=[{names}]")
    if arguments.store:
        words.append(override("data.store", arguments.store))
    downscaler = load(arguments.run, words)
    _check_heeded(arguments, downscaler)
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


def _check_heeded(arguments: argparse.Namespace, downscaler: "Downscaler") -> None:
    """Refuses what was asked for and would change nothing."""
    if downscaler.deterministic and arguments.members not in (None, "1"):
        raise InputError(
            f"--members {arguments.members}: {arguments.run} is a regression, which gives one "
            "field an hour; leave --members out"
        )
    if downscaler.deterministic and arguments.first_member not in (None, "0"):
        raise InputError(
            f"--first-member {arguments.first_member}: {arguments.run} is a regression, whose one "
            "field an hour is number 0; leave it out"
        )
    if downscaler.deterministic and arguments.noise_correlation:
        raise InputError(
            f"--noise-correlation {arguments.noise_correlation}: {arguments.run} is a regression, "
            "which draws no noise; leave it out"
        )
    if downscaler.deterministic and arguments.contrast and float(arguments.contrast) != 1:
        raise InputError(
            f"--contrast {arguments.contrast}: {arguments.run} is a regression, which has no "
            "members that could differ; leave it out"
        )
    if downscaler.config.diffusion.objective != "denoising":
        for name in OF_A_CHAIN:
            if (value := getattr(arguments, name)) is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} {value}: {arguments.run} draws in one step; leave "
                    "it out"
                )
        return
    downscaler.config.sample.check_heeded(
        sigma_max=arguments.sigma_max is not None, eta=arguments.eta is not None
    )


def write_ensemble(
    downscaler: "Downscaler",
    cases: "Sequence[Case]",
    output: Path,
    origin: dict[str, str],
    *,
    overwrite: bool = False,
) -> None:
    """Draws what is not drawn yet, sums it up, assembles the file and removes the parts.

    Args:
      downscaler: the run, with the settings of the ensemble in `config.sample`.
      cases: one makes a flat file, several a file with a group each.
      output: the NetCDF file, or a Zarr store where it is called `.zarr`.
      origin: further global attributes: where the input came from.
      overwrite: whether `output`, or parts of an ensemble with other settings, may be replaced.

    Raises:
      InputError: the file exists, another process makes it, or parts of another setting lie beside
        it.
    """
    from jaxrain.ensembles.drawing import Item
    from jaxrain.ensembles.output import case_dataset
    from jaxrain.ensembles.parts import (
        Part,
        load_part,
        missing_parts,
        open_parts,
        remove_parts,
        save_part,
    )
    from jaxrain.ensembles.products import parse_products, summarize
    from jaxrain.fingerprint import fingerprint
    from jaxrain.weather.cf import write_netcdf
    from jaxrain.weather.cf_zarr import check_replaceable, write_zarr

    zarr = output.suffix == ".zarr"
    if zarr:
        check_replaceable(output)
    config = downscaler.config.sample
    programs = [downscaler.prepare(case, config) for case in cases]  # refuses before it writes
    made_by = fingerprint(downscaler, cases, config)
    with open_parts(output, made_by, discard=overwrite) as folder:
        check_output(output, overwrite=overwrite)  # another process may have made it since
        parts = [
            Part(number, hour, member)
            for number, case in enumerate(cases)
            for hour in range(len(case.hours))
            for member in config.numbers
        ]
        missing = missing_parts(folder, parts)
        with _progress(len(parts), len(parts) - len(missing)) as advance:
            for number, draw in enumerate(programs):
                items = [
                    Item(part.hour, int(part.member)) for part in missing if part.case == number
                ]
                for item, rain in draw(items):
                    save_part(folder, Part(number, *item), rain)
                    advance()

        def of_hours(name: str) -> list[Part]:
            named = [
                [Part(n, hour, name) for hour in range(len(c.hours))] for n, c in enumerate(cases)
            ]
            return missing_parts(folder, [part for of_case in named for part in of_case])

        expects = [downscaler.prepare_regression(case, config) for case in cases]
        missing = of_hours(_EXPECTED) if downscaler.beside.regression else []
        for number, expect in enumerate(expects):
            items = [Item(part.hour, 0) for part in missing if part.case == number]
            for item, rain in expect(items) if expect else ():
                save_part(folder, Part(number, item.hour, _EXPECTED), rain)

        products = parse_products(config.products, config.thresholds_mm)
        told = products.part_name(config.numbers)
        for part in of_hours(told) if products.layers else []:
            members = [part._replace(member=member) for member in config.numbers]
            save_part(
                folder, part, summarize(products, [partial(load_part, folder, m) for m in members])
            )

        def read(number: int, hour: int, member: int) -> "NDArray[np.float32]":
            return load_part(folder, Part(number, hour, member))

        def read_product(number: int, layer: int, hour: int) -> "NDArray[np.float32]":
            return load_part(folder, Part(number, hour, told))[layer]

        def read_expected(number: int, hour: int) -> "NDArray[np.float32]":
            return load_part(folder, Part(number, hour, _EXPECTED))

        contents = {
            case.name: case_dataset(
                case,
                config.numbers,
                partial(read, number),
                products,
                partial(read_product, number),
                partial(read_expected, number) if downscaler.beside.regression else None,
            )
            for number, case in enumerate(cases)
        }
        write = write_zarr if zarr else write_netcdf
        write(
            contents if len(contents) > 1 else contents[cases[0].name],
            output,
            overwrite=overwrite,
            attributes=downscaler.attributes(config) | origin,
        )
        remove_parts(folder)


def _check(arguments: argparse.Namespace, output: Path) -> None:
    """What can be refused before anything heavy is imported."""
    check_output(output, overwrite=arguments.overwrite)
    if arguments.split and arguments.input:
        raise InputError("--split and --input exclude each other: give one of them")


def _cases(
    arguments: argparse.Namespace, downscaler: "Downscaler"
) -> "tuple[list[Case], dict[str, str]]":
    """The cases that were asked for, and global attributes that say where they came from."""
    from jaxrain.pairs.cases import cases
    from jaxrain.pairs.inputs import (
        beyond_training,
        hours_left_out,
        input_cases,
        missing_predictors,
        read_inputs,
    )
    from jaxrain.pairs.recipe import SPLITS
    from jaxrain.pairs.store import open_store

    data, chosen = downscaler.config.data, _chosen(arguments.hours)
    if arguments.input:
        dataset = read_inputs(arguments.input, data)
        _warn(hours_left_out(dataset, chosen))
        found = _within(input_cases(dataset, downscaler.areas, data), arguments.hours, chosen)
        for case in found:
            _warn(missing_predictors(case) + beyond_training(case, downscaler.manifest))
        origin = {"jaxrain_input": ", ".join(Path(path).name for path in arguments.input)}
    else:
        split = arguments.split or "test"
        if split not in SPLITS:
            raise InputError(f"--split {split}: there are {', '.join(SPLITS)}")
        every = cases(open_store(data.store, data), data, split, truth=False)
        found = _within(every, arguments.hours, chosen)
        origin = {"jaxrain_store": str(data.store), "jaxrain_split": split}
    return found, origin


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def _chosen(periods: Sequence[str] | None) -> "Callable[[NDArray], NDArray]":
    """From hours, datetime64 [T], to which of them lie in a period, bool [T]; all of no periods."""
    import numpy as np

    from jaxrain.pairs.recipe import parse_period

    if not periods:
        return lambda hours: np.ones(len(hours), bool)
    try:
        spans = [parse_period(period) for period in periods]
    except ValueError as error:
        raise InputError(f"--hours: {error}") from None
    return lambda hours: np.any([(hours >= a) & (hours < b) for a, b in spans], axis=0)


def _within(
    cases: "list[Case]",
    periods: Sequence[str] | None,
    chosen: "Callable[[NDArray], NDArray]",
) -> "list[Case]":
    """Keeps the hours that are chosen, which lie in one of the periods."""
    if not periods:
        return cases
    import numpy as np

    kept = []
    for case in cases:
        inside = chosen(case.hours)
        if inside.any():
            kept.append(replace(case, hours=case.hours[inside], coarse=case.coarse[inside]))
    if not kept:
        every = np.concatenate([case.hours for case in cases])
        raise InputError(
            f"--hours {' '.join(periods)}: none of the {len(every)} hours, which run from "
            f"{every.min()} to {every.max()}"
        )
    return kept


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[], None]]:
    """Shows how many fields are drawn: a bar on a terminal, now and then a line elsewhere."""
    if sys.stdout.isatty():
        from rich.progress import Progress

        with Progress() as progress:
            task = progress.add_task("sample", total=total, completed=done)
            yield lambda: progress.advance(task)
        return
    if done:
        print(f"{done} of {total} fields were drawn before", flush=True)
    count, told, began = done, time.monotonic(), time.monotonic()

    def advance() -> None:
        nonlocal count, told
        count += 1
        now = time.monotonic()
        if count == total or now - told > _TELL_EVERY:
            told = now
            left = (now - began) / (count - done) * (total - count)
            print(f"{count} of {total} fields, {left:.0f} s left", flush=True)

    yield advance


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
