import json

import numpy as np
import pytest

from jaxrain.training.seal import FILE, find_damage, write_seal


@pytest.fixture
def sealed(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "a").write_bytes(bytes(range(256)))
    (tmp_path / "inside" / "b").write_bytes(b"rain" * 50)
    (tmp_path / "stamp").write_text("now")
    write_seal(tmp_path, ignore=frozenset({"stamp"}))
    return tmp_path


def test_what_is_as_it_was_is_whole(sealed):
    assert find_damage(sealed) is None
    (sealed / "stamp").write_text("later")
    assert find_damage(sealed) is None


def test_a_file_that_is_missing_or_shortened_is_named(sealed):
    (sealed / "inside" / "b").write_bytes(b"rain" * 49)
    assert find_damage(sealed) == "inside/b has 196 bytes instead of 200"
    (sealed / "inside" / "b").unlink()
    assert find_damage(sealed) == "inside/b is missing"


def test_any_flipped_byte_is_seen(sealed):
    rng = np.random.default_rng(0)
    for name in ("a", "inside/b"):
        whole = (sealed / name).read_bytes()
        for place in rng.choice(len(whole), 50, replace=False):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << rng.integers(8)
            (sealed / name).write_bytes(flipped)
            assert find_damage(sealed) == f"{name} has other bytes than were written"
        (sealed / name).write_bytes(whole)
    assert find_damage(sealed) is None


def test_no_damage_to_the_seal_itself_passes_as_whole(sealed):
    whole = (sealed / FILE).read_bytes()
    rng = np.random.default_rng(1)
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.integers(8)
        (sealed / FILE).write_bytes(flipped)
        # One that still says the same, in another way, is no damage.
        same = flipped.lower() == whole.lower()
        assert find_damage(sealed) is not None or same
    for text in ("", "[]", "3", '{"a": 1}', '{"../../etc/passwd": [1, "x"]}', "\udcff"):
        (sealed / FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
        assert find_damage(sealed) is not None
    (sealed / FILE).unlink()
    assert find_damage(sealed) == f"{FILE} is missing"


def test_the_seal_is_data(sealed):
    assert set(json.loads((sealed / FILE).read_text())) == {"a", "inside/b"}
