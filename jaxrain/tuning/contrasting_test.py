from types import SimpleNamespace

import numpy as np

from jaxrain.tuning import contrasting
from jaxrain.tuning.contrasting import PLAIN, ContrastTrial, contrast_cases, fitting


def test_windows_are_whole_cells_wide_and_wide_enough(monkeypatch):
    asked = []
    monkeypatch.setattr(
        contrasting, "blind_windows", lambda _, side, *__, **___: asked.append(side) or []
    )
    axes = (SimpleNamespace(y=np.arange(0, 900, 30.0), x=np.arange(0, 750, 25.0)),)
    fine = SimpleNamespace(y=np.arange(900.0), x=np.arange(750.0))
    area = SimpleNamespace(coarse_grid=axes[0], fine_grid=fine)
    for patch in (16, 200):
        config = SimpleNamespace(
            train=SimpleNamespace(validation_size=None), data=SimpleNamespace(patch=patch)
        )
        contrast_cases(SimpleNamespace(config=config), SimpleNamespace(areas=[area]), 4)
    assert asked == [8 * 30, 14 * 30]


def test_of_contrasts_that_score_alike_the_best_spread_fits():
    def contrast(power, crps_mm, spread_skill):
        return ContrastTrial(power, {PLAIN: crps_mm, "spread_skill": spread_skill})

    trials = [contrast(1, 1.005, 0.6), contrast(9, 1.0, 0.8), contrast(17, 1.02, 1.0)]
    assert fitting(trials, 0.01).contrast == 9
    assert fitting(trials, 0.02).contrast == 17
    # 2.1 is further from 1 than half is.
    assert fitting([contrast(1, 1.0, 0.5), contrast(9, 1.0, 2.1)], 0.0).contrast == 1
    # It did not rain: no reason for any contrast.
    assert fitting([ContrastTrial(c, {PLAIN: 0.0}) for c in (17, 1, 9)], 0.01).contrast == 1
    unknown = [ContrastTrial(1, {PLAIN: 1.0}), ContrastTrial(9, {PLAIN: 0.9})]
    assert fitting(unknown, 0.2).contrast == 9
