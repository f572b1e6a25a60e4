"""Which collectives a compiled program holds, read off its HLO text."""

import math
import re
from collections import Counter

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

_BITS = {"pred": 8, "bf16": 16, "c64": 64, "c128": 128}  # others end in their width: f32, s8
# `%name = f32[3,4]{1,0} all-reduce(...)`, or a tuple of shapes, which holds no nested brackets.
_INSTRUCTION = re.compile(
    r"= (?P<shapes>\([^()]*\)|\S+) (?P<kind>" + "|".join(KINDS) + r")(?:-start)?\("
)
_SHAPE = re.compile(r"(?P<type>[a-z]+\d*\w*)\[(?P<sizes>[\d,]*)\]")


def count_collectives(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes of results and number of instructions of each kind.

    Args:
      text: of `compiled.as_text()`; what one device runs. An instruction inside a loop counts once.

    Returns:
      (bytes by kind, instructions by kind); kinds that do not occur are left out.
    """
    totals, counts = Counter[str](), Counter[str]()
    for found in _INSTRUCTION.finditer(re.sub(r"/\*.*?\*/", "", text)):
        kind = found["kind"]
        counts[kind] += 1
        totals[kind] += sum(
            _bytes(shape["type"], shape["sizes"]) for shape in _SHAPE.finditer(found["shapes"])
        )
    return dict(totals), dict(counts)


def _bytes(kind: str, sizes: str) -> int:
    width = re.search(r"\d+$", kind)
    bits = _BITS.get(kind) or (int(width.group()) if width else 8)
    return math.prod(int(size) for size in sizes.split(",") if size) * bits // 8
