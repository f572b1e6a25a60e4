import shutil

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import yaml

from jaxrain import pool, verify
from jaxrain.ensembles.output import product_variables
from jaxrain.ensembles.parts import save_part
from jaxrain.ensembles.products import parse_products, summarize
from jaxrain.pool import Source, alternate
from jaxrain.verification.forecast_test import example
from jaxrain.weather.cf import write_netcdf
from jaxrain.weather.projections import RADOLAN, with_mapping

PRODUCTS = parse_products(["mean", "maximum", "q50", "q90", "exceedance"], [0.1, 5])


def ensemble(path, members, seed, groups=(None,), mapping=None, **attributes):
    """Members of their own beside what `example` has, and all products."""
    contents = {}
    for name in groups:
        with xr.open_dataset(path.parent / "OUT.nc", group=name) as dataset:
            beside = dataset.drop_dims("member").load()
        shape = beside["coarse_precipitation"].shape
        rng = np.random.default_rng(seed)
        rain = rng.gamma(0.5, 6, (shape[0], members, *shape[1:])).astype(np.float32)
        dims = beside["coarse_precipitation"].dims
        told, named = product_variables(PRODUCTS, da.from_array(products(rain)), dims[1:])
        variables = {"precipitation": ((dims[0], "member", *dims[1:]), rain), **told}
        made = xr.Dataset(variables, {"member": np.arange(members, dtype=np.int32), **named})
        contents[name] = with_mapping(made.merge(beside).assign_attrs(beside.attrs), mapping)
    given = {
        "jaxrain_store": str(path.parent / "store"),
        "jaxrain_checkpoint": f"weights {seed}",
        "jaxrain_run": f"runs/{seed}",
        "jaxrain_seed": str(seed),
        "jaxrain_config": f"long {seed}",
    }
    write_netcdf(
        contents[None] if len(contents) == 1 else contents, path, attributes=given | attributes
    )
    return path


def products(rain):
    """[T, M, H, W] -> [P, T, H, W]."""
    return np.stack([summarize(PRODUCTS, [lambda m=m: m for m in hour]) for hour in rain], axis=1)


def read(path, group=None):
    with xr.open_dataset(path, group=group) as dataset:
        return dataset.load()


def failing(capsys, *words):
    assert pool.main(list(map(str, words))) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.fixture
def two(tmp_path):
    example(tmp_path)
    b = ensemble(tmp_path / "b.nc", 2, 2, jaxrain_contrast=9.0, jaxrain_most_mm=42.0)
    return ensemble(tmp_path / "a.nc", 3, 1), b


def test_members_alternate_and_products_are_of_all_of_them(two, tmp_path, capsys):
    output = tmp_path / "all.nc"
    assert pool.main([*map(str, two), "--output", str(output)]) == 0
    assert "5 members of 2 ensembles" in capsys.readouterr().out
    a, b, both = (read(path) for path in (*two, output))
    rain = "precipitation"
    order = ((a, 0), (b, 0), (a, 1), (b, 1), (a, 2))
    expected = xr.concat([each[rain].isel(member=m) for each, m in order], "member")
    np.testing.assert_array_equal(both[rain], expected.transpose(*both[rain].dims))
    of_all = products(both[rain].transpose("time", "member", ...).values)
    np.testing.assert_array_equal(both["precipitation_mean"], of_all[0])
    np.testing.assert_array_equal(both["precipitation_maximum"], of_all[1])
    np.testing.assert_array_equal(both["precipitation_quantile"], of_all[2:4])
    np.testing.assert_array_equal(both["exceedance_probability"], of_all[4:])
    np.testing.assert_array_equal(both["coarse_precipitation"], a["coarse_precipitation"])
    assert both["coarse_precipitation"].attrs == a["coarse_precipitation"].attrs
    assert {*both.variables} == {*a.variables}
    assert both[rain].attrs == a[rain].attrs
    assert both.attrs["area"] == a.attrs["area"]
    assert both.attrs["jaxrain_store"] == a.attrs["jaxrain_store"]
    assert both.attrs["jaxrain_run"] == "runs/1, runs/2"
    assert both.attrs["jaxrain_contrast"] == "none, 9.0"
    assert both.attrs["jaxrain_most_mm"] == "none, 42.0"
    assert both.attrs["jaxrain_seed"] == "1, 2"
    assert both.attrs["jaxrain_checkpoint"] == "weights 1, weights 2"
    assert both.attrs["jaxrain_pooled"] == "a.nc (3 members), b.nc (2 members)"
    assert "jaxrain_config" not in both.attrs
    assert sorted(path.name for path in tmp_path.iterdir() if "all" in path.name) == ["all.nc"]
    assert verify.main([str(output), "--report", str(tmp_path / "report")]) == 0


def test_settings_that_all_agree_on_are_kept(tmp_path):
    path = example(tmp_path)
    data = {"data": {"fine_utc_offset_hours": 8.0}}
    files = [
        ensemble(
            tmp_path / f"{seed}.nc",
            2,
            seed,
            jaxrain_config=yaml.safe_dump(data | {"sample": {"seed": seed}}),
        )
        for seed in (1, 2)
    ]
    output = path.parent / "all.nc"
    assert pool.main([*map(str, files), "--output", str(output)]) == 0
    assert yaml.safe_load(read(output).attrs["jaxrain_config"]) == data


def test_cases_of_groups_are_pooled_each(tmp_path):
    example(tmp_path, windows=True)
    groups = ("early", "late")
    files = [ensemble(tmp_path / f"{seed}.nc", 2, seed, groups) for seed in (1, 2)]
    third = ensemble(tmp_path / "3.nc", 2, 3, groups)
    output = tmp_path / "all.zarr"
    assert pool.main([*map(str, files), "--output", str(output)]) == 0
    for group in groups:
        with xr.open_zarr(output, group=group) as both:
            rain = both["precipitation"].transpose("member", "time", ...).values
        back = tmp_path / "back.nc"
        assert pool.main([str(output), str(third), "--output", str(back), "--overwrite"]) == 0
        np.testing.assert_array_equal(
            read(back, group)["precipitation"].transpose("member", "time", ...)[[0, 2, 4, 5]], rain
        )
        for number, path in enumerate(files):
            there = read(path, group)["precipitation"].transpose("member", "time", ...)
            np.testing.assert_array_equal(rain[number::2], there)


def test_alternating_goes_on_with_those_that_have_more():
    assert alternate([1, 3]) == [Source(0, 0), Source(1, 0), Source(1, 1), Source(1, 2)]


def test_interrupted_it_goes_on_and_gives_the_same(two, tmp_path, monkeypatch):
    whole, again = tmp_path / "whole.nc", tmp_path / "again.nc"
    assert pool.main([*map(str, two), "--output", str(whole)]) == 0
    saved, stop = [], 8  # of an hour five members, then the products

    def save_some(folder, part, fields):
        if len(saved) == stop:
            raise KeyboardInterrupt
        saved.append(part)
        save_part(folder, part, fields)

    monkeypatch.setattr("jaxrain.ensembles.parts.save_part", save_some)
    assert pool.main([*map(str, two), "--output", str(again)]) == 130
    assert not again.exists()
    assert (tmp_path / "again.nc.parts").is_dir()
    saved.clear()
    stop = 100
    assert pool.main([*map(str, two), "--output", str(again)]) == 0
    assert {part.hour for part in saved} == {1, 2, 3, 4}
    xr.testing.assert_identical(read(whole), read(again))
    assert not (tmp_path / "again.nc.parts").exists()


def test_a_projection_and_its_mapping_are_kept(tmp_path):
    example(tmp_path, projected=True)
    files = [ensemble(tmp_path / f"{s}.nc", 1, s, mapping=RADOLAN) for s in (1, 2)]
    output = tmp_path / "all.nc"
    assert pool.main([*map(str, files), "--output", str(output)]) == 0
    one, both = read(files[0]), read(output)
    xr.testing.assert_identical(one["crs"].reset_coords(drop=True), both["crs"])
    for name in one.data_vars:
        assert both[name].attrs == one[name].attrs
        assert both[name].dims == one[name].dims


def test_coarse_rain_that_differs_is_left_out(two, tmp_path):
    other, output = tmp_path / "other.nc", tmp_path / "all.nc"
    with xr.open_dataset(two[1]) as dataset:
        coarse = 2 * dataset["coarse_precipitation"]
        dataset.assign(coarse_precipitation=coarse).to_netcdf(other)
    assert pool.main([str(two[0]), str(other), "--output", str(output)]) == 0
    assert "coarse_precipitation" not in read(output)


def test_of_members_drawn_on_two_machines_the_store_that_is_here_is_kept(two, tmp_path):
    away = ensemble(tmp_path / "away.nc", 2, 3, jaxrain_store="elsewhere/store")
    output = tmp_path / "all.nc"
    assert pool.main([str(away), str(two[0]), "--output", str(output)]) == 0
    assert read(output).attrs["jaxrain_store"] == read(two[0]).attrs["jaxrain_store"]
    assert verify.main([str(output), "--report", str(tmp_path / "report")]) == 0
    unknown = ensemble(tmp_path / "unknown.nc", 2, 4, jaxrain_store="")
    assert pool.main([str(unknown), str(two[0]), "--output", str(output), "--overwrite"]) == 0
    assert "jaxrain_store" not in read(output).attrs


def test_members_of_one_seed_that_are_others_are_pooled(tmp_path, capsys):
    example(tmp_path)

    def drawn(name, members, weights="one"):
        told = {"jaxrain_checkpoint": weights, "jaxrain_seed": "0", "jaxrain_members": members}
        return str(ensemble(tmp_path / name, 2, len(name), **told))

    first, then, beyond = (
        drawn("a.nc", "0 to 1"),
        drawn("bb.nc", "2 to 3"),
        drawn("ccc.nc", "1 to 2"),
    )
    output = str(tmp_path / "all.nc")
    assert pool.main([first, then, "--output", output]) == 0
    assert "warning" not in capsys.readouterr().err
    assert read(output).attrs["jaxrain_members"] == "0 to 1, 2 to 3"
    for pair in ((first, beyond), (beyond, first), (output, beyond)):
        error = failing(capsys, *pair, "--output", tmp_path / "more.nc")
        assert "another --first-member, or another --seed" in error
    for number, unclear in enumerate(("4-5", "4", "4 to 5 to 6", "4 to 5, 6 to 7")):
        files = [drawn(f"{number}.nc", unclear), output]
        for order in (files, files[::-1]):
            assert "another --first-member" in failing(
                capsys, *order, "--output", tmp_path / "more.nc"
            )
    others = drawn("dddd.nc", "1 to 2", "two"), drawn("eeeee.nc", "4 to 5", "two")
    assert pool.main([output, others[1], "--output", str(tmp_path / "two.nc")]) == 0
    assert "warning" not in capsys.readouterr().err
    assert pool.main([output, others[0], "--output", str(tmp_path / "three.nc")]) == 0
    assert "from the same noise" in capsys.readouterr().err


def test_shared_noise_is_warned_of(tmp_path, capsys):
    example(tmp_path)
    files = [ensemble(tmp_path / f"{s}.nc", 1, s, jaxrain_seed="0") for s in (1, 2)]
    assert pool.main([*map(str, files), "--output", str(tmp_path / "all.nc")]) == 0
    assert "warning: members of different networks were drawn from" in capsys.readouterr().err


def test_what_cannot_be_pooled_is_refused_by_name(two, tmp_path, capsys):
    output = tmp_path / "all.nc"
    assert "two ensembles or more" in failing(capsys, two[0], "--output", output)
    assert "one of the ensembles" in failing(capsys, *two, "--output", two[0], "--overwrite")
    assert "exists; choose" in failing(capsys, *two, "--output", two[1])
    copy = shutil.copy(two[0], tmp_path / "copy.nc")
    error = failing(capsys, two[0], copy, "--output", output)
    assert "copy.nc holds members of" in error
    assert "another --seed" in error
    assert pool.main([*map(str, two), "--output", str(output)]) == 0
    capsys.readouterr()
    error = failing(capsys, two[0], output, "--output", tmp_path / "more.nc")
    assert "all.nc holds members of" in error
    output.unlink()
    assert "is named twice" in failing(capsys, two[0], two[0], "--output", output)
    assert "is a folder" in failing(capsys, *two, "--output", tmp_path, "--overwrite")
    shorter, moved = tmp_path / "shorter.nc", tmp_path / "moved.nc"
    with xr.open_dataset(two[1]) as dataset:
        dataset.isel(time=slice(0, 3)).to_netcdf(shorter)
        dataset.assign_coords(latitude=dataset["latitude"] + 0.005).to_netcdf(moved)
    assert "other hours of" in failing(capsys, two[0], shorter, "--output", output)
    assert "other points of" in failing(capsys, two[0], moved, "--output", output)
    upside_down = tmp_path / "upside_down.nc"
    with xr.open_dataset(two[1]) as dataset:
        dataset.isel(latitude=slice(None, None, -1)).to_netcdf(upside_down)
    assert "another order" in failing(capsys, two[0], upside_down, "--output", output)
    (tmp_path / "groups").mkdir()
    windows = example(tmp_path / "groups", windows=True)
    assert "holds early, late" in failing(capsys, two[0], windows, "--output", output)
    assert not output.exists()
