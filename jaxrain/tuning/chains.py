"""Which sampler, in how many steps, is worth its time: each tried on validation windows."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxrain.config import Config
from jaxrain.downscaler import Downscaler
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.errors import InputError
from jaxrain.pages.pictures import new_figure, png
from jaxrain.pairs.store import Store, save_json
from jaxrain.validation import Case, choose_cases, draw, score, spread_skill
from jaxrain.whole import whole_file


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


def chain_cases(config: Config, store: Store, count: int) -> list[Case]:
    """Windows of the validation hours, wet ones, as training looks at them."""
    train = dataclasses.replace(config.train, validation_cases=count)
    return choose_cases(dataclasses.replace(config, train=train), store)


def check_chains(downscaler: Downscaler, settings: Sequence[SampleConfig]) -> None:
    """Refuses chains that cannot be drawn, before any is.

    Raises:
      InputError: names the first of them, as SAMPLER:STEPS.
    """
    for config in settings:
        try:
            downscaler.program(config)  # built, not compiled
        except InputError as error:
            raise InputError(f"{config.sampler}:{config.steps} cannot be tried: {error}") from None


def try_chain(
    downscaler: Downscaler, config: SampleConfig, cases: Sequence[Case], members: int
) -> Trial:
    """Draws members of the cases, timed once they are compiled, and scores them together."""
    program = downscaler.program(config)
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
        sampler=config.sampler,
        steps=config.steps,
        seconds=float(np.median(seconds)),
        crps_mm=score(list(cases), drawn)["validation_crps_mm"],
        spread_skill=spread_skill(list(cases), drawn),
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


def save_trials(folder: Path, trials: Sequence[Trial], best: Trial) -> None:
    """Writes `tune.json` and `tune.png` into a folder."""
    rows = [dataclasses.asdict(trial) for trial in trials]
    save_json(folder / "tune.json", {"trials": rows, "recommended": dataclasses.asdict(best)})
    with whole_file(folder / "tune.png") as partial:
        partial.write_bytes(_picture(trials, best))


def _picture(trials: Sequence[Trial], best: Trial) -> bytes:
    """CRPS against seconds, a line a sampler, the Pareto front under them."""
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
    return png(figure)
