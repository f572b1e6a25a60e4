"""What every command shares: how it is started and how it fails. Imports nothing heavy."""

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from jaxrain.errors import InputError

# What the operating system refuses for reasons that a user can mend.
_USER_OS_ERRORS = {
    errno.ENOSPC: "no space left on the device; free some and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EFBIG: "larger than the file system or `ulimit -f` allows; raise the limit, or "
    "choose another folder",
    errno.ENOTDIR: "a part of this path is a file, expected a folder; choose another",
    errno.EISDIR: "is a folder, expected a file; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EACCES: "permission denied; check who owns the folder",
    errno.EPERM: "not permitted; check who owns the folder, or choose another",
    errno.EROFS: "the file system is read-only; choose another folder",
}

_TOO_LITTLE_MEMORY = (
    "not enough memory: training takes less with a smaller train.batch_size or data.patch (see "
    "`python -m jaxrain.plan`), sampling with a smaller sample.batch or sample.tile"
)


# Of a file's name, in bytes: systems take 255, of which names of files beside it need some.
_LONGEST_NAME = 200


def add_config_arguments(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Adds `--config FILE` and any number of `section.key=value` to a parser."""
    parser.add_argument(
        "--config", metavar="FILE", default=default, help=f"YAML file (default: {default})"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="section.key=value",
        help="settings that replace the file's, for instance train.steps=100",
    )


def add_drawing_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a chain and of its tiles, which all that draws rain shares."""
    parser.add_argument("--sampler", metavar="NAME", help="ddpm, ddim, dpmpp_2m, heun")
    parser.add_argument("--steps", metavar="N", help="denoising steps of every member")
    parser.add_argument(
        "--eta", metavar="E", help="share of fresh noise in a step of ddim or heun, 0 to 1"
    )
    parser.add_argument(
        "--sigma-max",
        metavar="S",
        help="most noise over signal, where the chain begins, in units of the scaled target",
    )
    parser.add_argument("--batch", metavar="B", help="tiles that the network sees at once")
    parser.add_argument("--tile", metavar="PIXELS", help="edge of a tile")
    parser.add_argument("--overlap", metavar="PIXELS", help="overlap of neighbouring tiles")


def check_output(output: Path, *, overwrite: bool) -> None:
    """Makes sure that an ensemble can be written.

    Args:
      output: NetCDF file, or a Zarr store where it is called `.zarr`.
      overwrite: whether it may exist.

    Raises:
      InputError: it exists, is a folder or a device, lies in what is no folder, its name is too
        long, or it takes a package that is not installed.
    """
    if (length := len(os.fsencode(output.name))) > _LONGEST_NAME:
        raise InputError(
            f"--output {output.name[:20]}...: a name of {length} bytes, expected {_LONGEST_NAME} "
            "at most; choose a shorter one"
        )
    nearest = next((path for path in output.parents if os.path.lexists(path)), Path())
    if not nearest.is_dir():
        raise InputError(f"--output {output}: {nearest} is no folder; choose another")
    if output.suffix == ".zarr":
        if find_spec("zarr") is None:
            raise InputError(f"--output {output}: it takes zarr; pip install 'jaxrain[zarr]'")
    elif output.is_dir():
        raise InputError(f"--output {output} is a folder; name a file in it, as {output}/OUT.nc")
    if output.exists() and not (output.is_file() or output.is_dir()):
        raise InputError(f"--output {output} is no file that can be replaced; choose another name")
    if output.exists() and not overwrite:
        raise InputError(f"{output}: exists; choose another name, or replace it with --overwrite")


def run_command(
    run: Callable[[argparse.Namespace], int | None],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Parses `argv`, runs, and turns a user's error into one line on standard error.

    Args:
      run: does the work; returns an exit status (None means 0).
      parser: the command's own.
      argv: arguments without the program's name; None takes them from the process.

    Returns:
      0 where all that was asked is done, 2 after an error that a user can mend (too little memory
      is one), 130 after Ctrl-C.
    """
    arguments = parser.parse_args(argv)
    try:
        return run(arguments) or 0
    except InputError as error:
        return _fail(parser, str(error))
    except OSError as error:
        if error.errno not in _USER_OS_ERRORS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _fail(parser, f"{where}{_USER_OS_ERRORS[error.errno]}")
    except MemoryError as error:
        return _fail(parser, f"{_TOO_LITTLE_MEMORY} ({str(error) or 'in Python'})")
    except RuntimeError as error:
        # By its text: JAX's own kind of it need not have been imported.
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return _fail(parser, f"{_TOO_LITTLE_MEMORY} ({str(error).splitlines()[0]})")
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130


def _fail(parser: argparse.ArgumentParser, message: str) -> int:
    one_line = " ".join(message.split())
    print(f"{parser.prog}: error: {one_line}", file=sys.stderr)
    return 2
