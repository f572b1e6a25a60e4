import pickle

import numpy as np

from jaxrain.pairs.audit.survey import Survey, box_means, count_amounts, divide
from jaxrain.pairs.placement import BLOCK
from jaxrain.pairs.store import open_store


def test_amounts_are_counted_to_a_hundredth():
    counts = count_amounts(np.float32([0, 0.1, 0.104, 0.29, 1e6, np.nan, -3]))
    assert counts[[0, 10, 29, 40_000]].tolist() == [2, 2, 1, 1]
    assert counts.sum() == 6


def test_box_means_leave_out_what_is_missing_and_boxes_that_are_mostly():
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    values[0, 0] = np.nan
    values[2:, 4:] = np.nan
    values[3, 5] = 9.0
    means = box_means(values, np.array([0, 2]), np.array([0, 2, 4])).reshape(2, 3)
    np.testing.assert_allclose(means[0], [(1 + 6 + 7) / 3, 5.5, 7.5])
    np.testing.assert_allclose(means[1], [15.5, 17.5, np.nan])


def test_boxes_of_both_sides_lie_in_the_same_place(filled):
    (area,) = open_store(filled.config().store).areas
    where = divide(area)
    sides = ((area.fine_grid.y, area.coarse_grid.y), (area.fine_grid.x, area.coarse_grid.x))
    for axis, (fine, coarse) in enumerate(sides):
        assert len(where.fine[axis]) == len(where.coarse[axis]) == 8
        cells = coarse[where.cells[axis]]
        # The first cell of a box is the nearest to its first fine point.
        offsets = fine[where.fine[axis]] - cells[where.coarse[axis]]
        assert np.abs(offsets).max() <= 0.125 + 1e-6


def test_hours_gathered_apart_are_those_gathered_together(filled):
    config = filled.config()
    store = open_store(config.store)
    (area,) = store.areas

    def gather(indices):
        survey = Survey([area], store.channels, config)
        for index in indices:
            survey.add(area, index, area.coarse(index), area.fine(index))
        return survey

    together, apart = gather(range(17)), gather(range(5, 17))
    apart.update(pickle.loads(pickle.dumps(gather([4, 0, 2, 1, 3]))))
    for name, counts in together.counts().items():
        np.testing.assert_array_equal(apart.counts()[name], counts)
    (one,), (other,) = together.box_rain(), apart.box_rain()
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    gaps, others = together.gaps["area0"], apart.gaps["area0"]
    np.testing.assert_array_equal(gaps.valid, others.valid)
    assert gaps.wet_by_hour == others.wet_by_hour
    assert gaps.valid[0, 0] == 17 * (BLOCK**2 - 3)


def test_box_rain_is_the_mean_of_both_sides(filled):
    config = filled.config()
    store = open_store(config.store)
    (area,) = store.areas
    survey = Survey([area], store.channels, config)
    survey.add(area, 3, area.coarse(3), area.fine(3))
    (series,) = survey.box_rain()
    assert series.times.tolist() == [area.hours[3].item()]
    assert series.fine.shape == series.coarse.shape == (1, 64)
    assert series.fine[0, -1] == np.float32(area.fine(3)[38:, 43:].mean(dtype=float))


def test_coarse_rain_made_from_the_fine_is_not_compared_with_it(filled):
    store = open_store(filled.config().store)
    config = filled.config(coarsen=8, variables=["tp"], levels=[])
    survey = Survey(store.areas, ["tp"], config)
    survey.add(store.areas[0], 0, store.areas[0].coarse(0)[-1:], store.areas[0].fine(0))
    assert survey.box_rain() == []
