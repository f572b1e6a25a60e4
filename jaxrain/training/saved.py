"""Which checkpoints a run has, and which of them are whole."""

import json
import sys
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from jaxrain.errors import InputError
from jaxrain.training.seal import find_damage

FOLDER = "checkpoints"
DAMAGED = "damaged"  # beside it: where training moves what it cannot use


def saved_steps(run: str | Path) -> list[int]:
    """Steps of the whole checkpoints of a run, ascending; empty where there is no run."""
    return sorted(ocp.step.checkpoint_steps(Path(run) / FOLDER))


def whole_step(run: str | Path, step: int | None = None) -> int:
    """The newest checkpoint that its seal fits; those that are skipped are named on stderr.

    Args:
      run: folder of the run.
      step: looks at this one alone.

    Raises:
      InputError: there is no such checkpoint, or none that is whole; says what is wrong.
    """
    run = Path(run)
    steps = saved_steps(run)
    if not steps:
        raise InputError(f"{run} has no checkpoint yet; train it first")
    if step is not None and step not in steps:
        raise InputError(f"{run} has no checkpoint of step {step}; there are {steps}")
    newest_first = steps[::-1] if step is None else [step]
    skipped: list[str] = []
    for candidate in newest_first:
        damage = find_damage(run / FOLDER / str(candidate))
        if damage is None:
            for line in skipped:
                print(f"{run}: {line}; going back to checkpoint {candidate}", file=sys.stderr)
            return candidate
        skipped.append(f"checkpoint {candidate} is damaged: {damage}")
    raise InputError(
        f"{run}: {'; '.join(skipped[:3])}; no other is whole: bring back a copy, or begin anew "
        "with another train.run=FOLDER"
    )


def set_aside_newer(run: str | Path, step: int) -> None:
    """Moves checkpoints newer than `step`, which are damaged, to RUN/damaged/."""
    run = Path(run)
    for newer in (other for other in saved_steps(run) if other > step):
        (run / DAMAGED).mkdir(exist_ok=True)
        taken = len(list((run / DAMAGED).iterdir()))
        (run / FOLDER / str(newer)).rename(run / DAMAGED / f"{taken}-step-{newer}")


def use_newest(run: str | Path) -> int:
    """The newest whole checkpoint, after moving damaged newer ones to RUN/damaged/.

    Raises:
      InputError: as `whole_step`.
    """
    step = whole_step(run)
    set_aside_newer(run, step)
    return step


def read_loader_state(run: str | Path, step: int) -> dict[str, Any]:
    """The loader's part of a checkpoint, on its own.

    Raises:
      InputError: it is no JSON object.
    """
    path = Path(run) / FOLDER / str(step) / "loader" / "metadata"
    try:
        state = json.loads(path.read_bytes().decode("utf-8"))
        if isinstance(state, dict):
            return state
        reason = f"expected an object, got a {type(state).__name__}"
    except (ValueError, RecursionError) as error:
        reason = f"no JSON ({error})"
    raise InputError(f"{path}: {reason}; remove checkpoint {step}, an older one is taken")
