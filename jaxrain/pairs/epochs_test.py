from types import SimpleNamespace

import numpy as np
import pytest

from jaxrain.pairs.epochs import epoch_hours


def _area(shape, hours, others=0):
    """An area with hours of training, named by day, and others after them."""
    training = np.array([f"2022-06-{day:02}T01" for day in hours], "datetime64[s]")
    return SimpleNamespace(
        fine_grid=SimpleNamespace(shape=shape),
        hours=np.concatenate([training, training[:1].repeat(others)]),
        indices=lambda split: list(range(len(hours))) if split == "train" else [],
    )


# Four hours of one day, one of another; an area of twice as many patches with one hour; no hour.
AREAS = [_area((40, 40), [1, 1, 1, 1, 2], others=3), _area((40, 70), [1]), _area((40, 40), [])]


def test_by_default_each_point_is_drawn_alike():
    counted = dict(epoch_hours(AREAS, 16, 0.0))
    assert counted == {**{(0, hour): 4 for hour in range(5)}, (1, 0): 8}


@pytest.mark.parametrize(
    ("balance", "other_day", "other_area"),
    # 16 patches on the first day, 4 on the second, 8 in the other area.
    [(0.5, 8, 11), (1.0, 16, 16)],
)
def test_days_of_few_hours_are_drawn_more_often_where_asked(balance, other_day, other_area):
    counted = dict(epoch_hours(AREAS, 16, balance))
    assert [counted[0, hour] for hour in range(4)] == [4] * 4
    assert (counted[0, 4], counted[1, 0]) == (other_day, other_area)


def test_without_hours_of_training_it_is_empty():
    assert epoch_hours(AREAS[2:], 16, 1.0) == []


def test_the_hour_that_ends_at_midnight_is_of_the_day_before():
    area = _area((40, 40), [])
    area.hours = np.datetime64("2022-06-01T01:00", "s") + 3600 * np.arange(24)
    area.indices = lambda split: list(range(24))
    assert [patches for _, patches in epoch_hours([area], 16, 1.0)] == [4] * 24


def test_an_area_smaller_than_a_patch_has_none():
    assert dict(epoch_hours(AREAS, 48, 1.0)) == {}
