"""Batches that outlive the processes that read them.

A loader's worker may be killed, by the system for want of memory or by hand. As batch k is a
function of k alone, reading goes on in new workers with the batch that comes next.
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np

from jaxrain.errors import InputError

Batch = dict[str, np.ndarray]
_MOST = 3  # losses in one training: a machine that kills more often has a reason to be told
_LOST = "Worker process was terminated"  # how grain's error begins


def outlive_workers(open_at: Callable[[int], Iterator[Batch]], step: int) -> Iterator[Batch]:
    """Batches from a step on, opened anew where a worker of theirs was killed.

    Args:
      open_at: opens the batches at a step; called at once, so that what cannot be is refused now.
      step: of the first.

    Raises:
      InputError: while iterating: workers were killed more than 3 times.
    """
    return _batches(open_at(step), open_at, step)


def _batches(
    batches: Iterator[Batch], open_at: Callable[[int], Iterator[Batch]], step: int
) -> Iterator[Batch]:
    lost = 0
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:
            if not str(error).startswith(_LOST):
                raise
            lost += 1
            if lost > _MOST:
                raise InputError(
                    f"step {step}: a loader's worker process was killed for the {lost}th time, "
                    "most likely for want of memory: set train.workers lower (0 reads in threads), "
                    "and run the same command again"
                ) from error
            print(
                f"step {step}: a loader's worker process was killed; going on with new ones",
                file=sys.stderr,
                flush=True,
            )
            batches = open_at(step)
            continue
        yield batch
        step += 1
