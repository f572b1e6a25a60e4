import numpy as np
import pytest

from jaxrain.ensembles.output import case_dataset
from jaxrain.ensembles.products import parse_products
from jaxrain.grids.grid import Grid
from jaxrain.pairs.cases import Case

HOURS = np.array(["2020-07-01T00", "2020-07-01T01"], "datetime64[s]")


def case(projected=False, channels=("t500", "tp")):
    fine = Grid(np.arange(10.0), np.arange(12.0))
    if projected:
        latitude, longitude = np.meshgrid(50 + fine.y / 100, 10 + fine.x / 100, indexing="ij")
        fine = Grid(fine.y, fine.x, True, latitude, longitude)
    coarse = Grid(np.array([-1.0, 4.0, 9.0]), np.array([-1.0, 4.0, 9.0, 14.0]), projected)
    plane = 2 * coarse.y[:, None] + 3 * coarse.x
    fields = np.stack([np.zeros((2, *plane.shape)), np.stack([plane, 2 * plane])], axis=1)
    fields = fields[:, : len(channels)].astype(np.float32)
    return Case("w", "area0", fine, (4, 7), HOURS, coarse, list(channels), fields)


def number(hour, member):
    return np.full((10, 12), 10 * hour + member, np.float32)


def test_fields_are_where_their_hour_and_member_are():
    dataset = case_dataset(case(), range(3), number)
    np.testing.assert_array_equal(dataset["member"], [0, 1, 2])
    assert dataset["precipitation"].dims == ("time", "member", "latitude", "longitude")
    np.testing.assert_array_equal(dataset["precipitation"][:, :, 0, 0], [[0, 1, 2], [10, 11, 12]])
    assert list(dataset.attrs["origin"]) == [4, 7]
    np.testing.assert_array_equal(dataset["time"], HOURS)


def test_a_field_is_read_when_it_is_asked_for_and_not_before():
    read = []

    def load(hour, member):
        read.append((hour, member))
        return number(hour, member)

    dataset = case_dataset(case(), range(50), load)
    assert read == []
    dataset["precipitation"][1, 7].load()
    assert read == [(1, 7)]


def test_coarse_rain_is_interpolated_exactly_where_it_is_a_plane():
    fine = case().fine_grid
    plane = 2 * fine.y[:, None] + 3 * fine.x
    expected = np.stack([plane, 2 * plane])
    dataset = case_dataset(case(), range(1), number)
    np.testing.assert_allclose(dataset["coarse_precipitation"], expected, atol=1e-5)


def test_missing_coarse_rain_spreads_only_as_far_as_it_weighs():
    this = case()
    this.coarse[0, 1, 0, 0] = np.nan  # at y = x = -1, weighs up to 4
    rain = case_dataset(this, range(1), number)["coarse_precipitation"].values
    assert np.isnan(rain[0, :4, :4]).all()
    assert np.isfinite(rain[0, 4:]).all()
    assert np.isfinite(rain[0, :, 4:]).all()
    assert np.isfinite(rain[1]).all()


def test_a_projected_case_has_its_axes_in_km_and_its_latitudes():
    dataset = case_dataset(case(projected=True), range(1), number)
    assert dataset["precipitation"].dims == ("time", "member", "y", "x")
    assert dataset["latitude"].dims == ("y", "x")
    assert float(dataset["longitude"][0, 11]) == pytest.approx(10.11)


def test_without_coarse_rain_there_is_none():
    assert "coarse_precipitation" not in case_dataset(case(channels=("t500",)), range(1), number)


def test_products_stand_beside_the_members_with_their_levels_and_thresholds():
    products = parse_products(["mean", "maximum", "q50", "q90", "exceedance"], [1.0, 5.0])
    read = []

    def load(layer, hour):
        read.append((layer, hour))
        return number(hour, layer)

    dataset = case_dataset(case(), range(3), number, products, load)
    assert read == []
    assert float(dataset["precipitation_mean"][1, 0, 0]) == 10
    assert float(dataset["precipitation_maximum"][1, 0, 0]) == 11
    quantiles = dataset["precipitation_quantile"].transpose("quantile", "time", ...)
    np.testing.assert_array_equal(quantiles[:, :, 0, 0], [[2, 12], [3, 13]])
    assert list(dataset["quantile"]) == [0.5, 0.9]
    chances = dataset["exceedance_probability"].sel(threshold=5.0)
    np.testing.assert_array_equal(chances[:, 0, 0], [5, 15])
    assert dataset["precipitation_maximum"].attrs["ensemble_statistic"] == "maximum"
    assert "cell_methods" not in dataset["exceedance_probability"].attrs
