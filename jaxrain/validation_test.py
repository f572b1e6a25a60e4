from types import SimpleNamespace

import numpy as np
import pytest

from jaxrain import validation
from jaxrain.config import Config
from jaxrain.diffusion.unet import UNetConfig
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.pairs.recipe import DataConfig
from jaxrain.training.settings import TrainConfig
from jaxrain.validation import blind_windows, score, spread_skill, wettest_window, window_tiling


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


@pytest.mark.parametrize(
    ("length", "side", "starts"),
    [(12, 4, [0, 4, 8]), (9, 4, [0, 4, 5]), (4, 4, [0]), (7, 4, [0, 3])],
)
def test_windows_reach_the_far_edge(length, side, starts):
    assert validation._starts(length, side) == starts


def test_windows_are_chosen_by_coarse_rain_alone(monkeypatch):
    # Two hours of six windows of 4 x 4 points: no rain, 1 to 9 mm, 30 mm and one with a hole.
    means = np.array([0, 5, np.nan, 1, 30, 2, 3, 4, 6, 7, 8, 9.0]).reshape(2, 2, 3)
    fields = np.kron(means, np.ones((4, 4)))
    area = SimpleNamespace(
        fine_grid=SimpleNamespace(shape=(8, 12)), indices=lambda split: [0, 1] * (split != "test")
    )
    store = SimpleNamespace(areas=[area], channels=["tp"])
    monkeypatch.setattr(validation, "_coarse_rain", lambda _, __, hour: fields[hour])

    def chosen(count, **how):
        found = blind_windows(store, 4, count, **how)
        return [means[hour, row // 4, column // 4] for _, hour, (row, column) in found]

    # Of the eleven that are known the wetter six: 5, 6, 7, 8, 9 and 30 mm.
    assert chosen(6) == chosen(99) == [5, 6, 7, 8, 9, 30]
    assert chosen(3) == [5, 7, 30] or chosen(3) == [5, 8, 30]
    # By the rain on them, 65 mm in all: at 1/8, 3/8, 5/8 and 7/8 of it.
    assert chosen(4, by_rain=True) == [6, 8, 9, 30]  # 30 twice, so the next to it
    assert chosen(99, by_rain=True) == chosen(6)
    assert chosen(1, by_rain=True) == [9]
    fields[0, 4:6, 0:4] = 10.0  # a hole in one half, 5 mm on all in the other
    fields[0, 6:8, 0:4] = np.nan
    assert 1 in chosen(99, by_rain=True)
    means[:], fields[:] = 0, 0
    assert len(chosen(4, by_rain=True)) == 4
    store.channels = []
    fields[:] = np.nan
    assert len(chosen(99, by_rain=True)) == 12


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
