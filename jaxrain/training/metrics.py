"""Numbers of a run over time: metrics.jsonl, TensorBoard, and what stands on the screen."""

import contextlib
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from jaxrain.whole import whole_file

FILE = "metrics.jsonl"


@dataclass
class MetricsLog:
    """Appends to RUN/metrics.jsonl and RUN/tensorboard/.

    Attributes:
      path: of metrics.jsonl.
      board: tensorboardX's writer; None where another process keeps the log.
    """

    path: Path
    board: Any

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One line {step, time, ...}; `time` is seconds since 1970, UTC."""
        if self.board is None:
            return
        line = {"step": step, "time": round(time.time(), 3), **values}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in values.items():
            self.board.add_scalar(name, value, step)
        self.board.flush()


@contextlib.contextmanager
def open_metrics(run: Path, step: int, *, kept: bool = True) -> Iterator[MetricsLog]:
    """Opens a run's metrics to go on after `step` updates; later lines of a killed run go.

    Args:
      run: its folder.
      step: updates done.
      kept: by this process; else it writes nothing.
    """
    path = run / FILE
    if not kept:
        yield MetricsLog(path, None)
        return
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        with whole_file(path) as partial:
            told = "".join(f"{line}\n" for line in lines if _upto(line, step))
            partial.write_text(told, encoding="utf-8")
    with _summary_writer()(str(run / "tensorboard"), purge_step=step + 1) as board:
        yield MetricsLog(path, board)


def _summary_writer() -> Any:
    """tensorboardX's; it would import torch where that is installed: seconds of every start."""
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = cast(Any, None)  # what is None is not found
    try:
        from tensorboardX import SummaryWriter
    finally:
        if hidden:
            del sys.modules["torch"]
    return SummaryWriter


def logged_scores(run: Path, name: str) -> dict[int, float]:
    """What the log of a run says of one number: its value by step."""
    return {line["step"]: line[name] for line in _lines(run) if name in line}


def last_step(run: Path, upto: int = sys.maxsize) -> int:
    """Step of the last line of a run's log, of those up to `upto`; 0 where there is none."""
    return max((line["step"] for line in _lines(run) if line["step"] <= upto), default=0)


def _lines(run: Path) -> list[dict[str, Any]]:
    path = run / FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if _upto(line, sys.maxsize)]


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
      shown: whether this process tells anything.
    """

    total: int
    bar: tuple[Any, Any] | None
    shown: bool = True

    def advance(self, step: int) -> None:
        """Moves the bar; cheap enough for every step."""
        if self.bar:
            progress, task = self.bar
            progress.update(task, completed=step)

    def show(self, step: int, loss: float, steps_per_second: float) -> None:
        """Tells loss, speed and time left."""
        left = duration((self.total - step) / steps_per_second if steps_per_second else math.inf)
        if self.bar:
            progress, task = self.bar
            told = f"loss {loss:.4g}  {steps_per_second:.3g} steps/s  {left} left"
            progress.update(task, completed=step, told=told)
        elif self.shown:
            print(
                f"step {step}/{self.total}  loss {loss:.4g}  {steps_per_second:.3g} steps/s  "
                f"{left} left",
                flush=True,
            )

    def say(self, text: str) -> None:
        """Prints a line, above the bar where there is one."""
        if self.bar:
            self.bar[0].console.print(text, markup=False, highlight=False)
        elif self.shown:
            print(text, flush=True)


@contextlib.contextmanager
def open_screen(total: int, step: int, *, shown: bool = True) -> Iterator[Screen]:
    """Starts showing progress from `step` of `total`, where this process is the one to tell."""
    if not shown or not sys.stdout.isatty():
        yield Screen(total, None, shown)
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
