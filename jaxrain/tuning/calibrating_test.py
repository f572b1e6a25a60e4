import numpy as np
import pytest

from jaxrain.ensembles.calibration import Drawn
from jaxrain.ensembles.calibration_test import SCALING
from jaxrain.tuning.calibrating import _fit, _rain, scores
from jaxrain.validation import Case

SHAPE = (96, 96)


def windows(count, spread_mm, wetter=1.0, members=6):
    """Truth is 2 mm beside the centre, members `spread_mm`; all is wet. x0 is in units of 10 mm."""
    rng = np.random.default_rng(1)
    cases, drawn = [], []
    for _ in range(count):
        centre = rng.uniform(10, 40, SHAPE)
        truth = centre + 2 * rng.normal(size=SHAPE)
        cases.append(Case("", None, None, 0, truth.astype("f4"), truth.astype("f4")))
        rain = centre + spread_mm * rng.normal(size=(members, *SHAPE))
        x0 = [(mm * wetter / 10).astype("f4") for mm in (rain, centre[None])]
        coarse = np.zeros((members, *SHAPE), "f4")
        drawn.append(Drawn(*x0, coarse, np.ones((members, *SHAPE), bool)))
    return cases, drawn


@pytest.mark.parametrize(("spread_mm", "wetter"), [(1.0, 1.0), (4.0, 1.0), (1.0, 0.5)])
def test_spread_and_amounts_become_truths(spread_mm, wetter):
    cases, drawn = windows(2, spread_mm, wetter)
    fit = _fit(SCALING, drawn, cases, [0], inflate=True)
    assert fit.inflation == pytest.approx(2 / spread_mm, rel=0.05)
    source, target = (np.asarray(each) for each in fit.quantiles_mm)
    inside = (source > 15 * wetter) & (source < 35 * wetter)
    np.testing.assert_allclose(target[inside], source[inside] / wetter, rtol=0.02)
    # And so on the window that it never saw.
    before, after = (scores(cases[1:], _rain(SCALING, drawn[1:], f)) for f in (None, fit))
    assert after["spread_skill"] == pytest.approx(1, abs=0.04)
    assert after["crps_mm"] < before["crps_mm"]
    assert after["p99.9_ratio"] == pytest.approx(1, abs=0.02)


def test_without_a_centre_the_amounts_alone_are_fitted():
    cases, drawn = windows(1, 1.0, 0.5)
    fit = _fit(SCALING, [drawn[0]._replace(centre=None)], cases, [0], inflate=False)
    assert fit.inflation == 1
    found = scores(cases, _rain(SCALING, [drawn[0]._replace(centre=None)], fit))
    assert found["wet_area_ratio"] == pytest.approx(1, abs=0.01)
    assert found["p99.9_ratio"] == pytest.approx(1, abs=0.03)
