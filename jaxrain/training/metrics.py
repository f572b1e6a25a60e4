"""Numbers of a run over time: metrics.jsonl, TensorBoard, and what stands on the screen."""

import contextlib
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxrain.errors import InputError

FILE = "metrics.jsonl"


def mean_metrics(values: Sequence[Mapping[str, Any]], first_step: int) -> dict[str, float]:
    """Means over steps of what a step returned, once it is known that all is finite.

    Args:
      values: of consecutive updates, numbers by name.
      first_step: number of the first update, counted from 1.

    Returns:
      Means.

    Raises:
      InputError: a number is NaN or infinite; names the first such step.
    """
    for step, of_step in enumerate(values, first_step):
        bad = [name for name, value in of_step.items() if not np.isfinite(value)]
        if bad:
            raise InputError(
                f"step {step}: {bad[0]} is {float(of_step[bad[0]])}, training stops; the last "
                "checkpoint is good: go on from it with a lower train.learning_rate, or look for "
                "wild values with prepare's audit"
            )
    return {name: float(np.mean([v[name] for v in values])) for name in values[0]}


@dataclass
class MetricsLog:
    """Appends to RUN/metrics.jsonl and RUN/tensorboard/.

    Attributes:
      path: of metrics.jsonl.
      board: tensorboardX's writer.
    """

    path: Path
    board: Any

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One line {step, time, ...}; `time` is seconds since 1970, UTC."""
        line = {"step": step, "time": round(time.time(), 3), **values}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
        self.board.flush()


@contextlib.contextmanager
def open_metrics(run: Path, step: int) -> Iterator[MetricsLog]:
    """Opens a run's metrics to go on after `step` updates; later lines of a killed run go."""
    from tensorboardX import SummaryWriter

    path = run / FILE
    if path.is_file():
        kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _upto(line, step)]
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        partial.replace(path)
    with SummaryWriter(str(run / "tensorboard"), purge_step=step + 1) as board:
        yield MetricsLog(path, board)


def _upto(line: str, step: int) -> bool:
    try:
        return json.loads(line)["step"] <= step
    except (json.JSONDecodeError, KeyError, TypeError):
        return False  # the half line of a killed process


@dataclass
class Screen:
    """Shows how far a run is: a bar on a terminal, plain lines elsewhere.

    Attributes:
      total: steps in all.
      bar: rich's progress and its task, or None where nobody watches.
    """

    total: int
    bar: tuple[Any, Any] | None

    def advance(self, step: int) -> None:
        """Moves the bar; cheap enough for every step."""
        if self.bar:
            progress, task = self.bar
            progress.update(task, completed=step)

    def show(self, step: int, loss: float, steps_per_second: float) -> None:
        """Tells loss, speed and time left."""
        left = duration((self.total - step) / steps_per_second)
        if self.bar:
            progress, task = self.bar
            told = f"loss {loss:.4g}  {steps_per_second:.3g} steps/s  {left} left"
            progress.update(task, completed=step, told=told)
        else:
            print(
                f"step {step}/{self.total}  loss {loss:.4g}  {steps_per_second:.3g} steps/s  "
                f"{left} left",
                flush=True,
            )

    def say(self, text: str) -> None:
        """Prints a line, above the bar where there is one."""
        if self.bar:
            self.bar[0].console.print(text, markup=False, highlight=False)
        else:
            print(text, flush=True)


@contextlib.contextmanager
def open_screen(total: int, step: int) -> Iterator[Screen]:
    """Starts showing progress from `step` of `total`."""
    if not sys.stdout.isatty():
        yield Screen(total, None)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("train"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns) as progress:
        yield Screen(total, (progress, progress.add_task("", total=total, completed=step, told="")))


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 3.5 min, 2.1 h, 1.2 d."""
    if not math.isfinite(seconds):
        return "?"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
