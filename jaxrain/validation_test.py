from types import SimpleNamespace

import numpy as np

from jaxrain import validation
from jaxrain.config import Config
from jaxrain.diffusion.unet import UNetConfig
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.pairs.recipe import DataConfig
from jaxrain.training.settings import TrainConfig
from jaxrain.validation import score, spread_skill, wettest_window, window_tiling


def case(truth, bilinear):
    return SimpleNamespace(truth=np.asarray(truth, float), bilinear=np.asarray(bilinear, float))


def test_the_wettest_window_holds_the_rain():
    rain = np.zeros((20, 30), np.float32)
    rain[12:15, 7:9] = 5
    rain[0, 0] = np.nan
    row, column = wettest_window(rain, (3, 2))
    assert (row, column) == (12, 7)
    assert wettest_window(rain, (20, 30)) == (0, 0)


def test_members_that_are_the_truth_score_nothing_and_interpolation_its_error():
    truth = np.array([[1.0, 2.0], [3.0, np.nan]])
    scores = score([case(truth, truth + 0.5)], [np.stack([truth, truth])])
    assert scores["validation_crps_mm"] == 0
    np.testing.assert_allclose(scores["validation_bilinear_mae_mm"], 0.5)
    assert scores["validation_ratio"] == 0


def test_two_members_around_the_truth():
    # |0 - 1| and |2 - 1| average to 1; half the distance of the pair is 1: fair CRPS is 0.
    members = np.stack([np.zeros((4, 4)), np.full((4, 4), 2.0)])
    scores = score([case(np.ones((4, 4)), np.full((4, 4), 3.0))], [members])
    np.testing.assert_allclose(scores["validation_crps_mm"], 0, atol=1e-12)
    np.testing.assert_allclose(scores["validation_bilinear_mae_mm"], 2)


def test_without_rain_among_the_predictors_there_is_no_ratio():
    truth = np.ones((2, 2))
    scores = score([case(truth, truth * np.nan)], [np.stack([truth, truth])])
    assert set(scores) == {"validation_crps_mm"}


def test_spread_is_as_large_as_the_error_where_truth_is_one_of_the_members():
    draws = np.random.default_rng(0).normal(size=(6, 200, 200))
    ratio = spread_skill([case(draws[0], draws[0])], [draws[1:]])
    np.testing.assert_allclose(ratio, 1, atol=0.01)


def test_a_window_smaller_than_a_tile_has_no_padding_but_the_networks():
    model = UNetConfig(channel_mults=(1, 2, 4), patchify=2)
    config = Config(
        data=DataConfig(patch=64), model=model, sample=SampleConfig(tile=128, overlap=32)
    )
    assert window_tiling(config, 64) == (64, 0)
    assert window_tiling(config, 61) == (64, 0)
    assert window_tiling(config, 128) == (128, 32)
    assert window_tiling(config, 200) == (128, 32)


def test_hours_are_of_the_wetter_half_and_more_only_where_more_are_asked_for(monkeypatch):
    wetness = (0.1, 0.4, 0.0, 0.3, 0.2)
    area = SimpleNamespace(
        indices=lambda split: list(range(len(wetness))),
        cover=lambda hour: (None, np.asarray([wetness[hour]])),
    )
    store = SimpleNamespace(areas=[area], channels=["tp"])
    monkeypatch.setattr(validation, "make_case", lambda config, channels, area, hour: hour)

    def chosen(count):
        train = TrainConfig(validation_cases=count)
        return validation.choose_cases(Config(train=train), store)

    assert chosen(0) == []
    assert chosen(2) == [1, 4]
    assert chosen(3) == [1, 3, 4]
    assert chosen(4) == [0, 1, 3, 4]
    assert chosen(9) == [0, 1, 2, 3, 4]
