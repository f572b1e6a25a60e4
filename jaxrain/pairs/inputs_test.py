import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.pairs.cases import cases
from jaxrain.pairs.inputs import (
    beyond_training,
    hours_left_out,
    input_cases,
    missing_predictors,
    predictors,
    read_inputs,
)
from jaxrain.pairs.store import open_store
from jaxrain.weather.humidity import relative_humidity


def coarse_file(filled):
    return filled.root / "coarse" / "pl.nc"


def test_files_give_the_predictors_that_the_store_gives(filled):
    config = filled.config()
    store = open_store(config.store)
    (expected,) = cases(store, config, "test")
    (case,) = input_cases(read_inputs([coarse_file(filled)], config), store.areas, config)
    chosen = np.isin(case.hours, expected.hours)
    np.testing.assert_array_equal(case.coarse[chosen], expected.coarse)
    assert case.channels == expected.channels
    assert case.coarse_grid.same_as(expected.coarse_grid)
    assert case.fine_grid.same_as(expected.fine_grid)


def test_variables_and_hours_may_lie_in_files_of_their_own(filled, tmp_path):
    config = filled.config()
    whole = read_inputs([coarse_file(filled)], config)
    with xr.open_dataset(coarse_file(filled)) as dataset:
        pieces = [
            dataset[["tp"]].isel(time=slice(2, 9)),
            dataset.drop_vars("tp").isel(time=slice(0, 5)),
            dataset.drop_vars("tp").isel(time=slice(5, 8)),
        ]
        for number, piece in enumerate(pieces):
            piece.to_netcdf(tmp_path / f"{number}.nc")
    joined = read_inputs([tmp_path / f"{number}.nc" for number in range(3)], config)
    # Hours 2 to 7 hold both the rain and the rest.
    np.testing.assert_array_equal(joined["time"], whole["time"][2:8])
    np.testing.assert_array_equal(predictors(joined, config), predictors(whole, config)[2:8])


def test_channels_are_variables_over_levels_in_the_configs_order(filled):
    config = filled.config(variables=["tp", "t"], levels=[500, 850])
    dataset = read_inputs([coarse_file(filled)], config)
    fields = predictors(dataset, config)
    np.testing.assert_array_equal(fields[:, 0], dataset["tp"])
    np.testing.assert_array_equal(fields[:, 1], dataset["t"].sel(level=500))
    np.testing.assert_array_equal(fields[:, 2], dataset["t"].sel(level=850))


def test_longitudes_may_be_counted_in_another_turn(filled):
    config = filled.config()
    areas = open_store(config.store).areas
    dataset = read_inputs([coarse_file(filled)], config)
    turned = dataset.assign_coords(longitude=dataset["longitude"] - 360)
    (case,) = input_cases(turned, areas, config)
    np.testing.assert_allclose(case.coarse_grid.x, areas[0].coarse_grid.x)


def test_what_does_not_fit_is_named(filled):
    config = filled.config()
    areas = open_store(config.store).areas
    dataset = read_inputs([coarse_file(filled)], config)
    with pytest.raises(InputError, match="lacks u, t; it holds v, r, z, tp"):
        input_cases(dataset.drop_vars(["u", "t"]), areas, config)
    with pytest.raises(InputError, match="u lacks 500 hPa; it holds 850"):
        input_cases(dataset.sel(level=[850]), areas, config)
    with pytest.raises(InputError, match="lies outside the predictors'"):
        input_cases(dataset.isel(latitude=slice(0, 4)), areas, config)
    coarser = {"latitude": 20 + 2 * (dataset["latitude"] - 20)}
    coarser["longitude"] = 111 + 2 * (dataset["longitude"] - 111)
    with pytest.raises(InputError, match=r"spacing of 0.5 degrees.* 0.25"):
        input_cases(dataset.assign_coords(coarser), areas, config)
    with pytest.raises(InputError, match="expected time, latitude, longitude"):
        input_cases(dataset.rename(latitude="lat"), areas, config)


def test_hours_that_are_none_or_twice_there_are_refused(filled):
    config = filled.config()
    areas = open_store(config.store).areas
    dataset = read_inputs([coarse_file(filled)], config)
    with pytest.raises(InputError, match="holds no hours, expected one or more"):
        input_cases(dataset.isel(time=[]), areas, config)
    with pytest.raises(InputError, match=r"the hour 2020-01-01T02:00:00 2 times, expected each"):
        input_cases(dataset.isel(time=[1, 2, 3, 2]), areas, config)
    with pytest.raises(InputError, match=r"time is int64, expected datetime64 of each"):
        input_cases(dataset.drop_vars("time"), areas, config)
    nowhen = dataset["time"].where(dataset["time"] > dataset["time"][0])
    with pytest.raises(InputError, match="time is missing"):
        input_cases(dataset.assign_coords(time=nowhen), areas, config)


def test_predictors_with_other_dimensions_are_refused(filled):
    config = filled.config()
    areas = open_store(config.store).areas
    dataset = read_inputs([coarse_file(filled)], config)
    members = dataset.expand_dims(number=2)
    told = r"input's u has the dimensions number \(2\), .* expected time, level, latitude,"
    with pytest.raises(InputError, match=told):
        input_cases(members, areas, config)
    assert len(input_cases(members.isel(number=0), areas, config)) == 1
    with pytest.raises(InputError, match=r"input's tp has the dimensions latitude \(11\), longi"):
        input_cases(dataset.assign(tp=dataset["tp"][0]), areas, config)


def test_one_level_may_be_no_dimension(filled):
    config = filled.config(levels=[500])
    dataset = read_inputs([coarse_file(filled)], config)
    expected = predictors(dataset, config)
    np.testing.assert_array_equal(predictors(dataset.sel(level=500), config), expected)


def test_units_are_heeded_where_they_are_told(filled):
    config = filled.config()
    dataset = read_inputs([coarse_file(filled)], config)
    expected = predictors(dataset, config)
    metres = dataset.assign(tp=(dataset["tp"].astype("f8") / 1000).assign_attrs(units="m"))
    np.testing.assert_allclose(predictors(metres, config), expected, rtol=1e-6)
    untold = dataset.assign(tp=dataset["tp"].drop_attrs())
    np.testing.assert_array_equal(predictors(untold, config), expected)
    inches = dataset.assign(tp=dataset["tp"].assign_attrs(units="inch"))
    with pytest.raises(InputError, match=r"the input: tp has units 'inch', expected mm or one of"):
        predictors(inches, config)


def test_hours_that_lack_a_variable_everywhere_are_no_input(filled, tmp_path):
    with xr.open_dataset(coarse_file(filled)) as dataset:
        dataset[["tp"]].isel(time=slice(0, 3)).to_netcdf(tmp_path / "tp.nc")
        dataset.drop_vars("tp").isel(time=slice(3, 9)).to_netcdf(tmp_path / "pl.nc")
    with pytest.raises(InputError, match="no hour of the input holds all of"):
        read_inputs([tmp_path / "tp.nc", tmp_path / "pl.nc"], filled.config())


def every(hours):
    return np.ones(len(hours), bool)


def test_hours_that_are_left_out_are_named_with_what_they_lack(filled, tmp_path):
    config = filled.config()
    assert hours_left_out(read_inputs([coarse_file(filled)], config), every) == []
    with xr.open_dataset(coarse_file(filled)) as dataset:
        dataset[["tp"]].isel(time=slice(6, 9)).to_netcdf(tmp_path / "tp.nc")
        levels = dataset.drop_vars("tp").isel(time=slice(0, 8)).load()
        levels["u"][7] = np.inf  # as good as missing
        levels["v"][7] = np.nan
        levels.to_netcdf(tmp_path / "pl.nc")
    joined = read_inputs([tmp_path / "tp.nc", tmp_path / "pl.nc"], config)
    assert joined.sizes["time"] == 1
    named = ", ".join(f"2020-01-01T0{hour}:00" for hour in range(4))
    assert hours_left_out(joined, every) == [
        "6 of 9 hours are left out, for the input does not hold all of tp then: "
        f"{named} and 2 more",
        "1 of 9 hours are left out, for the input does not hold all of u, v then: 2020-01-01T07:00",
        "1 of 9 hours are left out, for the input does not hold all of u, v, t, r, z then: "
        "2020-01-01T08:00",
    ]
    (line,) = hours_left_out(joined, lambda hours: hours >= np.datetime64("2020-01-01T08"))
    assert line.startswith("1 of 1 hours are left out")
    joined.to_netcdf(tmp_path / "kept.nc")


def test_hours_of_which_a_file_knows_nothing_are_named(filled, tmp_path):
    config = filled.config(variables=["u", "t"], target="direct")
    with xr.open_dataset(coarse_file(filled)) as dataset:
        levels = dataset[["u", "t"]].isel(time=slice(0, 3)).load()
    levels = levels.where(levels["time"] != levels["time"][1])
    levels.to_netcdf(tmp_path / "pl.nc")
    (line,) = hours_left_out(read_inputs([tmp_path / "pl.nc"], config), every)
    assert line.endswith("does not hold all of u, t then: 2020-01-01T01:00")


def test_predictors_that_lack_in_places_are_said(filled):
    config = filled.config()
    areas = open_store(config.store).areas
    dataset = read_inputs([coarse_file(filled)], config)
    (case,) = input_cases(dataset, areas, config)
    assert missing_predictors(case) == []
    dataset["t"][0, 1, 5, 5] = np.nan
    dataset["tp"][0, 5, 5] = np.inf
    dataset["tp"][3, 4, 4] = -np.inf
    dataset["tp"][5, 10, 11] = np.nan  # beyond the fine grid
    (case,) = input_cases(dataset, areas, config)
    assert not np.isinf(case.coarse).any()
    (line,) = missing_predictors(case)
    assert line.startswith("the input lacks t500, tp at 0.1% of its points over area0")
    assert "in 2 of 24 hours" in line


def test_values_that_training_never_saw_are_said(filled):
    config = filled.config()
    store = open_store(config.store)
    (case,) = cases(store, config, "train")
    assert beyond_training(case, store.manifest) == []
    case.coarse[0, case.channels.index("t850"), 10, 11] = 400.0  # beyond the fine grid
    assert beyond_training(case, store.manifest) == []
    case.coarse[0, case.channels.index("t500"), 5, 5] = 400.0
    (line,) = beyond_training(case, store.manifest)
    assert line.startswith("t500: 0.1% of the input over area0")
    assert line.endswith("to 400")


def test_humidity_comes_from_specific_humidity_where_the_config_says_so(filled, tmp_path):
    with xr.open_dataset(coarse_file(filled)) as dataset:
        moist = dataset.rename(r="q").isel(time=slice(0, 3)).load()
    moist["q"] = moist["q"] * 0 + 0.005
    moist["q"].attrs["units"] = "kg kg**-1"
    moist.to_netcdf(tmp_path / "q.nc")
    with pytest.raises(InputError, match="lack r, which the network was trained with"):
        read_inputs([tmp_path / "q.nc"], filled.config())
    dataset = read_inputs([tmp_path / "q.nc"], filled.config(derive_humidity=True))
    warm = relative_humidity(
        np.float64(0.005), moist["t"].values, np.array([850.0, 500.0])[:, None, None]
    )
    np.testing.assert_allclose(dataset["r"].transpose("time", "level", ...), warm, rtol=1e-5)
