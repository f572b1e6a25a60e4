from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.grids.regrid import bilinear_matrix, block_axis, block_mean
from jaxrain.pairs.build import prepare
from jaxrain.pairs.recipe import DataConfig, Selection, Splits
from jaxrain.pairs.store import open_store
from jaxrain.verification.forecast import open_forecast
from jaxrain.weather.cf import write_netcdf

HOURS = np.datetime64("2022-06-01T01", "s") + np.arange(5) * np.timedelta64(3600, "s")


def example(
    folder: Path, *, windows: bool = False, projected: bool = False, amount: float = 1.0
) -> Path:
    """An ensemble of 4 members over 5 hours of 40 x 48 points, and the store with its truth.

    Members and truth are drawn alike; the last hour's truth is unknown in a corner. With `windows`
    two windows of 32 x 32 points instead, one of hours 0 to 2, one of hours 3 and 4, as groups.
    All rain is multiplied by `amount`.
    """
    height, width, block = 40, 48, 8
    rng = np.random.default_rng(0)
    y, x = np.arange(height)[::-1] * 1.0, np.arange(width) * 1.0
    fine = Grid(y - 4000, x, True) if projected else Grid(23 + 0.01 * y, 113 + 0.01 * x)
    coarse = Grid(block_axis(fine.y, block), block_axis(fine.x, block), projected)
    wet = np.repeat(np.repeat(rng.random((5, 5, 6)) < 0.7, block, 1), block, 2)
    rain = amount * rng.gamma(0.5, 6, (5, 5, height, width)) * wet  # [truth and members, T, H, W]
    truth, members = rain[0].astype(np.float32), np.moveaxis(rain[1:], 0, 1).astype(np.float32)
    weights = bilinear_matrix(coarse.y, fine.y), bilinear_matrix(coarse.x, fine.x)
    interpolated = (weights[0] @ block_mean(truth, block) @ weights[1].T).astype(np.float32)
    truth[-1, :10, :10] = np.nan
    names = ("y", "x") if projected else ("latitude", "longitude")

    def dataset(fields: dict[str, Any], hours: np.ndarray, y0: int, x0: int) -> xr.Dataset:
        rows, columns = next(iter(fields.values()))[1].shape[-2:]
        coordinates: dict[str, Any] = {
            "time": hours.astype("datetime64[ns]"),
            names[0]: fine.y[y0 : y0 + rows],
            names[1]: fine.x[x0 : x0 + columns],
        }
        return xr.Dataset(fields, coordinates)

    # The hour before is the training's, for a store needs its statistics.
    hours = np.concatenate([HOURS[:1] - np.timedelta64(3600, "s"), HOURS])
    fields = np.concatenate([rng.random((1, height, width), np.float32), truth])
    write_netcdf(
        dataset({"rain": (("time", *names), fields)}, hours, 0, 0), folder / "fine" / "fine.nc"
    )
    splits = Splits(
        train=[Selection(period="2022-06-01T00")],
        test=[Selection(period="2022-06-01T01/2022-06-01T05")],
    )
    config = DataConfig(
        root=str(folder / "fine"),
        fine=["*.nc"],
        coarse=[],
        coarsen=block,
        variables=["tp"],
        splits=splits,
        patch=16,
        store=str(folder / "store"),
    )
    prepare(config, say=lambda line: None)

    def case(hours: slice, y0: int, x0: int, size: tuple[int, int]) -> xr.Dataset:
        rows, columns = slice(y0, y0 + size[0]), slice(x0, x0 + size[1])
        fields: dict[str, Any] = {
            "precipitation": (("time", "member", *names), members[hours, :, rows, columns]),
            "coarse_precipitation": (("time", *names), interpolated[hours, rows, columns]),
        }
        made = dataset(fields, HOURS[hours], y0, x0).assign_coords(member=np.arange(4))
        return made.assign_attrs(area=open_store(folder / "store").areas[0].name, origin=[y0, x0])

    whole = case(slice(None), 0, 0, (height, width))
    pieces = {
        "early": case(slice(0, 3), 8, 0, (32, 32)),
        "late": case(slice(3, 5), 0, 10, (32, 32)),
    }
    path = folder / "OUT.nc"
    attributes = {"jaxrain_store": str(folder / "store"), "sampler": "<i>ddim</i>"}
    write_netcdf(pieces if windows else whole, path, attributes=attributes)
    return path


def stored_rain(folder: Path) -> np.ndarray:
    """The truth of all hours [5, 40, 48]."""
    area = open_store(folder / "store").areas[0]
    return np.stack([area.fine(index) for index in area.indices("test")])


def without_coarse(path: Path) -> Path:
    """The same ensemble of a run whose predictors hold no rain."""
    made = path.with_name("dry_input.nc")
    with xr.open_dataset(path) as dataset:
        dataset.drop_vars("coarse_precipitation").to_netcdf(made)
    return made


@pytest.mark.parametrize("projected", [False, True])
def test_a_flat_file_is_one_case(tmp_path, projected):
    with open_forecast(example(tmp_path, projected=projected)) as forecast:
        (case,) = forecast.cases
        assert case.name == case.area
        assert case.origin == (0, 0)
        assert case.grid.shape == (40, 48)
        assert case.grid.projected == projected
        np.testing.assert_array_equal(case.hours, HOURS)
        assert case.members(2).shape == (4, 40, 48)
        assert case.bilinear(2).shape == (40, 48)
        assert forecast.attributes["sampler"] == "<i>ddim</i>"


def test_groups_are_cases_with_their_own_hours_and_origin(tmp_path):
    with open_forecast(example(tmp_path, windows=True)) as forecast:
        assert [case.name for case in forecast.cases] == ["early", "late"]
        assert [case.origin for case in forecast.cases] == [(8, 0), (0, 10)]
        assert [len(case.hours) for case in forecast.cases] == [3, 2]


def test_windows_hold_the_same_rain_as_the_whole(tmp_path):
    for name in ("whole", "pieces"):
        (tmp_path / name).mkdir()
    with (
        open_forecast(example(tmp_path / "whole")) as whole,
        open_forecast(example(tmp_path / "pieces", windows=True)) as pieces,
    ):
        late = pieces.cases[1].members(0)
        np.testing.assert_array_equal(late, whole.cases[0].members(3)[:, :32, 10:42])


def test_spacing_is_a_kilometre_on_a_projection_and_follows_the_latitude(tmp_path):
    for name, projected in (("plane", True), ("sphere", False)):
        (tmp_path / name).mkdir()
        with open_forecast(example(tmp_path / name, projected=projected)) as forecast:
            expected = 1.0 if projected else 1.11195 * np.sqrt(np.cos(np.radians(23.195)))
            assert forecast.cases[0].grid.spacing_km() == pytest.approx(expected, rel=1e-4)


def test_a_projections_degrees_are_read_where_the_file_has_them(tmp_path):
    path = example(tmp_path, projected=True)
    with open_forecast(path) as forecast:
        assert forecast.cases[0].grid.latitude is None
    degrees = np.arange(40.0 * 48).reshape(40, 48)
    with xr.open_dataset(path) as dataset:
        known = dataset.assign_coords(
            latitude=(("y", "x"), degrees), longitude=(("y", "x"), -degrees)
        )
        known.to_netcdf(tmp_path / "known.nc")
    with open_forecast(tmp_path / "known.nc") as forecast:
        np.testing.assert_array_equal(forecast.cases[0].grid.latitude, degrees)
        np.testing.assert_array_equal(forecast.cases[0].grid.longitude, -degrees)


def test_what_is_not_ours_is_named(tmp_path):
    text = tmp_path / "text.nc"
    text.write_text("no NetCDF")
    other = tmp_path / "other.nc"
    xr.Dataset({"t": ("x", [1.0])}).to_netcdf(other)
    for path, words in (
        (tmp_path / "absent.nc", "no such file"),
        (tmp_path, "is a folder and no Zarr store; give the file that"),
        (text, "no NetCDF file"),
        (other, "no variable 'precipitation'"),
    ):
        with pytest.raises(InputError, match=words), open_forecast(path):
            pass
