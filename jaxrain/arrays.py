"""Arrays in .npy files: written, and opened without trusting what their headers say."""

import tokenize
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np

from jaxrain.errors import InputError

# What numpy says against a damaged header or a file that is too short for it.
_DAMAGE = (
    *(ValueError, EOFError, OverflowError, MemoryError, RecursionError),
    *(SyntaxError, tokenize.TokenError, TypeError, KeyError, Warning),
)


def open_array(path: Path, remedy: str = "write it again") -> np.ndarray:
    """The array of a file as a read-only map: no memory is taken, whatever the header says.

    Args:
      path: a .npy file; never unpickled.
      remedy: what the user shall do with a damaged one.

    Raises:
      InputError: it cannot be opened, its header is damaged, or the file is longer or shorter than
        the header says.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of sizes that overflow; of headers of Python 2
            array = np.lib.format.open_memmap(path, mode="r")
        surplus = path.stat().st_size - array.offset - array.nbytes
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; {remedy}") from None
    except _DAMAGE as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be read as .npy: {said}; {remedy}") from None
    if surplus:
        raise InputError(f"{path}: has {surplus} bytes after its array; {remedy}")
    return array


def write_array(file: BinaryIO, array: np.ndarray) -> None:
    """Writes an array as np.save does, to the byte.

    Raises:
      OSError: the system refuses, with its errno; numpy's own way into a file forgets it.
    """
    # numpy writes past Python into what it knows for a file, but not into this.
    plain = SimpleNamespace(write=file.write)
    np.lib.format.write_array(plain, np.asanyarray(array), allow_pickle=False)
