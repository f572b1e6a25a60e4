"""`python -m jaxrain.tune RUN`: which sampler, in how many steps, is worth its time; or which
calibration, or contrast, fits the validation hours."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxrain.allocator import keep_freed_memory
from jaxrain.command import run_command
from jaxrain.errors import InputError

if TYPE_CHECKING:
    from jaxrain.downscaler import Downscaler
    from jaxrain.pairs.store import Store

SAMPLERS = ("dpmpp_2m", "heun", "ddim")
STEPS = (8, 12, 16, 20, 30, 50)
LEAST_OF_CONTRAST = 4  # from so many members on there are sharp and dull ones
# Of `sample`, kept with a new default.
TUNED_WITH = ("first_guess", "sigma_max", "turn", "epsilon_scale")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain tune",
        description="Draws windows of the validation hours with each sampler and number of steps, "
        "prints seconds against CRPS, and makes the fastest that is as good as the best the run's "
        "default.",
    )
    parser.add_argument("run", metavar="RUN", help="folder that training made")
    parser.add_argument(
        "--samplers", nargs="+", default=SAMPLERS, metavar="NAME", help=f"({' '.join(SAMPLERS)})"
    )
    parser.add_argument(
        "--steps", nargs="+", type=int, default=STEPS, metavar="N", help="network evaluations"
    )
    parser.add_argument(
        "--chains",
        nargs="+",
        metavar="NAME:STEPS",
        help="these alone, instead of each sampler in each number of steps, as in ddim:250",
    )
    parser.add_argument("--cases", type=int, default=4, metavar="N", help="windows (default: 4)")
    parser.add_argument("--members", type=int, default=8, metavar="M", help="(default: 8)")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="CRPS that may be lost against the best (default: 0.01)",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="instead: fit spread and amounts of the run's members to the validation hours; "
        "sampling then uses them unless sample.calibrate=false",
    )
    parser.add_argument(
        "--contrasts",
        nargs="+",
        type=float,
        metavar="C",
        help="instead: try each of these as sample.contrast, with the run's default sampler; of "
        "those whose plain CRPS is within the tolerance, the one whose spread/skill is nearest to "
        "1 becomes the default",
    )
    parser.add_argument("--first-guess", metavar="RUN2", help="as of sample, with --sigma-max")
    parser.add_argument("--sigma-max", metavar="S", help="as of sample")
    parser.add_argument("--turn", choices=("true", "false"), help="as of sample")
    parser.add_argument("--epsilon-scale", metavar="L", help="as of sample")
    parser.add_argument("--store", metavar="DIR", help="where the run's store lies now")
    parser.add_argument("--dry-run", action="store_true", help="leave the run's default as it is")
    return run_command(_tune, parser, argv)


def _tune(arguments: argparse.Namespace) -> None:
    from jaxrain.config import override
    from jaxrain.downscaler import load
    from jaxrain.pairs.store import open_store
    from jaxrain.training.mesh import keep_compiled_programs

    if arguments.members < 2 or arguments.cases < 1:
        raise InputError(
            f"--members {arguments.members} --cases {arguments.cases}: expected 2 or more members "
            "of 1 or more windows"
        )
    if not arguments.tolerance >= 0:
        raise InputError(f"--tolerance {arguments.tolerance:g}: expected 0 or more")
    fits = arguments.calibrate or arguments.contrasts is not None
    if fits:
        _check_of_fitting(arguments)
    keep_compiled_programs()
    words = ["sample.calibrate=false"]  # what is tuned and fitted are members as they come
    words += [override("data.store", arguments.store)] if arguments.store else []
    given = {name: getattr(arguments, name) for name in TUNED_WITH}
    words += [
        override(f"sample.{name}", value) for name, value in given.items() if value is not None
    ]
    if not fits and (arguments.first_guess or arguments.epsilon_scale):
        words.append("sample.sampler=dpmpp_2m")  # the run's may take neither, and is not tried
    downscaler = load(arguments.run, words)
    if downscaler.deterministic:
        raise InputError(f"{arguments.run} is a regression: it has no sampler to tune")
    one_step = downscaler.config.diffusion.objective == "crps"
    if one_step and arguments.epsilon_scale:
        raise InputError(
            f"--epsilon-scale {arguments.epsilon_scale}: {arguments.run} draws in one step; leave "
            "it out"
        )
    if fits:
        downscaler.config.sample.check_heeded(sigma_max=arguments.sigma_max is not None)
        find = _calibrate if arguments.calibrate else _contrast
    elif one_step:
        raise InputError(
            f"{arguments.run} draws members in one step: no sampler to tune; give --calibrate or "
            "--contrasts"
        )
    else:
        find = _choose
    find(downscaler, open_store(downscaler.config.data.store, downscaler.config.data), arguments)


def _check_of_fitting(arguments: argparse.Namespace) -> None:
    """Refuses what was asked for and is no matter of calibrating or of contrasts."""
    if arguments.calibrate and arguments.contrasts is not None:
        raise InputError(
            "--calibrate --contrasts: both spread members, and a run takes one or the other; "
            "leave one out"
        )
    if arguments.contrasts is not None and arguments.members < LEAST_OF_CONTRAST:
        raise InputError(
            f"--members {arguments.members}: fewer than {LEAST_OF_CONTRAST} may all have nearly "
            "the same contrast"
        )
    asked = "--calibrate" if arguments.calibrate else "--contrasts"
    chosen = {
        "--samplers": arguments.samplers is not SAMPLERS,
        "--steps": arguments.steps is not STEPS,
        "--chains": arguments.chains is not None,
    }
    for option, given in chosen.items():
        if given:
            raise InputError(
                f"{option}: {asked} looks at the members that sample draws by default; leave it "
                "out, or tune with it first, which makes the best the default"
            )


def _choose(downscaler: "Downscaler", store: "Store", arguments: argparse.Namespace) -> None:
    from jaxrain.config import replaced
    from jaxrain.tuning.chains import (
        chain_cases,
        check_chains,
        recommended,
        save_trials,
        try_chain,
    )

    config = downscaler.config
    begins = config.sample.first_guess is not None or arguments.sigma_max is not None
    begins |= config.sample.epsilon_scale != 1.0
    settings = [
        replaced(config.sample, sampler=name, steps=steps)
        for name, steps in _chains(arguments, begins)
    ]
    for setting in settings:
        setting.check_heeded(sigma_max=arguments.sigma_max is not None)
    check_chains(downscaler, settings)
    cases = chain_cases(config, store, arguments.cases)
    _check_there(cases, store)
    trials = []
    print("| sampler | steps | seconds a member | CRPS [mm] | spread/skill |")
    print("| --- | --- | --- | --- | --- |")
    for setting in settings:
        trial = try_chain(downscaler, setting, cases, arguments.members)
        print(
            f"| {trial.sampler} | {trial.steps} | {trial.seconds:.3g} | {trial.crps_mm:.4g} "
            f"| {trial.spread_skill:.2f} |",
            flush=True,
        )
        trials.append(trial)
    best = recommended(trials, arguments.tolerance)
    save_trials(_report(downscaler), trials, best)
    if not arguments.dry_run:
        _set_default(downscaler, sampler=best.sampler, steps=best.steps)
    points = sum(case.truth.size for case in cases)
    print(
        f"on {len(cases)} windows of the validation hours ({points} points), {arguments.members} "
        f"members: {best.sampler} in {best.steps} steps"
        + ("" if arguments.dry_run else f", now the default of {downscaler.run}")
    )


def _chains(arguments: argparse.Namespace, begins: bool) -> list[tuple[str, int]]:
    """What is asked for, in order; by default, where it matters, what begins at sigma_max alone."""
    from jaxrain.ensembles.settings import SAMPLERS_FROM_A_GUESS

    if not arguments.chains:
        names = arguments.samplers
        if names is SAMPLERS and begins:
            names = [name for name in SAMPLERS if name in SAMPLERS_FROM_A_GUESS]
        return [(name, steps) for name in names for steps in arguments.steps]
    chains = []
    for word in arguments.chains:
        name, _, steps = word.partition(":")
        if not steps.isdecimal():
            raise InputError(f"--chains {word}: expected NAME:STEPS, as in ddim:250")
        chains.append((name, int(steps)))
    return chains


def _calibrate(downscaler: "Downscaler", store: "Store", arguments: argparse.Namespace) -> None:
    from jaxrain.tuning.calibrating import calibrate, window_cases

    config = downscaler.config
    cases = window_cases(config, store, arguments.cases)
    _check_there(cases, store)
    found = calibrate(downscaler, cases, arguments.members)
    print("| members | CRPS [mm] | spread/skill | wet area, of truth's | p99.9, of truth's |")
    print("| --- | --- | --- | --- | --- |")
    for name, told in (
        ("as they come", "before"),
        ("calibrated, on the windows that it was fitted to", "after"),
        ("calibrated to the other half of the windows", "held_out"),
    ):
        if told in found.report:
            scores = found.report[told]
            columns = ("crps_mm", "spread_skill", "wet_area_ratio", "p99.9_ratio")
            print(f"| {name} | " + " | ".join(f"{scores.get(key, '-'):.4}" for key in columns), "|")
    if not arguments.dry_run:
        found.save(downscaler.run)
    print(
        f"on {len(cases)} windows of the validation hours ({found.report['points']} points), "
        f"{arguments.members} members: spread times {found.inflation:.3g}"
        + ("" if arguments.dry_run else f", kept in {downscaler.run}; sample uses it")
    )
    both = dataclasses.replace(downscaler, calibration=found)
    if caveat := both.caveat(dataclasses.replace(config.sample, calibrate=True)):
        print(f"but {caveat}")


def _contrast(downscaler: "Downscaler", store: "Store", arguments: argparse.Namespace) -> None:
    from jaxrain.config import replaced
    from jaxrain.ensembles.calibration import FILE
    from jaxrain.tuning.contrasting import (
        SCORES,
        contrast_cases,
        extent,
        fitting,
        save_trials,
        try_contrast,
    )

    settings = [
        replaced(downscaler.config.sample, contrast=contrast, members=arguments.members)
        for contrast in arguments.contrasts
    ]
    cases = contrast_cases(downscaler, store, arguments.cases)
    _check_there(cases, store)
    print(f"| contrast | {' | '.join(SCORES.values())} |\n|{' --- |' * (1 + len(SCORES))}")
    trials = []
    for setting in settings:
        trial = try_contrast(downscaler, setting, cases)
        row = (f"{trial.scores[name]:.4g}" if name in trial.scores else "-" for name in SCORES)
        print(f"| {trial.contrast:g} | {' | '.join(row)} |", flush=True)
        trials.append(trial)
    best = fitting(trials, arguments.tolerance)
    rests_on = extent(cases)
    told = rests_on | {"tolerance": arguments.tolerance}
    save_trials(_report(downscaler), trials, best, settings[0], told)
    calibrated = best.contrast != 1.0 and (downscaler.run / FILE).is_file()
    if not arguments.dry_run:
        off = {"calibrate": False} if calibrated else {}
        _set_default(downscaler, contrast=best.contrast, **off)
    print(
        f"on {rests_on['windows']} windows of {rests_on['hours']} validation hours "
        f"({rests_on['points']} points), "
        f"{arguments.members} members: contrast {best.contrast:g}"
        + ("" if arguments.dry_run else f", now the default of {downscaler.run}")
        + (", without its calibration" if calibrated and not arguments.dry_run else "")
    )


def _check_there(cases: Sequence[Any], store: "Store") -> None:
    if not cases:
        raise InputError(
            f"the store {store.path} has no validation hours: name some in data.splits.validation "
            "and run prepare again"
        )


def _report(downscaler: "Downscaler") -> Path:
    """The run's folder for what was found out about it, made where missing."""
    folder = downscaler.run / "report"
    folder.mkdir(exist_ok=True)
    return folder


def _set_default(downscaler: "Downscaler", **found: Any) -> None:
    """Keeps with the run what was found, and what of `sample` it was found with."""
    from jaxrain.config import load_config, save_config

    # Read anew: the store may have been named for this command alone.
    path = downscaler.run / "config.yaml"
    config = load_config(path)
    tuned = {name: getattr(downscaler.config.sample, name) for name in TUNED_WITH}
    sample = dataclasses.replace(config.sample, **tuned, **found)
    save_config(dataclasses.replace(config, sample=sample), path)


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
