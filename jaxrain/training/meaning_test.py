import json

import pytest

from jaxrain.diffusion.settings import DiffusionConfig, UNetConfig
from jaxrain.errors import InputError
from jaxrain.pairs.recipe import DataConfig
from jaxrain.training.meaning import KEY, check_meaning, meaning
from jaxrain.training.saved import FOLDER


def settings(**diffusion):
    return meaning(UNetConfig(), DiffusionConfig(**diffusion), DataConfig())


def keep(run, kept):
    (run / FOLDER / "3" / "loader").mkdir(parents=True, exist_ok=True)
    (run / FOLDER / "3" / "loader" / "metadata").write_text(json.dumps(kept))


def test_what_changes_no_weights_may_differ(tmp_path):
    keep(tmp_path, {KEY: settings()})
    check_meaning(tmp_path, 3, settings(schedule="linear", steps=1000, loss="l1"))
    with pytest.raises(InputError, match=r"trained with diffusion\.prediction=eps, the settings"):
        check_meaning(tmp_path, 3, settings(prediction="x0"))


@pytest.mark.parametrize("kept", [{}, {KEY: {}}, {KEY: {"model.unknown": 5}}])
def test_nothing_is_asked_of_what_was_not_kept(tmp_path, kept):
    keep(tmp_path, kept)
    check_meaning(tmp_path, 3, settings(prediction="x0"))


def test_what_is_no_object_is_refused(tmp_path):
    keep(tmp_path, {KEY: ["eps"]})
    with pytest.raises(InputError, match="checkpoint 3 is damaged"):
        check_meaning(tmp_path, 3, settings())
