"""The ensemble of a run as a file: drawn field by field as parts, then written as a whole."""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from jaxrain.command import check_output
from jaxrain.downscaler import Downscaler, Draw
from jaxrain.ensembles.drawing import Item
from jaxrain.ensembles.output import case_dataset
from jaxrain.ensembles.parts import (
    Part,
    load_part,
    missing_parts,
    open_parts,
    remove_parts,
    save_part,
)
from jaxrain.ensembles.products import Products, parse_products, summarize
from jaxrain.fingerprint import fingerprint
from jaxrain.pairs.cases import Case
from jaxrain.weather.cf import write_netcdf
from jaxrain.weather.cf_zarr import check_replaceable, write_zarr

_TELL_EVERY = 15.0  # seconds between lines where no terminal shows a bar
_EXPECTED = "regression"  # of parts: what a regression expects of an hour


@dataclasses.dataclass(frozen=True, eq=False)
class Fields:
    """What a file is to hold of one case.

    Attributes:
      case: where and when.
      draw: from items to their rain.
      expect: likewise to what a regression expects, as member 0; None where there is none.
      dress: what becomes of its dataset before it is written; None for nothing.
    """

    case: Case
    draw: Draw
    expect: Draw | None = None
    dress: Callable[[xr.Dataset], xr.Dataset] | None = None


def write_ensemble(
    downscaler: Downscaler,
    cases: Sequence[Case],
    output: Path,
    origin: dict[str, str],
    *,
    overwrite: bool = False,
) -> None:
    """Draws the ensemble of a run into a file, as `write_fields` says.

    Args:
      downscaler: the run, with the settings of the ensemble in `config.sample`.
      cases: one makes a flat file, several a file with a group each.
      output: the NetCDF file, or a Zarr store where it is called `.zarr`.
      origin: further global attributes: where the input came from.
      overwrite: whether `output`, or parts of an ensemble with other settings, may be replaced.

    Raises:
      InputError: as `write_fields`; or the run can't draw the cases.
    """
    config = downscaler.config.sample
    fields = [
        Fields(
            case,
            downscaler.prepare(case, config),
            downscaler.prepare_regression(case, config),
        )
        for case in cases
    ]
    write_fields(
        fields,
        config.numbers,
        parse_products(config.products, config.thresholds_mm),
        fingerprint(downscaler, cases, config),
        downscaler.attributes(config) | origin,
        output,
        overwrite=overwrite,
    )


def write_fields(
    fields: Sequence[Fields],
    members: range,
    products: Products,
    made_by: dict[str, str],
    attributes: dict[str, Any],
    output: Path,
    *,
    overwrite: bool = False,
) -> None:
    """Draws what is not drawn yet, sums it up, assembles the file and removes the parts.

    Args:
      fields: one makes a flat file, several a file with a group each.
      members: their numbers, the same in all.
      products: that stand beside them.
      made_by: all that defines the fields, by name; only parts of the same are gone on with.
      attributes: global ones.
      output: the NetCDF file, or a Zarr store where it is called `.zarr`.
      overwrite: whether `output`, or parts of an ensemble with other settings, may be replaced.

    Raises:
      InputError: the file exists, another process makes it, or parts of another setting lie beside
        it.
    """
    zarr = output.suffix == ".zarr"
    if zarr:
        check_replaceable(output)
    cases = [each.case for each in fields]
    with open_parts(output, made_by, discard=overwrite) as folder:
        check_output(output, overwrite=overwrite)  # another process may have made it since
        parts = [
            Part(number, hour, member)
            for number, case in enumerate(cases)
            for hour in range(len(case.hours))
            for member in members
        ]
        missing = missing_parts(folder, parts)
        with _progress(len(parts), len(parts) - len(missing)) as advance:
            for number, each in enumerate(fields):
                items = [
                    Item(part.hour, int(part.member)) for part in missing if part.case == number
                ]
                for item, rain in each.draw(items):
                    save_part(folder, Part(number, *item), rain)
                    advance()

        def of_hours(name: str, numbers: Iterable[int]) -> list[Part]:
            named = [[Part(n, hour, name) for hour in range(len(cases[n].hours))] for n in numbers]
            return missing_parts(folder, [part for of_case in named for part in of_case])

        expects = {number: each.expect for number, each in enumerate(fields) if each.expect}
        missing = of_hours(_EXPECTED, expects)
        for number, expect in expects.items():
            items = [Item(part.hour, 0) for part in missing if part.case == number]
            for item, rain in expect(items):
                save_part(folder, Part(number, item.hour, _EXPECTED), rain)

        told = products.part_name(members)
        for part in of_hours(told, range(len(cases))) if products.layers else []:
            drawn = [part._replace(member=member) for member in members]
            save_part(
                folder, part, summarize(products, [partial(load_part, folder, m) for m in drawn])
            )

        def read(number: int, hour: int, member: int) -> NDArray[np.float32]:
            return load_part(folder, Part(number, hour, member))

        def read_product(number: int, layer: int, hour: int) -> NDArray[np.float32]:
            return load_part(folder, Part(number, hour, told))[layer]

        def read_expected(number: int, hour: int) -> NDArray[np.float32]:
            return load_part(folder, Part(number, hour, _EXPECTED))

        contents = {
            each.case.name: case_dataset(
                each.case,
                members,
                partial(read, number),
                products,
                partial(read_product, number),
                partial(read_expected, number) if each.expect else None,
            )
            for number, each in enumerate(fields)
        }
        for each in fields:
            if each.dress is not None:
                contents[each.case.name] = each.dress(contents[each.case.name])
        write = write_zarr if zarr else write_netcdf
        write(
            contents if len(contents) > 1 else contents[cases[0].name],
            output,
            overwrite=overwrite,
            attributes=attributes,
        )
        remove_parts(folder)


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[], None]]:
    """Shows how many fields are drawn: a bar on a terminal, now and then a line elsewhere."""
    if sys.stdout.isatty():
        from rich.progress import Progress

        with Progress() as progress:
            task = progress.add_task("fields", total=total, completed=done)
            yield lambda: progress.advance(task)
        return
    if done:
        print(f"{done} of {total} fields were drawn before", flush=True)
    count, told, began = done, time.monotonic(), time.monotonic()

    def advance() -> None:
        nonlocal count, told
        count += 1
        now = time.monotonic()
        if count == total or now - told > _TELL_EVERY:
            told = now
            left = (now - began) / (count - done) * (total - count)
            print(f"{count} of {total} fields, {left:.0f} s left", flush=True)

    yield advance
