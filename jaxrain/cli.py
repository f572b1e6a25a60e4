"""`jaxrain VERB ...`: the same verbs as `python -m jaxrain.VERB ...`, as one installed command."""

import importlib
import sys
from collections.abc import Sequence

from jaxrain.allocator import keep_freed_memory

VERBS = {
    "prepare": "GRIB, NetCDF or .npy files -> the .npy store, with an audit",
    "plan": "memory, time and size of a training, before it is begun",
    "train": "trains a run; resumes by itself",
    "sample": "whole-domain ensemble as CF-NetCDF",
    "refine": "draws members anew inside small blocks: the second half of a cascade",
    "pool": "one ensemble of the members of several",
    "verify": "scores against baselines, as JSON and a page with pictures",
    "tune": "which sampler, in how many steps, is worth its time",
    "convert": ".pth or .safetensors <-> a run of ours",
    "bench": "speed beside PyTorch, as ratios",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the verb named by the first argument. Only that verb's module is imported."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if words[0] in ("-V", "--version"):
        from jaxrain import __version__

        print(f"jaxrain {__version__}")
        return 0
    if words[0] not in VERBS:
        print(
            f"jaxrain: error: no verb '{words[0]}'; there are {', '.join(VERBS)}", file=sys.stderr
        )
        return 2
    if argv is None and words[0] in ("train", "sample", "refine", "verify", "tune"):
        keep_freed_memory()
    verb = importlib.import_module(f"jaxrain.{words[0]}")
    status: int = verb.main(words[1:])
    return status


def _usage() -> str:
    width = max(map(len, VERBS))
    rows = "\n".join(f"  {verb:<{width}}  {what}" for verb, what in VERBS.items())
    return f"usage: jaxrain VERB ...\n\n{rows}\n\n'jaxrain VERB --help' says more of each."
