"""What training knows beside its weights: which batch is next, and the steps not yet told of.

It is kept in each checkpoint, so that a run that goes on writes the same lines as one that was
never stopped, and counts bad batches and watches its loss over the whole of the run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Annotated, Any

import numpy as np
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from jaxrain.errors import InputError
from jaxrain.training.settings import TrainConfig

_REMEMBERED = 20  # lines of the log whose losses say what is usual
_BEFORE_JUDGING = 5


_Number = Annotated[int, Field(ge=0)]


@pydantic_dataclass
class _Kept:
    """What `Progress.to_json` writes; of a converted checkpoint, the first alone."""

    next_batch: _Number
    logged: _Number | None = None
    pending: list[dict[str, FiniteFloat]] = field(default_factory=list)
    bad_batches: _Number = 0
    losses: list[FiniteFloat] = field(default_factory=list)


_KEPT = TypeAdapter(_Kept)


class Exploded(Exception):
    """The loss is far above what it was; the message says where."""


@dataclass
class Progress:
    """Of one training, at one step.

    Attributes:
      logged: step of the last line of the log.
      pending: numbers of the good updates since, by name.
      bad: updates skipped so far, because a number of theirs was not finite.
      losses: mean loss of the last lines.
    """

    logged: int = 0
    pending: list[dict[str, float]] = field(default_factory=list)
    bad: int = 0
    losses: list[float] = field(default_factory=list)

    def take(
        self, config: TrainConfig, values: Sequence[Mapping[str, Any]], first_step: int
    ) -> list[int]:
        """Takes in what consecutive updates returned.

        Args:
          config: says what to do with updates whose numbers are not finite.
          values: numbers by name.
          first_step: number of the first update, counted from 1.

        Returns:
          The steps that were skipped.

        Raises:
          InputError: an update had a NaN or infinite number, and it was one too many.
        """
        skipped = []
        for step, of_step in enumerate(values, first_step):
            numbers = {name: float(value) for name, value in of_step.items()}
            wrong = [name for name, value in numbers.items() if not math.isfinite(value)]
            if not wrong:
                self.pending.append(numbers)
                continue
            self.bad += 1
            skipped.append(step)
            if config.bad_batches == "skip" and self.bad <= config.max_bad_batches:
                continue
            allowed = (
                f"train.max_bad_batches={config.max_bad_batches} are used up"
                if config.bad_batches == "skip"
                else "or skip such batches with train.bad_batches=skip"
            )
            raise InputError(
                f"step {step} (batch {step - 1}): {wrong[0]} is {numbers[wrong[0]]}, training "
                "stops; the last checkpoint is good: go on from it with a lower "
                f"train.learning_rate, look for wild values with prepare's audit; {allowed}"
            )
        return skipped

    def means(self) -> dict[str, float]:
        """Of the pending numbers, by name; empty where there are none."""
        if not self.pending:
            return {}
        return {
            name: float(np.mean([numbers[name] for numbers in self.pending]))
            for name in self.pending[0]
        }

    def check_loss(self, config: TrainConfig, step: int) -> None:
        """Compares the pending mean loss with the lines before.

        Raises:
          Exploded: it is more than `config.explosion` times what is usual.
        """
        if config.explosion is None or not self.pending or len(self.losses) < _BEFORE_JUDGING:
            return
        loss, usual = self.means()["loss"], median(self.losses)
        if loss > config.explosion * usual:
            raise Exploded(f"step {step}: the loss is {loss:.4g}, it was {usual:.4g}")

    def tell(self, step: int) -> None:
        """The pending numbers have become a line of the log."""
        if self.pending:
            self.losses = [*self.losses, self.means()["loss"]][-_REMEMBERED:]
        self.logged, self.pending = step, []

    def to_json(self, config: TrainConfig, step: int) -> dict[str, Any]:
        """What a checkpoint keeps; batches are a pure function of the first three."""
        return {
            **loader_state(config, step),
            "logged": self.logged,
            "pending": list(self.pending),
            "bad_batches": self.bad,
            "losses": list(self.losses),
        }


def read_progress(kept: Mapping[str, Any]) -> Progress:
    """The progress that a checkpoint keeps; a converted one keeps only which batch comes next.

    Raises:
      InputError: something is missing or of a wrong kind.
    """
    try:
        form = _KEPT.validate_python(dict(kept))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        raise InputError(
            f"the checkpoint's loader state is damaged: {where}: {first['msg']}; remove the "
            "checkpoint, an older one is taken"
        ) from None
    except UnicodeEncodeError:  # JSON can spell halves of characters
        raise InputError("the checkpoint's loader state holds text that is no Unicode") from None
    return Progress(
        logged=form.next_batch if form.logged is None else form.logged,
        pending=form.pending,
        bad=form.bad_batches,
        losses=form.losses,
    )


def loader_state(config: TrainConfig, step: int) -> dict[str, Any]:
    """What says which batch comes next: batches are a pure function of these three."""
    return {"next_batch": step, "batch_size": config.batch_size, "seed": config.seed}
