"""What is wanted of ensembles of real rain, beside what some have: README's table.

    python benchmarks/radar_wanted.py SCORES.json [SCORES.json ...]

Each is of `verify ... --beside regression=FILE`, the regression being one of squared error.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WET = "at least 10 % wet"


@dataclass(frozen=True)
class Wish:
    """One number that is wanted.

    Attributes:
      words: what of, with the target.
      read: the number out of scores.json.
      met: whether a number is as wanted.
      format: of the number.
    """

    words: str
    read: Callable[[dict[str, Any]], float]
    met: Callable[[float], bool]
    format: str


def below(name: str, part: str | None = None) -> Callable[[dict[str, Any]], float]:
    """By how much of a forecast's CRPS the model's is below it [%], on all fields or on a part."""

    def read(scores: dict[str, Any]) -> float:
        if part is None:
            return 100 * float(scores["crps_skill"][name]["value"])
        crps = next(each for each in scores["parts"] if each["name"] == part)["crps_mm"]
        return 100 * (1 - float(crps["model"]) / float(crps[name]))

    return read


def score(name: str) -> Callable[[dict[str, Any]], float]:
    """A score of the ensemble; what is not known is not a number."""

    def read(scores: dict[str, Any]) -> float:
        value = scores["model"][name]["value"]
        return float("nan") if value is None else float(value)

    return read


WISHES = (
    Wish("CRPS below bilinear's, 40 %", below("bilinear"), lambda x: x >= 40, ".1f"),
    Wish("the same, wet windows", below("bilinear", WET), lambda x: x >= 40, ".1f"),
    Wish("CRPS below the regression's, 28 %", below("regression"), lambda x: x >= 28, ".1f"),
    Wish("the same, wet windows", below("regression", WET), lambda x: x >= 28, ".1f"),
    Wish(
        "effective resolution, 4 km or finer",
        score("effective_resolution_km"),
        lambda x: x <= 4,
        ".1f",
    ),
    Wish("spectrum from 4 km up, 2 dB", score("spectrum_max_db"), lambda x: x <= 2, ".2f"),
    Wish(
        "wet area, of truth's, 0.9 to 1.1",
        score("wet_area_ratio"),
        lambda x: 0.9 <= x <= 1.1,
        ".2f",
    ),
    Wish(
        "p99.9, of truth's, 0.85 to 1.15",
        score("p99.9_ratio"),
        lambda x: 0.85 <= x <= 1.15,
        ".3f",
    ),
    Wish("spread / skill, 0.9 to 1.1", score("spread_skill"), lambda x: 0.9 <= x <= 1.1, ".2f"),
)
BESIDE = {
    "CRPS [mm]": ("crps_mm", ".4f"),
    "plain CRPS [mm]": ("plain_crps_mm", ".4f"),
    "most at a point [mm]": ("maximum_mm", ".0f"),
}


def main() -> None:
    """Prints a column for each file of scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", nargs="+", type=Path, metavar="SCORES.json")
    arguments = parser.parse_args()
    files = [json.loads(path.read_text()) for path in arguments.scores]
    print(f"| wanted | {' | '.join(path.parent.name for path in arguments.scores)} | met |")
    print(f"| --- |{' --- |' * (len(files) + 1)}")
    for wish in WISHES:
        found = [wish.read(scores) for scores in files]
        met = sum(wish.met(number) for number in found)
        told = "yes" if met == len(found) else f"{met} of {len(found)}" if met else "no"
        cells = " | ".join(format(number, wish.format) for number in found)
        print(f"| {wish.words} | {cells} | {told} |")
    for words, (name, form) in BESIDE.items():
        cells = " | ".join(format(score(name)(scores), form) for scores in files)
        print(f"| {words} | {cells} | |")


if __name__ == "__main__":
    main()
