"""`python -m jaxrain.tune RUN`: which sampler, in how many steps, is worth its time; or which
calibration, or contrast, fits the validation hours."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxrain.allocator import keep_freed_memory
from jaxrain.command import run_command
from jaxrain.errors import InputError

if TYPE_CHECKING:
    from jaxrain.downscaler import Downscaler
    from jaxrain.pairs.store import Store
    from jaxrain.validation import Case

SAMPLERS = ("dpmpp_2m", "heun", "ddim")
STEPS = (8, 12, 16, 20, 30, 50)
# Of `sample`, kept with a new default.
LEAST_OF_CONTRAST = 4  # from so many members on there are sharp and dull ones
TUNED_WITH = ("first_guess", "sigma_max", "turn", "epsilon_scale")


@dataclasses.dataclass(frozen=True)
class Trial:
    """One sampler in so many steps, measured.

    Attributes:
      sampler: its name.
      steps: network evaluations of a member.
      seconds: of a member of one window, compiled before.
      crps_mm: fair CRPS, the mean over all known points of the windows.
      spread_skill: root mean variance of the members over their mean's error; 1 is calibrated.
    """

    sampler: str
    steps: int
    seconds: float
    crps_mm: float
    spread_skill: float


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
    from jaxrain.config import override, replaced
    from jaxrain.downscaler import load
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
        (_calibrate if arguments.calibrate else _contrast)(downscaler, arguments)
        return
    if one_step:
        raise InputError(
            f"{arguments.run} draws members in one step: no sampler to tune; give --calibrate or "
            "--contrasts"
        )
    tuned = downscaler.config.sample
    begins = tuned.first_guess is not None or arguments.sigma_max is not None
    begins |= tuned.epsilon_scale != 1.0
    settings = [
        replaced(tuned, sampler=name, steps=steps) for name, steps in _chains(arguments, begins)
    ]
    for setting in settings:
        setting.check_heeded(sigma_max=arguments.sigma_max is not None)
    cases = _cases(downscaler, arguments.cases)
    trials = []
    print("| sampler | steps | seconds a member | CRPS [mm] | spread/skill |")
    print("| --- | --- | --- | --- | --- |")
    for setting in settings:
        trial = _try(downscaler, setting, cases, arguments.members)
        print(_row(trial), flush=True)
        trials.append(trial)
    best = recommended(trials, arguments.tolerance)
    _save(downscaler, trials, best, default=not arguments.dry_run)
    points = sum(case.truth.size for case in cases)
    print(
        f"on {len(cases)} windows of the validation hours ({points} points), {arguments.members} "
        f"members: {best.sampler} in {best.steps} steps"
        + ("" if arguments.dry_run else f", now the default of {downscaler.run}")
    )


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


def recommended(trials: Sequence[Trial], tolerance: float) -> Trial:
    """The fastest whose CRPS is at most `tolerance` (a share) above the best."""
    least = min(trial.crps_mm for trial in trials)
    good = [trial for trial in trials if trial.crps_mm <= least * (1 + tolerance)]
    return min(good, key=lambda trial: trial.seconds)


def pareto(trials: Sequence[Trial]) -> list[Trial]:
    """Those that no other beats in both seconds and CRPS, the fastest first."""
    front: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: (trial.seconds, trial.crps_mm)):
        if not front or trial.crps_mm < front[-1].crps_mm:
            front.append(trial)
    return front


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


def _calibrate(downscaler: "Downscaler", arguments: argparse.Namespace) -> None:
    from jaxrain.calibrating import calibrate, window_cases
    from jaxrain.pairs.store import open_store

    config = downscaler.config
    store = open_store(config.data.store, config.data)
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


def _contrast(downscaler: "Downscaler", arguments: argparse.Namespace) -> None:
    from jaxrain.config import replaced
    from jaxrain.contrasting import SCORES, contrast_cases, fitting, try_contrast
    from jaxrain.ensembles.calibration import FILE
    from jaxrain.pairs.store import open_store, save_json

    config = downscaler.config
    store = open_store(config.data.store, config.data)
    settings = [
        replaced(config.sample, contrast=contrast, members=arguments.members)
        for contrast in arguments.contrasts
    ]
    cases = contrast_cases(downscaler, store, arguments.cases)
    _check_there(cases, store)
    print(f"| contrast | {' | '.join(SCORES.values())} |\n|{' --- |' * (1 + len(SCORES))}")
    trials = []
    for setting in settings:
        trial = try_contrast(downscaler, setting, cases)
        told = (f"{trial.scores[name]:.4g}" if name in trial.scores else "-" for name in SCORES)
        print(f"| {trial.contrast:g} | {' | '.join(told)} |", flush=True)
        trials.append(trial)
    best = fitting(trials, arguments.tolerance)
    points = sum(case.fine_grid.shape[0] * case.fine_grid.shape[1] for case in cases)
    hours = len({hour for case in cases for hour in case.hours})
    report = downscaler.run / "report"
    report.mkdir(exist_ok=True)
    told_of = {
        "trials": [dataclasses.asdict(trial) for trial in trials],
        "recommended": best.contrast,
        "windows": len(cases),
        "hours": hours,
        "points": points,
        "tolerance": arguments.tolerance,
        "sample": dataclasses.asdict(settings[0]) | {"contrast": None},
    }
    save_json(report / "contrast.json", told_of)
    calibrated = best.contrast != 1.0 and (downscaler.run / FILE).is_file()
    if not arguments.dry_run:
        off = {"calibrate": False} if calibrated else {}
        _set_default(downscaler, contrast=best.contrast, **off)
    print(
        f"on {len(cases)} windows of {hours} validation hours ({points} points), "
        f"{arguments.members} members: contrast {best.contrast:g}"
        + ("" if arguments.dry_run else f", now the default of {downscaler.run}")
        + (", without its calibration" if calibrated and not arguments.dry_run else "")
    )


def _cases(downscaler: "Downscaler", count: int) -> "list[Case]":
    from jaxrain.pairs.store import open_store
    from jaxrain.validation import choose_cases

    config = downscaler.config
    train = dataclasses.replace(config.train, validation_cases=count)
    store = open_store(config.data.store, config.data)
    cases = choose_cases(dataclasses.replace(config, train=train), store)
    _check_there(cases, store)
    return cases


def _check_there(cases: "Sequence[Any]", store: "Store") -> None:
    if not cases:
        raise InputError(
            f"the store {store.path} has no validation hours: name some in data.splits.validation "
            "and run prepare again"
        )


def _try(downscaler: "Downscaler", setting: Any, cases: "Sequence[Case]", members: int) -> Trial:
    import numpy as np

    from jaxrain.validation import draw, score, spread_skill

    program = downscaler.program(setting)
    compiled, seconds, drawn = set(), [], []
    for case in cases:
        shapes = (case.canvas.lattice, case.coarse.shape)
        if shapes not in compiled:
            draw(program, downscaler.weights, case, members)
            compiled.add(shapes)
        began = time.perf_counter()
        drawn.append(draw(program, downscaler.weights, case, members))
        seconds.append((time.perf_counter() - began) / members)
    return Trial(
        sampler=setting.sampler,
        steps=setting.steps,
        seconds=float(np.median(seconds)),
        crps_mm=score(list(cases), drawn)["validation_crps_mm"],
        spread_skill=spread_skill(list(cases), drawn),
    )


def _row(trial: Trial) -> str:
    return (
        f"| {trial.sampler} | {trial.steps} | {trial.seconds:.3g} | {trial.crps_mm:.4g} "
        f"| {trial.spread_skill:.2f} |"
    )


def _save(downscaler: "Downscaler", trials: Sequence[Trial], best: Trial, *, default: bool) -> None:
    """Writes RUN/report/tune.json and tune.png, and the run's default sampler."""
    from jaxrain.pairs.store import save_json

    report = downscaler.run / "report"
    report.mkdir(exist_ok=True)
    rows = [dataclasses.asdict(trial) for trial in trials]
    save_json(report / "tune.json", {"trials": rows, "recommended": dataclasses.asdict(best)})
    _picture(report / "tune.png", trials, best)
    if default:
        _set_default(downscaler, sampler=best.sampler, steps=best.steps)


def _set_default(downscaler: "Downscaler", **found: Any) -> None:
    """Keeps with the run what was found, and what of `sample` it was found with."""
    from jaxrain.config import load_config, save_config

    # Read anew: the store may have been named for this command alone.
    path = downscaler.run / "config.yaml"
    config = load_config(path)
    tuned = {name: getattr(downscaler.config.sample, name) for name in TUNED_WITH}
    sample = dataclasses.replace(config.sample, **tuned, **found)
    save_config(dataclasses.replace(config, sample=sample), path)


def _picture(path: Path, trials: Sequence[Trial], best: Trial) -> None:
    """CRPS against seconds, a line a sampler, the Pareto front under them."""
    from jaxrain.pages.pictures import new_figure, png
    from jaxrain.whole import whole_file

    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    front = pareto(trials)
    axes.plot(
        [trial.seconds for trial in front],
        [trial.crps_mm for trial in front],
        color="0.8",
        lw=6,
        label="none is faster and better",
    )
    for name in dict.fromkeys(trial.sampler for trial in trials):
        of_it = [trial for trial in trials if trial.sampler == name]
        axes.plot(
            [t.seconds for t in of_it], [t.crps_mm for t in of_it], marker="o", lw=1, label=name
        )
        for trial in of_it:
            where = (trial.seconds, trial.crps_mm)
            axes.annotate(f" {trial.steps}", where, fontsize=8, va="bottom")
    axes.plot(best.seconds, best.crps_mm, "k*", ms=14, label="recommended")
    axes.set(xscale="log", xlabel="seconds a member", ylabel="CRPS [mm]")
    axes.legend(frameon=False, fontsize=8)
    with whole_file(path) as partial:
        partial.write_bytes(png(figure))


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
