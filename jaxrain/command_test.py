import argparse
import errno
from pathlib import Path

import jax
import pytest

from jaxrain.command import check_output, run_command
from jaxrain.errors import InputError


def _run(error):
    def fail(arguments):
        raise error

    return run_command(fail, argparse.ArgumentParser(prog="jaxrain sample"), [])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "(in Python)"),
        (MemoryError("Unable to allocate 7.00 TiB"), "(Unable to allocate 7.00 TiB)"),
        (
            jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory, 9 bytes.\nBT:"),
            "(RESOURCE_EXHAUSTED: Out of memory, 9 bytes.)",
        ),
    ],
    ids=["Python's", "numpy's", "JAX's"],
)
def test_too_little_memory_is_one_line_with_a_remedy(error, told, capsys):
    assert _run(error) == 2
    said = capsys.readouterr().err
    assert said.startswith("jaxrain sample: error: not enough memory: training takes less")
    assert said.endswith(f"{told}\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EFBIG, "`ulimit -f` allows"),
        (errno.ENOTDIR, "a part of this path is a file"),
        (errno.EISDIR, "is a folder, expected a file"),
        (errno.ENAMETOOLONG, "the name is too long"),
        (errno.EPERM, "not permitted"),
    ],
)
def test_what_the_system_refuses_is_one_line(number, told, capsys):
    assert _run(OSError(number, "oh", "a/b")) == 2
    said = capsys.readouterr().err
    assert said.startswith("jaxrain sample: error: a/b: ")
    assert told in said
    assert said.count("\n") == 1


def test_what_no_user_can_mend_keeps_its_traceback():
    for error in (
        jax.errors.JaxRuntimeError("INTERNAL: oh"),
        RuntimeError("oh"),
        OSError(errno.EIO, "oh"),
    ):
        with pytest.raises(type(error), match="oh"):
            _run(error)


def test_what_jax_cannot_allocate_comes_as_that_error(capsys):
    def ask(arguments):
        jax.jit(lambda: jax.numpy.zeros((2**22, 2**22)) + 1)().block_until_ready()

    assert run_command(ask, argparse.ArgumentParser(prog="jaxrain sample"), []) == 2
    assert "not enough memory" in capsys.readouterr().err


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("file/x.nc", r"/file is no folder; choose another$"),
        ("file/deep/er/x.nc", r"/file is no folder"),
        ("nowhere/x.nc", r"/nowhere is no folder"),
        (
            "x" * 300,
            r"--output xxxxxxxxxxxxxxxxxxxx\.\.\.: a name of 300 bytes, expected 200 at most",
        ),
        ("é" * 120 + ".nc", r"a name of 243 bytes"),
        (".", r"is a folder; name a file in it"),
        ("/dev/null", r"--output /dev/null is no file that can be replaced"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_cannot_be_is_refused_at_once(folder, name, told, overwrite):
    with pytest.raises(InputError, match=told):
        check_output(folder / name, overwrite=overwrite)


def test_an_output_may_be_new_or_a_file_that_may_be_replaced(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for output in (Path("x.nc"), Path("new/deep/x.nc"), folder / "x.nc", folder / ("x" * 200)):
        check_output(output, overwrite=False)
    check_output(folder / "file", overwrite=True)
    with pytest.raises(InputError, match="exists; choose another name, or replace it"):
        check_output(folder / "file", overwrite=False)


def test_a_folder_of_too_long_a_name_is_one_line(folder, capsys):
    def check(arguments):
        check_output(folder / ("x" * 300) / "x.nc", overwrite=False)

    assert run_command(check, argparse.ArgumentParser(prog="jaxrain sample"), []) == 2
    assert "the name is too long" in capsys.readouterr().err
