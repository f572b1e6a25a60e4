import errno
import os
import shutil

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
    with open_parts(output, {"seed": "0"}) as folder:
        for part in ALL[:4]:
            save_part(folder, part, rain(part))
    with open_parts(output, {"seed": "0"}) as again:
        assert missing_parts(again, ALL) == ALL[4:]
        for part in ALL[:4]:
            np.testing.assert_array_equal(load_part(again, part), rain(part))
        remove_parts(again)
    assert not [*output.parent.iterdir()]


def test_a_part_cut_short_is_missing(output, monkeypatch):
    with open_parts(output, {}) as folder:

        def stop(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("pathlib.Path.replace", stop)
        with pytest.raises(KeyboardInterrupt):
            save_part(folder, ALL[0], rain(ALL[0]))
        assert missing_parts(folder, ALL) == ALL


def test_a_full_disk_has_its_errno_and_leaves_no_half_part(small_disk):
    large = np.zeros((200, 200), np.float32)
    with open_parts(small_disk("200k") / "OUT.nc", {}) as folder:
        save_part(folder, ALL[0], large)
        with pytest.raises(OSError, match="space") as refused:
            save_part(folder, ALL[1], large)
        assert refused.value.errno == errno.ENOSPC
        assert missing_parts(folder, ALL) == ALL[1:]
        assert not [path for path in folder.rglob("*") if "partial" in path.name]


def test_parts_of_another_setting_are_never_mixed(output):
    with open_parts(output, {"checkpoint": "abc", "steps": "20"}) as folder:
        save_part(folder, ALL[0], rain(ALL[0]))
    other = {"checkpoint": "abc", "steps": "50"}
    with pytest.raises(InputError, match=r"steps was 20, now it is 50.*--overwrite"):
        open_parts(output, other).__enter__()
    with open_parts(output, other, discard=True) as folder:
        assert missing_parts(folder, ALL) == ALL


@pytest.mark.parametrize("name", ["mine.txt", "2020/mine.npy"])
def test_a_folder_of_something_else_is_left_alone(output, name):
    mine = parts_folder(output) / name
    mine.parent.mkdir(parents=True)
    mine.write_text("keep")
    with pytest.raises(InputError, match="other files"):
        open_parts(output, {"seed": "0"}, discard=True).__enter__()
    assert [path for path in parts_folder(output).rglob("*") if path.is_file()] == [mine]


def test_a_file_in_the_place_of_the_folder_is_left_alone(output):
    parts_folder(output).write_text("keep")
    with pytest.raises(InputError, match="other files"):
        open_parts(output, {"seed": "0"}, discard=True).__enter__()


def test_a_folder_that_cannot_be_made_is_named(output, monkeypatch):
    def refuse(*_, **__):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(InputError, match=f"the folder {output.parent} cannot be made"):
        open_parts(output, {}).__enter__()


def test_a_kill_before_the_fingerprint_is_no_obstacle(output):
    parts_folder(output).mkdir()
    (parts_folder(output) / ".fingerprint.json.partial").write_text("{")
    with open_parts(output, {"seed": "0"}) as folder:
        assert missing_parts(folder, ALL) == ALL


@pytest.mark.parametrize("note", [None, "", "[]"])
def test_parts_without_their_fingerprint_go_where_they_may_be_discarded(output, note):
    with open_parts(output, {"seed": "0"}) as folder:
        save_part(folder, ALL[0], rain(ALL[0]))
        save_part(folder, ALL[0]._replace(member="products"), rain(ALL[0]))
    (folder / "fingerprint.json").unlink()
    if note is not None:
        (folder / "fingerprint.json").write_text(note)
    with pytest.raises(InputError, match=r"parts without their fingerprint.json; add --overwrite"):
        open_parts(output, {"seed": "0"}).__enter__()
    with open_parts(output, {"seed": "0"}, discard=True) as folder:
        assert missing_parts(folder, ALL) == ALL


@pytest.mark.parametrize("discard", [False, True])
def test_one_process_makes_an_output(output, discard):
    with open_parts(output, {"members": "1000"}) as folder:
        save_part(folder, ALL[0], rain(ALL[0]))
        for fingerprint in ({"members": "1000"}, {"members": "4"}):
            said = rf"OUT.nc is being made by process {os.getpid()} on .*another --output"
            with pytest.raises(InputError, match=said):
                open_parts(output, fingerprint, discard=discard).__enter__()
        assert missing_parts(folder, ALL) == ALL[1:]
    with open_parts(output, {"members": "1000"}) as folder:
        assert missing_parts(folder, ALL) == ALL[1:]


def test_a_kill_amid_the_removal_is_in_nobodys_way(output, monkeypatch):
    def kill(*_, **__):
        raise KeyboardInterrupt

    with open_parts(output, {"seed": "0"}) as folder:
        save_part(folder, ALL[0], rain(ALL[0]))
        with monkeypatch.context() as patch:
            patch.setattr("shutil.rmtree", kill)
            with pytest.raises(KeyboardInterrupt):
                remove_parts(folder)
    with open_parts(output, {"seed": "1"}) as folder:
        assert missing_parts(folder, ALL) == ALL
        remove_parts(folder)
    assert not [*output.parent.iterdir()]


def test_what_our_own_lock_holds_back_goes_when_it_is_given_back(output, monkeypatch, capsys):
    remove = os.rmdir

    def rmdir(path, *, dir_fd=None):  # as NFS, where the lock lies there under another name
        if str(path).endswith(".removed"):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        remove(path, dir_fd=dir_fd)

    with open_parts(output, {"seed": "0"}) as folder:
        save_part(folder, ALL[0], rain(ALL[0]))
        with monkeypatch.context() as patch:
            patch.setattr("os.rmdir", rmdir)
            remove_parts(folder)
        assert [*output.parent.iterdir()]
    assert not [*output.parent.iterdir()]
    assert capsys.readouterr().err == ""


def test_what_cannot_be_removed_is_told_and_is_no_error(output, monkeypatch, capsys):
    remove, left = shutil.rmtree, output.with_name(".OUT.nc.parts.removed")
    monkeypatch.setattr(
        "shutil.rmtree", lambda path, **how: None if path == left else remove(path, **how)
    )
    for _ in range(2):  # the second finds what the first left in its way
        with open_parts(output, {"seed": "0"}) as folder:
            save_part(folder, ALL[0], rain(ALL[0]))
            remove_parts(folder)
        assert capsys.readouterr().err == (
            f"warning: {left} is needed no more and could not be removed; delete it\n"
        )
        assert [*output.parent.iterdir()] == [left]

    monkeypatch.setattr("shutil.rmtree", lambda path, **how: None)
    with open_parts(output, {"seed": "0"}) as folder:
        remove_parts(folder)
        assert f"warning: {folder} is needed no more" in capsys.readouterr().err
