"""Rain of a forecast's steps, over all its files, as hours; and which of them are means.

Sums over three or six hours say nothing of when in them it rained. Where the user asks for it,
their mean stands for each hour, and who reads the result is told. Training takes none: a network
would learn that the extremes of an hour come from weak rain.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import xarray as xr

from jaxrain.pairs.choosing import Chosen, first_of
from jaxrain.weather.rain_windows import judged_together, single_hours
from jaxrain.weather.variables import cf_attributes

ATTRIBUTE = "jaxrain_spread_sums"


def with_single_hours(
    datasets: Sequence[xr.Dataset], what: str, spread_hours: int
) -> list[xr.Dataset]:
    """Replaces the sums of several files by one Dataset of the hours that they give together.

    Args:
      datasets: of `read_coarse(..., sums_apart=True)`, on the same axes.
      what: names the files in an error.
      spread_hours: longest window whose mean may stand for each of its hours; 1: none.

    Returns:
      The Datasets without `tp_sums`, and one of `tp`, in mm, where some had it; its attribute
      `incomplete_hours` lists the ends of sums that gave no hour.

    Raises:
      InputError: no sum gives an hour, two disagree, or one falls; or nothing tells what is summed.
    """
    sums = [dataset["tp_sums"] for dataset in datasets if "tp_sums" in dataset]
    if not sums:
        return list(datasets)
    sums = judged_together(sums, what, spread_hours=spread_hours)
    tp = single_hours(sums, what, spread_hours=spread_hours)
    file_units = tp.attrs.pop("units", "unknown")
    rain = tp.assign_attrs(file_units=file_units, **cf_attributes("tp")).to_dataset(name="tp")
    ends = np.concatenate([each["end"].values for each in sums])
    lost = np.setdiff1d(ends, rain["time"].values)
    rain.attrs["incomplete_hours"] = " ".join(np.datetime_as_string(lost, unit="m"))
    rest = [each.drop_dims("window", errors="ignore") for each in datasets]
    return [*(each for each in rest if each.data_vars), rain]


def hours_spread(dataset: xr.Dataset, chosen: Chosen) -> list[str]:
    """Says which hours' rain is a mean over several, a line for each number of them.

    Args:
      dataset: of `read_inputs`.
      chosen: which hours matter, of datetime64 [T] to bool [T].
    """
    every = int(chosen(dataset["time"].values).sum())
    return [
        f"the coarse rain of {len(hours)} of {every} hours is a mean over {length} hours "
        "(--spread-sums): extremes of single hours will be too weak, light rain too frequent: "
        f"{first_of(hours)}"
        for length, hours in _spread(dataset, chosen).items()
    ]


def spread_attribute(dataset: xr.Dataset, chosen: Chosen) -> dict[str, str]:
    """The global attribute that says the same of a file of rain; none where no hour is a mean."""
    told = [
        f"{length} hours: {' '.join(hours)}" for length, hours in _spread(dataset, chosen).items()
    ]
    return {ATTRIBUTE: "; ".join(told)} if told else {}


def _spread(dataset: xr.Dataset, chosen: Chosen) -> dict[int, list[str]]:
    """From lengths above 1 to the hours whose rain is a mean over so many, UTC."""
    if "window_hours" not in dataset.coords:
        return {}
    times, lengths = dataset["time"].values, dataset["window_hours"].values.astype(int)
    found: dict[int, list[str]] = defaultdict(list)
    for index in np.flatnonzero(chosen(times) & (lengths > 1)):
        found[int(lengths[index])].append(str(np.datetime_as_string(times[index], unit="m")))
    return dict(sorted(found.items()))
