"""Hashes of what a store holds, made when it is and compared when it is first read."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

SEAL = "seal"  # of a manifest, the hash of all the rest of it


def remedy(path: Path) -> str:
    """What to do with a damaged file of a store, or of a run, which keeps copies of its store's."""
    if any((folder / "config.yaml").is_file() for folder in list(path.parents)[:3]):
        return "bring back a copy: the store that the run was trained on has the same"
    return "bring back a copy, or remove it and run prepare again, which makes what is missing"


def digest(array: np.ndarray) -> str:
    """Hash of an array's type, shape and bytes (BLAKE2b, RFC 7693), 32 hexadecimal digits."""
    content = np.ascontiguousarray(array)
    found = hashlib.blake2b(f"{content.dtype.str} {array.shape}".encode(), digest_size=16)
    found.update(content.data)
    return found.hexdigest()


def name_digest(array: np.ndarray) -> str:
    """Hash of an array's bytes that is part of a file's name, 12 hexadecimal digits."""
    return hashlib.sha256(array.tobytes()).hexdigest()[:12]


def text_digest(text: str) -> str:
    """Likewise of a text."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()


def seal_of(manifest: dict[str, Any]) -> str:
    """Hash of a manifest but for its seal, the same however it is laid out as JSON."""
    rest = {key: value for key, value in manifest.items() if key != SEAL}
    return text_digest(json.dumps(rest, sort_keys=True))
