import numpy as np
import pytest

from jaxrain.grids.grid import Grid
from jaxrain.verification.breakdown import Field
from jaxrain.verification.maps import map_figure, scene, telling_fields


def field(hour, rain_mm, gain_mm):
    return Field(0, hour, np.datetime64("2022-01-01T00") + hour, rain_mm, gain_mm)


def test_hours_are_chosen_by_rule():
    fields = [field(h, rain, gain) for h, (rain, gain) in enumerate(
        [(5, 1.0), (9, 0.5), (0.1, -2.0), (7, -0.3), (0, 0.0), (6, 0.2), (0, 0), (0, 0)]
    )]  # fmt: skip
    chosen = [one.hour for one, _ in telling_fields(fields)]
    # The wettest; of the wetter half 9, 7, 6, 5 the third; there the one with the least gain.
    assert chosen == [1, 5, 3]


def test_no_hour_is_shown_twice():
    assert len(telling_fields([field(0, 1.0, 0.1)])) == 1


@pytest.mark.parametrize("members", [1, 2, 8])
def test_each_map_shows_its_field_the_right_way_up(members):
    grid = Grid(np.linspace(20, 21, 20), np.linspace(110, 111, 30))  # south first
    rain = np.zeros((20, 30))
    rain[0, 0] = 7.0  # south-west
    truth = rain.copy()
    truth[19, 29] = np.nan
    shown = scene(
        "title",
        grid,
        truth,
        rain,
        "Coarse input",
        np.stack([rain] * members),
        range(7, 7 + members),
    )
    figure = map_figure(shown)
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert len(images) == 4 + min(members, 3)
    titles = [ax.get_title() for ax in figure.axes]
    assert [title for title in titles if title.startswith("Member")] == [
        f"Member {number}" for number in range(7, 7 + min(members, 3))
    ]
    for image in images:
        values = image.get_array()
        assert values[-1, 0] == values.max() > 0  # drawn from the top: south is last
        west, _, _, north = image.get_extent()
        assert (west, north) == pytest.approx((110 - 1 / 58, 21 + 1 / 38))
    assert images[0].get_array().mask[0, -1]
    titles = [ax.get_title() for ax in figure.axes]
    assert f"Mean of {members} members" in titles
    assert "Probability of 1 mm or more" in titles


def test_probability_is_the_share_of_members_and_unknown_where_one_is():
    grid = Grid(np.arange(4.0), np.arange(5.0), projected=True)
    members = np.zeros((4, 4, 5))
    members[:3, 0, 0] = 5.0
    members[1, 3, 4] = np.nan
    heavy = scene(
        "title", grid, np.full((4, 5), 6.0), members[0], "Coarse input", members, range(4)
    )
    assert heavy.threshold == 5.0
    assert heavy.probability[0, 0] == 0.75
    assert np.isnan(heavy.probability[3, 4])
    light = scene(
        "title", grid, np.full((4, 5), np.nan), members[0], "Coarse input", members, range(4)
    )
    assert light.threshold == 1.0
