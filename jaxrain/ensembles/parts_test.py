import errno

import numpy as np
import pytest

from jaxrain.ensembles.parts import (
    Part,
    load_part,
    missing_parts,
    open_parts,
    parts_folder,
    remove_parts,
    save_part,
)
from jaxrain.errors import InputError

ALL = [Part(case, hour, member) for case in range(2) for hour in range(2) for member in range(3)]


@pytest.fixture
def output(tmp_path):
    return tmp_path / "OUT.nc"


def rain(part):
    return np.full((4, 5), part.case * 100 + part.hour * 10 + part.member, np.float32)


def test_what_was_saved_is_not_missing_and_comes_back(output):
    folder = open_parts(output, {"seed": "0"})
    for part in ALL[:4]:
        save_part(folder, part, rain(part))
    again = open_parts(output, {"seed": "0"})
    assert missing_parts(again, ALL) == ALL[4:]
    for part in ALL[:4]:
        np.testing.assert_array_equal(load_part(again, part), rain(part))
    remove_parts(again)
    assert not parts_folder(output).exists()


def test_a_part_cut_short_is_missing(output, monkeypatch):
    folder = open_parts(output, {})

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        save_part(folder, ALL[0], rain(ALL[0]))
    assert missing_parts(folder, ALL) == ALL


def test_a_full_disk_has_its_errno_and_leaves_no_half_part(small_disk):
    folder = open_parts(small_disk("200k") / "OUT.nc", {})
    large = np.zeros((200, 200), np.float32)
    save_part(folder, ALL[0], large)
    with pytest.raises(OSError, match="space") as refused:
        save_part(folder, ALL[1], large)
    assert refused.value.errno == errno.ENOSPC
    assert missing_parts(folder, ALL) == ALL[1:]
    assert not [path for path in folder.rglob("*") if "partial" in path.name]


def test_parts_of_another_setting_are_never_mixed(output):
    folder = open_parts(output, {"checkpoint": "abc", "steps": "20"})
    save_part(folder, ALL[0], rain(ALL[0]))
    other = {"checkpoint": "abc", "steps": "50"}
    with pytest.raises(InputError, match=r"steps was 20, now it is 50.*--overwrite"):
        open_parts(output, other)
    assert missing_parts(open_parts(output, other, discard=True), ALL) == ALL


def test_a_folder_of_something_else_is_left_alone(output):
    parts_folder(output).mkdir()
    (parts_folder(output) / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="other files"):
        open_parts(output, {"seed": "0"}, discard=True)
    assert (parts_folder(output) / "mine.txt").exists()


def test_a_kill_before_the_fingerprint_is_no_obstacle(output):
    parts_folder(output).mkdir()
    (parts_folder(output) / ".fingerprint.json.partial").write_text("{")
    assert missing_parts(open_parts(output, {"seed": "0"}), ALL) == ALL
