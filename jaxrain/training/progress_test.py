import json

import numpy as np
import pytest

from jaxrain.errors import InputError
from jaxrain.training.progress import Exploded, Progress, read_progress
from jaxrain.training.settings import TrainConfig

STOP = TrainConfig()
SKIP = TrainConfig(bad_batches="skip", max_bad_batches=2)


def numbers(*losses):
    return [{"loss": np.float32(loss), "grad_norm": np.float32(1)} for loss in losses]


def test_means_are_over_the_steps_since_the_last_line():
    progress = Progress()
    progress.take(STOP, numbers(0, 1, 2), 1)
    progress.take(STOP, numbers(3, 4), 4)
    assert progress.means() == {"loss": 2.0, "grad_norm": 1.0}
    progress.tell(5)
    assert progress.means() == {}
    assert (progress.logged, progress.losses) == (5, [2.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_step_that_is_not_finite_is_named(bad):
    with pytest.raises(InputError, match=r"^step 13 \(batch 12\): loss is"):
        Progress().take(STOP, numbers(1, 2, bad, np.nan), 11)


def test_bad_batches_are_skipped_and_counted_up_to_the_limit():
    progress = Progress()
    assert progress.take(SKIP, numbers(1, np.nan, 3, np.inf), 1) == [2, 4]
    assert progress.bad == 2
    assert progress.means()["loss"] == 2.0
    with pytest.raises(InputError, match=r"^step 6 .*max_bad_batches=2 are used up"):
        progress.take(SKIP, numbers(1, np.nan), 5)


def test_what_a_checkpoint_keeps_comes_back_to_the_bit():
    progress = Progress(logged=10, bad=1, losses=[0.1, 1 / 3])
    progress.take(STOP, numbers(0.1, np.float32(2) / 3), 11)
    kept = json.loads(json.dumps(progress.to_json(STOP, 12)))
    assert read_progress(kept) == progress
    assert kept["next_batch"] == 12
    assert read_progress({"next_batch": 7}) == Progress(logged=7)


def test_a_loss_far_above_what_is_usual_is_an_explosion():
    progress = Progress()
    for line in range(1, 7):
        progress.take(STOP, numbers(1.0, 0.5), 2 * line - 1)
        progress.check_loss(STOP, 2 * line)
        progress.tell(2 * line)
    progress.take(STOP, numbers(20.0), 13)
    progress.check_loss(STOP, 13)
    progress.take(STOP, numbers(200.0), 14)
    with pytest.raises(Exploded, match=r"^step 14: the loss is 110, it was 0.75"):
        progress.check_loss(STOP, 14)
    progress.check_loss(TrainConfig(explosion=None), 14)
