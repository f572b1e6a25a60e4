import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from jaxrain.grids.regrid import bilinear_matrix
from jaxrain.pairs import statistics
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.scaling import encode_target
from jaxrain.pairs.statistics import (
    Moments,
    merge,
    moments,
    share_beyond,
    tally_hours,
    training_statistics,
)
from jaxrain.pairs.store import open_store

arrays = hnp.arrays(
    np.float32,
    st.integers(0, 30),
    elements=st.one_of(st.just(np.float32("nan")), st.floats(-1e4, 1e4, width=32)),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of busy machines
@given(arrays, arrays)
def test_merged_moments_are_those_of_all_values(a, b):
    merged = merge(moments(a), moments(b))
    both = np.concatenate([a, b]).astype(np.float64)
    both = both[np.isfinite(both)]
    assert merged.size == both.size
    if both.size:
        np.testing.assert_allclose(merged.mean, both.mean(), rtol=1e-12, atol=1e-10)
        np.testing.assert_allclose(merged.std, both.std(), rtol=1e-10, atol=1e-8)
        assert (merged.least, merged.most) == (both.min(), both.max())
    else:
        assert merged == Moments()


def test_statistics_are_of_the_training_hours_alone(filled):
    store = open_store(filled.config().store)
    (area,) = store.areas
    training = area.indices("train")
    coarse = np.stack([area.coarse(i) for i in training]).astype(np.float64)
    fine = np.stack([area.fine(i) for i in training]).astype(np.float64)
    statistics = store.manifest["statistics"]
    for index, name in enumerate(store.channels):
        of = statistics["channels"][name]
        assert of["mean"] == pytest.approx(coarse[:, index].mean(), rel=1e-10)
        assert of["std"] == pytest.approx(coarse[:, index].std(), rel=1e-10)
        assert (of["min"], of["max"]) == (coarse[:, index].min(), coarse[:, index].max())
    assert statistics["fine_rain"]["mean"] == pytest.approx(np.nanmean(fine), rel=1e-10)
    assert statistics["fine_rain"]["max"] == np.nanmax(fine)
    every = np.stack([area.fine(i) for i in range(len(area.hours))])
    assert np.nanmax(every) > statistics["fine_rain"]["max"]  # the test hours' record is not in


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"rain_scaling": "log1p"},
        {"rain_scaling": "sqrt"},
        {"rain_scaling": "normal_score"},
        {"target": "direct"},
        {"target": "direct", "rain_scaling": "log1p", "rain_scale_mm": 2.0},
    ],
)
def test_the_targets_statistics_are_those_of_the_encoded_target(filled, keys):
    config = filled.config(**keys)
    store = open_store(config.store)
    store.manifest["statistics"] = training_statistics(
        store, config, tally_hours(store, config)["train"]
    )
    (area,) = store.areas
    wy = bilinear_matrix(area.coarse_grid.y, area.fine_grid.y)
    wx = bilinear_matrix(area.coarse_grid.x, area.fine_grid.x)
    scaling = store.scaling(config)
    encoded = {}
    for split in ("train", "test"):
        targets = [
            encode_target(scaling, np.asarray(area.fine(i)), wy @ area.coarse(i)[-1] @ wx.T)
            for i in area.indices(split)
        ]
        encoded[split] = np.stack(targets).astype(np.float64)
    of = store.manifest["statistics"]["target"]
    assert of["mean"] == pytest.approx(np.nanmean(encoded["train"]), abs=1e-5)
    assert of["std"] == pytest.approx(np.nanstd(encoded["train"]), rel=1e-4)
    assert of["max"] == pytest.approx(np.nanmax(encoded["train"]), rel=1e-4)
    assert np.nanmax(np.abs(encoded["train"])) <= 1 + 1e-5
    test = encoded["test"][np.isfinite(encoded["test"])]
    beyond = np.mean(np.abs(test) > 1 + 1e-5)
    assert beyond > 0
    assert share_beyond(store, config, "test") == pytest.approx(beyond)


def test_standardizing_gives_a_target_of_unit_spread(filled):
    config = filled.config(standardize=True)
    scaling = open_store(config.store).scaling(config)
    std = open_store(config.store).manifest["statistics"]["target"]["std"]
    plain = open_store(config.store).scaling(DataConfig())
    x0 = encode_target(scaling, 3.0, 1.0)
    np.testing.assert_allclose(x0 * std, encode_target(plain, 3.0, 1.0), rtol=1e-5)


@pytest.mark.parametrize("keys", [{}, {"rain_scaling": "log1p"}, {"target": "direct"}])
def test_targets_in_bands_are_those_of_whole_fields_in_float64(filled, monkeypatch, keys):
    config = filled.config(**keys)
    store = open_store(config.store)
    monkeypatch.setattr(statistics, "_BAND_POINTS", 5 * 48)
    tally = tally_hours(store, config)["train"]
    (area,) = store.areas
    wy = bilinear_matrix(area.coarse_grid.y, area.fine_grid.y)
    wx = bilinear_matrix(area.coarse_grid.x, area.fine_grid.x)

    def bend(mm):
        return np.log1p(mm / config.rain_scale_mm) if keys.get("rain_scaling") else mm

    targets = []
    for index in area.indices("train"):
        coarse = area.coarse(index)[-1].astype(np.float64)
        ours = bend(area.fine(index).astype(np.float64))
        targets.append(ours if config.target == "direct" else ours - bend(wy @ coarse @ wx.T))
    every = np.stack(targets)
    assert tally.points == every.size
    assert tally.target.size == np.isfinite(every).sum()
    assert tally.target.mean == pytest.approx(np.nanmean(every), rel=1e-10)
    assert tally.target.std == pytest.approx(np.nanstd(every), rel=1e-10)
    assert tally.target.least == pytest.approx(np.nanmin(every), rel=1e-12)
    assert tally.target.most == pytest.approx(np.nanmax(every), rel=1e-12)
