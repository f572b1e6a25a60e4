import json
from dataclasses import replace

import numpy as np
import pytest

from jaxrain.ensembles.calibration import (
    Calibration,
    Drawn,
    load_calibration,
    map_quantiles,
    rain_of,
    settings_of,
)
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.errors import InputError
from jaxrain.pairs.scaling import Scaling

# x0 = (fine - coarse) / 10 mm.
SCALING = Scaling(
    channels=("tp",),
    difference=True,
    bend="linear",
    scale_mm=0.5,
    rain_min_mm=0.0,
    rain_max_mm=10.0,
    target_std=1.0,
    low=np.zeros(1, np.float32),
    high=np.ones(1, np.float32),
)


def drawn(x0, centre, coarse_mm, known=True):
    fields = (np.full((1, 1, 1), value, np.float32) for value in (x0, centre, coarse_mm))
    return Drawn(*fields, np.full((1, 1, 1), known))


@pytest.mark.parametrize(
    ("x0", "centre", "inflation", "expected"),
    [(0.3, 0.1, 1.0, 5.0), (0.3, 0.1, 2.0, 7.0), (0.3, 0.1, 0.5, 4.0), (-0.3, 0.1, 2.0, 0.0)],
)
def test_members_move_away_from_the_centre_and_never_below_nothing(x0, centre, inflation, expected):
    rain = rain_of(drawn(x0, centre, 2.0), SCALING, inflation)
    np.testing.assert_allclose(rain, [[[expected]]], atol=1e-5)
    assert np.isnan(rain_of(drawn(x0, centre, 2.0, known=False), SCALING, inflation)).all()


def test_what_a_gauge_cannot_see_is_dry_where_asked():
    light = drawn(0.009, 0.0, 0.0)
    assert float(rain_of(light, SCALING)[0, 0, 0]) == pytest.approx(0.09)
    assert float(rain_of(light, SCALING, dry_below_mm=0.1)[0, 0, 0]) == 0
    assert float(rain_of(drawn(0.011, 0, 0), SCALING, dry_below_mm=0.1)[0, 0, 0]) > 0.1


def test_amounts_rise_dry_stays_dry_and_the_last_correction_stays():
    source, target = np.asarray([0, 1, 2, 4.0]), np.asarray([0, 0, 3, 8.0])
    rain = np.linspace(0, 9, 400, dtype=np.float32)
    mapped = np.asarray(map_quantiles(rain, source, target))
    assert (np.diff(mapped) >= 0).all()
    assert (mapped[rain <= 1] == 0).all()
    np.testing.assert_allclose(
        map_quantiles(np.asarray([1.5, 2, 4, 8]), source, target), [1.5, 3, 8, 12]
    )
    assert (
        float(rain_of(drawn(-0.1, 0, 0.5), SCALING, 1.0, (tuple(source), tuple(target)))[0, 0, 0])
        == 0
    )


def test_it_is_kept_with_the_run_and_belongs_to_its_weights(tmp_path):
    config = SampleConfig(sampler="dpmpp_2m", steps=20)
    made = Calibration(
        checkpoint="a",
        settings=settings_of(config, None),
        inflation=1.5,
        source_mm=(0.0, 1.0),
        target_mm=(0.0, 2.0),
        report={"windows": 4},
    )
    assert load_calibration(tmp_path, "a") is None
    made.save(tmp_path)
    assert load_calibration(tmp_path, "a") == made
    assert json.loads(made.attributes()["jaxrain_calibration_scores"]) == made.report
    assert "4 windows" in made.attributes()["jaxrain_calibration"]
    assert made.differs(config) is None
    assert made.differs(config, "abc") == "first_guess=None, now it is abc"
    older = replace(made, settings={k: v for k, v in made.settings.items() if k != "turn"})
    assert older.differs(config) is None
    assert older.differs(replace(config, turn=True)) == "turn=False, now it is True"
    scaled = replace(config, sampler="heun", epsilon_scale=1.1)
    fitted = replace(made, settings=made.settings | {"sampler": "heun"})
    assert fitted.differs(scaled) == "epsilon_scale=1.0, now it is 1.1"
    assert made.differs(SampleConfig(sampler="dpmpp_2m", steps=8)) == "steps=20, now it is 8"
    with pytest.raises(InputError, match=r"another checkpoint.*--calibrate"):
        load_calibration(tmp_path, "b")
    (tmp_path / "calibration.json").write_text("{")
    with pytest.raises(InputError, match="is no calibration"):
        load_calibration(tmp_path, "a")
