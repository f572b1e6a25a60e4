"""Names of the CMPA analysis, parsed as fields.

The China Meteorological Administration's merged precipitation analysis: hourly sums in mm at 0.01
or 0.05 degree.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxrain.errors import InputError

_log = logging.getLogger(__name__)
_NAME = re.compile(
    r"Z_SURF_C_BABJ_(?P<produced>\d{14})_P_CMPA_(?P<stream>[A-Za-z]+)_(?P<region>[A-Za-z0-9]+)"
    r"_(?P<resolution>0P01|0P05)_(?P<product>3HOR|HOR|DAY)-PRE(?:-(?P<valid>\d{10}))?"
    r"(?:_(?P<number>\d{3}))?\.(?P<suffix>GRB2|nc|npy)"
)
# Also in names that others made longer: the sum is over the same window.
_LONGER = re.compile(r"_(3HOR|DAY)-PRE")


@dataclass(frozen=True)
class CmpaName:
    """A file's name, taken apart.

    Attributes:
      produced: when the file was made, UTC, datetime64[s]; a re-issue may be days later.
      stream: RT, NRT, FRT or FAST.
      region: CHN, BCGZ, ...
      resolution: '0P01' or '0P05' (degrees).
      product: 'HOR', '3HOR' or 'DAY': the window of the sum.
      valid: end of the window, UTC, datetime64[h]; None where the name doesn't say.
      number: the trailing counter, or None.
      suffix: 'GRB2', 'nc' or 'npy'.
    """

    produced: np.datetime64
    stream: str
    region: str
    resolution: str
    product: str
    valid: np.datetime64 | None
    number: str | None
    suffix: str

    @property
    def hour(self) -> np.datetime64:
        """The end of the window; where the name doesn't say, the produced time's hour."""
        return self.produced.astype("datetime64[h]") if self.valid is None else self.valid


def parse_name(name: str) -> CmpaName:
    """Takes a CMPA file's name apart.

    Raises:
      InputError: it is no such name, or a time in it is none.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(
            f"'{name}' is no CMPA name, expected Z_SURF_C_BABJ_YYYYMMDDhhmmss_P_CMPA_STREAM_REGION"
            "_0P01_HOR-PRE-YYYYMMDDhh.GRB2; rename the file"
        )
    part = match.groupdict()
    valid = part["valid"]
    return CmpaName(
        produced=_time(part["produced"], name),
        stream=part["stream"],
        region=part["region"],
        resolution=part["resolution"],
        product=part["product"],
        valid=None if valid is None else _time(valid, name).astype("datetime64[h]"),
        number=part["number"],
        suffix=part["suffix"],
    )


def is_cmpa_name(name: str) -> bool:
    """Whether a file is called as CMPA's are."""
    return _NAME.fullmatch(name) is not None


def check_hourly(path: Path) -> None:
    """Makes sure that a name speaks of no longer window than an hour.

    Raises:
      InputError: it is that of a 3-hour or a day product.
    """
    match = _LONGER.search(path.name)
    if match is not None:
        raise InputError(
            f"{path}: is a sum over {'3 hours' if match[1] == '3HOR' else 'a day'}, expected "
            "hourly rain (HOR); leave it out with data.exclude"
        )


def _time(digits: str, name: str) -> np.datetime64:
    digits = digits.ljust(14, "0")
    day, clock = digits[:8], digits[8:]
    try:
        return np.datetime64(
            f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}", "s"
        )
    except ValueError as error:
        raise InputError(f"'{name}': {digits} is no time, expected YYYYMMDDhhmmss") from error


def newest(paths: Iterable[str | Path]) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """Of the files of one valid hour, the one produced last.

    Files that aren't called as CMPA's are all taken: nothing in their names says that one replaces
    another.

    Returns:
      The files taken, sorted by name, and pairs (file passed over, file taken in its place).

    Raises:
      InputError: two files of one hour were produced at the same time.
    """
    taken: dict[tuple[str, str, str, np.datetime64], Path] = {}
    others: list[Path] = []
    replaced: list[tuple[Path, tuple[str, str, str, np.datetime64]]] = []
    for path in sorted(map(Path, paths), key=lambda each: (each.name, str(each))):
        if not is_cmpa_name(path.name):
            others.append(path)
            continue
        name = parse_name(path.name)
        key = (name.region, name.resolution, name.product, name.hour)
        rival = taken.get(key)
        if rival is None:
            taken[key] = path
            continue
        produced = parse_name(rival.name).produced
        if produced == name.produced:
            raise InputError(
                f"{path} and {rival} hold the same hour and were produced at the same time; "
                "exclude one of them"
            )
        loser = rival if produced < name.produced else path
        taken[key] = path if loser is rival else rival
        replaced.append((loser, key))
    for loser, key in replaced:
        _log.info("%s passed over: %s was produced later", loser.name, taken[key].name)
    return sorted([*taken.values(), *others]), [(loser, taken[key]) for loser, key in replaced]
