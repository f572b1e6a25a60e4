import argparse
import errno

import jax
import pytest

from jaxrain.command import run_command


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
    ("number", "told"), [(errno.ENOSPC, "no space left"), (errno.EFBIG, "`ulimit -f` allows")]
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
