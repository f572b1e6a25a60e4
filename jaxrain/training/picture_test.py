import numpy as np
from matplotlib.image import imread

from jaxrain.training.picture import save_picture


def test_a_row_a_case_and_rain_has_colour(tmp_path):
    wet = np.full((8, 8), 5.0, np.float32)
    dry = np.zeros((8, 8), np.float32)
    missing = np.full((8, 8), np.nan, np.float32)
    one = (wet, dry, np.stack([dry, missing]))
    save_picture(tmp_path / "report" / "one.png", [one], ["a"])
    save_picture(tmp_path / "report" / "two.png", [one, one], ["a", "b"])
    first, second = (imread(tmp_path / "report" / f"{name}.png") for name in ("one", "two"))
    assert second.shape[0] > 1.8 * first.shape[0]
    assert second.shape[1] == first.shape[1]
    middle = first[first.shape[0] // 2]
    saturated = np.ptp(middle[:, :3], axis=-1) > 0.3
    # The wet panel is the first of four; the colour bar is at the right.
    assert saturated[: first.shape[1] // 4].mean() > 0.5
    assert not saturated[first.shape[1] // 4 : int(0.85 * first.shape[1])].any()
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["one.png", "two.png"]
