from types import SimpleNamespace

import numpy as np
import pytest

from jaxrain.tuning import windows


@pytest.mark.parametrize(
    ("length", "side", "starts"),
    [(12, 4, [0, 4, 8]), (9, 4, [0, 4, 5]), (4, 4, [0]), (7, 4, [0, 3])],
)
def test_windows_reach_the_far_edge(length, side, starts):
    assert windows._starts(length, side) == starts


def test_windows_are_chosen_by_coarse_rain_alone(monkeypatch):
    # Two hours of six windows of 4 x 4 points: no rain, 1 to 9 mm, 30 mm and one with a hole.
    means = np.array([0, 5, np.nan, 1, 30, 2, 3, 4, 6, 7, 8, 9.0]).reshape(2, 2, 3)
    fields = np.kron(means, np.ones((4, 4)))
    area = SimpleNamespace(
        fine_grid=SimpleNamespace(shape=(8, 12)), indices=lambda split: [0, 1] * (split != "test")
    )
    store = SimpleNamespace(areas=[area], channels=["tp"])
    monkeypatch.setattr(windows, "_coarse_rain", lambda _, __, hour: fields[hour])

    def chosen(count, **how):
        found = windows.blind_windows(store, 4, count, **how)
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
