"""`python -m jaxrain.pool A.nc B.nc --output OUT.nc`: members of several ensembles in one.

Of networks that were trained apart, for what one of them is sure of by accident another is not
(Lakshminarayanan et al. 2017, arXiv:1612.01474); or of one network, other members or other seeds,
drawn on machines that know nothing of each other.
"""

import argparse
import itertools
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxrain.command import check_output, run_command
from jaxrain.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from jaxrain.ensembles.products import Products
    from jaxrain.verification.forecast import Case, Forecast

# Global attributes that say where members come from: of the first three each file's is told, of the
# others where files differ. What else they don't agree on is left out.
_DRAWN_BY = ("jaxrain_checkpoint", "jaxrain_seed", "jaxrain_members")
_NUMBERS = re.compile(r"\d{1,10} to \d{1,10}")
_ANY = f"0 to {2**31 - 1}"  # of a file that does not say, or not so
_TOLD = (
    *("run", "checkpoint_step", "objective", "sampler", "steps"),
    *("contrast", "epsilon_scale", "spread_sums"),  # none stands for 1
    "most_mm",
    *("refined_by", "refined_checkpoint", "refined_seed"),
)


class Drawn(NamedTuple):
    """What members were drawn by, as files tell it; `members` are their numbers, as `8 to 15`."""

    checkpoint: str
    seed: str
    members: str

    def same_noise(self, other: "Drawn") -> bool:
        """Whether any members of both began from the same noise."""
        (first, last), (theirs, their_last) = (
            map(int, each.members.split(" to ")) for each in (self, other)
        )
        return self.seed == other.seed and first <= their_last and theirs <= last


class Source(NamedTuple):
    """Where a member comes from: the file's number, and the member's in it."""

    file: int
    member: int


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain pool",
        description="Makes one ensemble of the members of several, of the same hours and points: "
        "of networks that were trained apart, or other members or seeds of one. Members alternate; "
        "what the first file has of mean, maximum, quantiles and chances is made anew.",
    )
    parser.add_argument(
        "ensembles", nargs="+", metavar="FILE.nc", help="what `jaxrain sample` wrote; two or more"
    )
    parser.add_argument(
        "--output", required=True, metavar="OUT.nc", help="NetCDF file or .zarr store to write"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT.nc if it exists")
    return run_command(_pool, parser, argv)


def _pool(arguments: argparse.Namespace) -> None:
    from jaxrain.verification.forecast import open_forecast

    output = Path(arguments.output)
    if len(arguments.ensembles) < 2:
        raise InputError(f"{arguments.ensembles[0]}: expected two ensembles or more to pool")
    check_output(output, overwrite=arguments.overwrite)
    paths = [Path(path).resolve() for path in arguments.ensembles]
    if output.resolve() in paths:
        raise InputError(f"--output {output} is one of the ensembles: choose another name")
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise InputError(f"{twice[0]} is named twice: each member would count twice")
    with ExitStack() as stack:
        forecasts = [stack.enter_context(open_forecast(path)) for path in arguments.ensembles]
        for other in forecasts[1:]:
            _check_same(forecasts[0], other)
        _check_seeds(forecasts)
        members = alternate([_members(forecast) for forecast in forecasts])
        write_pooled(forecasts, members, output, overwrite=arguments.overwrite)
    print(f"wrote {output}: {len(members)} members of {len(forecasts)} ensembles")


def alternate(counts: Sequence[int]) -> list[Source]:
    """Members of files in turn, until each has no more: of any first few, all have their share."""
    rounds = itertools.zip_longest(
        *([Source(file, member) for member in range(count)] for file, count in enumerate(counts))
    )
    return [source for each in rounds for source in each if source is not None]


def write_pooled(
    forecasts: "Sequence[Forecast]",
    members: Sequence[Source],
    output: Path,
    *,
    overwrite: bool = False,
) -> None:
    """Writes the pooled ensemble, an hour's products and a member's field at a time.

    Args:
      forecasts: open, of the same cases.
      members: which becomes which, in order.
      output: NetCDF file, or a Zarr store where it is called `.zarr`.
      overwrite: whether it, or parts of another pool beside it, may be replaced.

    Raises:
      InputError: another process writes it, or parts of other ensembles lie beside it.
    """
    from jaxrain.ensembles.output import products_of
    from jaxrain.ensembles.parts import (
        Part,
        load_part,
        missing_parts,
        open_parts,
        remove_part,
        remove_parts,
        save_part,
    )
    from jaxrain.ensembles.products import summarize
    from jaxrain.weather.cf import write_netcdf
    from jaxrain.weather.cf_zarr import check_replaceable, write_zarr

    zarr = output.suffix == ".zarr"
    if zarr:
        check_replaceable(output)
    with open_parts(output, _fingerprint(forecasts), discard=overwrite) as folder:
        check_output(output, overwrite=overwrite)  # another process may have made it since

        def read_product(number: int, layer: int, hour: int) -> "NDArray[np.float32]":
            return load_part(folder, Part(number, hour, "products"))[layer]

        contents = {}
        for number, case in enumerate(forecasts[0].cases):
            cases = [forecast.cases[number] for forecast in forecasts]
            products = products_of(case.dataset)
            hours = [Part(number, hour, "products") for hour in range(len(case.hours))]
            for part in missing_parts(folder, hours) if products.layers else []:
                # Products ask for a field band by band, and a file gives it whole.
                mapped = [part._replace(member=member) for member in range(len(members))]
                for each, source in zip(mapped, members, strict=True):
                    save_part(folder, each, _rain(cases, source, part.hour))
                save_part(
                    folder,
                    part,
                    summarize(products, [partial(load_part, folder, m) for m in mapped]),
                )
                for each in mapped:
                    remove_part(folder, each)
            contents[case.name] = _pooled(cases, members, products, partial(read_product, number))
        write = write_zarr if zarr else write_netcdf
        write(
            contents if len(contents) > 1 else next(iter(contents.values())),
            output,
            overwrite=overwrite,
            attributes=_attributes(forecasts),
        )
        remove_parts(folder)


def _pooled(
    cases: "Sequence[Case]",
    members: Sequence[Source],
    products: "Products",
    load_product: "Callable[[int, int], NDArray[np.float32]]",
) -> "xr.Dataset":
    """The dataset of one case, its fields read only when they are asked for."""
    import numpy as np

    from jaxrain.ensembles.output import FIELDS_BESIDE, by_field, dressed_as, product_variables

    first, shape, hours = cases[0].dataset, cases[0].grid.shape, len(cases[0].hours)
    y, x = map(str, first["precipitation"].dims[-2:])
    variables: dict[str, Any] = {
        "precipitation": (
            ("time", "member", y, x),
            by_field((hours, len(members), *shape), lambda h, m: _rain(cases, members[m], h)),
        )
    }
    coordinates: dict[str, Any] = {"member": np.arange(len(members), dtype=np.int32)}
    if products.layers:
        layers = by_field((products.layers, hours, *shape), load_product)
        told, named = product_variables(products, layers, (y, x))
        variables |= told
        coordinates |= named
    agreed = [name for name in FIELDS_BESIDE if _agree(cases, name)]
    return dressed_as(first, variables, coordinates, agreed)


def _agree(cases: "Sequence[Case]", name: str) -> bool:
    """Whether all files hold a field beside the members, and the same."""
    import numpy as np

    if not all(name in case.dataset for case in cases):
        return False
    return all(
        np.array_equal(_hour(cases[0].dataset, name, hour), there, equal_nan=True)
        for hour in range(len(cases[0].hours))
        for there in (_hour(case.dataset, name, hour) for case in cases[1:])
    )


def _hour(dataset: "xr.Dataset", name: str, hour: int) -> "NDArray[np.float32]":
    return dataset[name].isel(time=hour).values


def _rain(cases: "Sequence[Case]", source: Source, hour: int) -> "NDArray[np.float32]":
    return cases[source.file].member(hour, source.member)


def _members(forecast: "Forecast") -> int:
    counts = {case.dataset.sizes["member"] for case in forecast.cases}
    if len(counts) > 1:
        raise InputError(
            f"{forecast.path} holds {' and '.join(map(str, sorted(counts)))} members in different "
            "cases: expected as many in each"
        )
    return counts.pop()


def _check_same(first: "Forecast", other: "Forecast") -> None:
    import numpy as np

    from jaxrain.verification.truth import positions_within

    ours, theirs = ([case.name for case in each.cases] for each in (first, other))
    if len(ours) != len(theirs) or (len(ours) > 1 and ours != theirs):
        raise InputError(
            f"{other.path} holds {', '.join(theirs)}, {first.path} {', '.join(ours)}: expected "
            "ensembles of the same cases"
        )
    for case, there in zip(first.cases, other.cases, strict=True):
        if not np.array_equal(case.hours, there.hours):
            raise InputError(
                f"{other.path} holds other hours of {case.name} than {first.path}: expected "
                "ensembles of the same"
            )
        found = positions_within(case.grid, there.grid)
        ranges = map(np.arange, case.grid.shape)
        same = case.grid.shape == there.grid.shape and found is not None
        if not same or not all(map(np.array_equal, found or (), ranges)):
            raise InputError(
                f"{other.path} holds other points of {case.name} than {first.path}, or in another "
                "order: expected ensembles of the same"
            )


def _drawn_by(forecast: "Forecast") -> list[Drawn]:
    """Weights, seed and numbers of the members: of a pool there are several of each."""
    checkpoints, seeds, members = (
        str(forecast.attributes.get(name, "")).split(", ") for name in _DRAWN_BY
    )
    if len(members) != len(seeds) or not all(map(_NUMBERS.fullmatch, members)):
        members = [_ANY] * len(seeds)
    told = zip(checkpoints, seeds, members, strict=False)
    return [Drawn(*each) for each in told if all(each)]


def _check_seeds(forecasts: "Sequence[Forecast]") -> None:
    """Refuses members that are the same, and warns of noise that networks share."""
    seen: list[tuple[Drawn, Forecast]] = []
    shared = False
    for forecast in forecasts:
        for drawn in _drawn_by(forecast):
            for before, where in seen:
                if not drawn.same_noise(before):
                    continue
                if drawn.checkpoint == before.checkpoint:
                    raise InputError(
                        f"{forecast.path} holds members of {where.path} (jaxrain_checkpoint, "
                        "jaxrain_seed and some of jaxrain_members are the same): sample it with "
                        "another --first-member, or another --seed"
                    )
                shared = True
            seen.append((drawn, forecast))
    if shared:
        print(
            "warning: members of different networks were drawn from the same noise (jaxrain_seed "
            "is the same), which makes them more alike: sample each with another --seed",
            file=sys.stderr,
        )


def _agreed_sections(forecasts: "Sequence[Forecast]") -> str:
    """Of the runs' settings the sections that are the same in all: `verify` asks for `data`."""
    import yaml

    from jaxrain.config import values_of_text

    texts = [str(forecast.attributes.get("jaxrain_config", "")) for forecast in forecasts]
    first, *others = map(values_of_text, texts)
    same = {
        name: section
        for name, section in first.items()
        if all(name in other and other[name] == section for other in others)
    }
    return yaml.safe_dump(same, sort_keys=False, allow_unicode=True) if same else ""


def _attributes(forecasts: "Sequence[Forecast]") -> dict[str, Any]:
    from jaxrain.verification.truth import store_at_hand

    first, *others = [forecast.attributes for forecast in forecasts]
    found = {
        name: value
        for name, value in first.items()
        if all(str(other.get(name)) == str(value) for other in others)
    }
    if "jaxrain_config" not in found and (agreed := _agreed_sections(forecasts)):
        found["jaxrain_config"] = agreed
    named = [str(forecast.attributes.get("jaxrain_store", "")) for forecast in forecasts]
    if all(named):  # of the same hours and points; the first that is here and still holds them
        there = (p for p, f in zip(named, forecasts, strict=True) if store_at_hand(f)[0])
        found["jaxrain_store"] = next(there, named[0])
    for name in (f"jaxrain_{name}" for name in _TOLD):
        values = [str(forecast.attributes.get(name, "none")) for forecast in forecasts]
        if len({*values}) > 1:
            found[name] = ", ".join(values)
    for place, name in enumerate(_DRAWN_BY):
        if told := [each[place] for forecast in forecasts for each in _drawn_by(forecast)]:
            found[name] = ", ".join(told)
    pooled = [f"{f.path.name} ({_members(f)} members)" for f in forecasts]
    return found | {"jaxrain_pooled": ", ".join(pooled)}


def _fingerprint(forecasts: "Sequence[Forecast]") -> dict[str, str]:
    """What the products of a pool are made from."""
    from jaxrain.ensembles.parts import file_state

    return {f"ensemble {number}": file_state(each.path) for number, each in enumerate(forecasts)}


if __name__ == "__main__":
    sys.exit(main())
