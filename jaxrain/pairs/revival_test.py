import itertools
import multiprocessing
import os
import signal

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.pairs.loader import training_batches
from jaxrain.pairs.revival import outlive_workers
from jaxrain.pairs.store import open_store


def dying_after(count):
    """Opens numbers from a step on, whose worker is killed after so many."""

    def open_at(step):
        yield from ({"x": np.array(number)} for number in range(step, step + count))
        raise RuntimeError("Worker process was terminated unexpectedly with exit code -9.")

    return open_at


def test_what_comes_after_a_loss_is_what_would_have_come(capsys):
    batches = outlive_workers(dying_after(5), 2)
    seen = [int(batch["x"]) for batch in itertools.islice(batches, 15)]
    assert seen == list(range(2, 17))
    assert capsys.readouterr().err.splitlines() == [
        "step 7: a loader's worker process was killed; going on with new ones",
        "step 12: a loader's worker process was killed; going on with new ones",
    ]


def test_a_machine_that_kills_on_and_on_is_told_of():
    with pytest.raises(InputError, match=r"step 20: .* the 4th time, .*train\.workers lower"):
        list(itertools.islice(outlive_workers(dying_after(5), 0), 30))


def test_other_errors_are_not_swallowed():
    def broken(step):
        yield {"x": np.array(step)}
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        list(outlive_workers(broken, 0))


def test_what_cannot_be_opened_is_refused_at_once():
    def refuse(step):
        raise InputError("no hours")

    with pytest.raises(InputError, match="no hours"):
        outlive_workers(refuse, 0)


@pytest.mark.slow
def test_a_killed_worker_process_costs_no_batch(filled, capsys):
    config = filled.config(interpolations=["bilinear"], wet_fraction=0.5)
    store = open_store(config.store, config)

    def open_at(step, workers=2):
        return training_batches(
            store, config, batch_size=4, seed=3, start_step=step, workers=workers
        )

    expected = list(itertools.islice(open_at(0, workers=0), 30))
    batches = outlive_workers(open_at, 0)
    seen = list(itertools.islice(batches, 3))
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)
    seen += list(itertools.islice(batches, 27))
    for ours, theirs in zip(seen, expected, strict=True):
        for key, value in theirs.items():
            np.testing.assert_array_equal(ours[key], value)
    assert "was killed; going on with new ones" in capsys.readouterr().err
    for child in multiprocessing.active_children():
        child.kill()
