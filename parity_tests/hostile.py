"""Ways to spoil text, JSON and headers, beside the damage to bytes of `jaxrain.weather.fuzz_files`.

A flipped bit rarely makes a valid file with a mad value in it; these do.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxrain.weather.fuzz_files import harm

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**15, -(10**18), 10**400, 1e308, 1e-320),
    *(float("nan"), float("inf"), "", " ", "..", "../../outside", "/etc/passwd", "a\0b", "NaT"),
    *("<script>alert(1)</script>", "雨", "\udcff", "x" * 300, "9" * 5000, "2022-02-30", "%s%n"),
    *([], {}, [[]], [None], {"": 0}, {"../x": 1}, [0] * 50, "inf", "u850", "train"),
)
_PIECES: tuple[bytes, ...] = (
    *(b"\0", b"\xff\xfe", b"\r", b"\n\n", b"\t", b'"', b"'", b",", b";;", b"{", b"}", b"[" * 3000),
    *(b"[" * 90, b"- " * 500, b"&a [*a, *a]", b"*a", b"!!python/object/apply:os.system ['x']"),
    *(b"? [a]\n: b", b"<<: *a", b"1e999", b"nan", b"-inf", b"9" * 5000, b"0x", b"\xe2\x80\xae"),
    *(b"../../outside", b"null", b"~", b"'" * 7, b"x" * 140000, b"\xd9\xa3", b"%", b"|", b">"),
)


def spoil(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """One to three ways of damage.

    Returns:
      What is left, and what was done.
    """
    kinds = rng.integers(4)
    if kinds == 0:
        damaged = bytearray(content)
        told = " ".join(harm(damaged, rng))
        return bytes(damaged), told
    if kinds == 1 and (tree := _parsed(content)) is not None:
        for _ in range(rng.integers(1, 4)):
            _replace(tree, rng)
        return json.dumps(tree).encode("utf-8", "surrogatepass"), "json values"
    if kinds == 2:
        return _lines(content, rng), "lines"
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(content) + 1))
        gone = int(rng.integers(0, 12))
        piece = _PIECES[rng.integers(len(_PIECES))]
        content = content[:place] + piece + content[place + gone :]
    return content, "pieces"


def spoil_header(content: bytes, length: int, rng: np.random.Generator) -> tuple[bytes, str]:
    """Damages the first `length` bytes, sometimes with numbers that ask for much."""
    head, tail = content[:length], content[length:]
    if rng.random() < 0.3:
        at = int(rng.integers(max(length - 8, 1)))
        much = int(rng.choice(np.array([2**31, 2**40, 2**60, 2**63 - 1, 10**15], np.int64)))
        head = head[:at] + much.to_bytes(8, "little") + head[at + 8 :]
        return head + tail, "much"
    spoilt, told = spoil(head, rng)
    return spoilt + tail, told


def _parsed(content: bytes) -> Any:
    try:
        tree = json.loads(content)
    except ValueError:
        return None
    return tree if isinstance(tree, dict | list) and tree else None


def _replace(tree: Any, rng: np.random.Generator) -> None:
    """Puts a mad value somewhere, or takes something away."""
    places = list(_places(tree))
    if not places:
        return
    # Deep values outnumber the rest: half of the time one of the first levels is taken.
    near = [place for place in places if place[2] < 2]
    chosen = near if rng.random() < 0.5 else places
    inside, key, _ = chosen[int(rng.integers(len(chosen)))]
    if rng.random() < 0.2:
        del inside[key]
    elif isinstance(inside, dict) and rng.random() < 0.15:
        inside[str(_VALUES[rng.integers(len(_VALUES))])[:300]] = inside.pop(key)
    else:
        # A copy, for the next damage may be to it.
        inside[key] = copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])


def _places(tree: Any, depth: int = 0) -> Iterator[tuple[Any, Any, int]]:
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree))
    for key in keys:
        yield tree, key, depth
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key], depth + 1)


def _lines(content: bytes, rng: np.random.Generator) -> bytes:
    """Doubles, drops, swaps or cuts lines."""
    lines = content.split(b"\n")
    for _ in range(rng.integers(1, 4)):
        at, other = (int(rng.integers(len(lines))) for _ in range(2))
        way = rng.integers(5)
        if way == 0:
            lines.insert(other, lines[at])
        elif way == 1 and len(lines) > 1:
            del lines[at]
        elif way == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif way == 3:
            lines[at] = lines[at][: int(rng.integers(len(lines[at]) + 1))]
        else:
            words = lines[at].split(b" ")
            words[int(rng.integers(len(words)))] = _PIECES[rng.integers(len(_PIECES))]
            lines[at] = b" ".join(words)
    return b"\n".join(lines)
