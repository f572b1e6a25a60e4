"""`python -m jaxrain.plan`: memory, time and size of a training, before it is begun.

Only compiles; draws no weights, needs no store and writes nothing.
"""

import argparse
import sys
from collections.abc import Sequence

from jaxrain.command import add_config_arguments, run_command
from jaxrain.errors import InputError

DEFAULT_CONFIG = "configs/demo.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain plan",
        description="Says what a training will need and how long it will take, from its config "
        "alone: memory by XLA's own analysis of the compiled step, time by a roofline.",
    )
    add_config_arguments(parser, default=DEFAULT_CONFIG)
    parser.add_argument(
        "--devices", type=int, metavar="N", help="that share a batch (default: train.devices or 1)"
    )
    parser.add_argument(
        "--device", default="cpu", metavar="NAME", help="h800, h100, h200, a100, cpu (default: cpu)"
    )
    parser.add_argument(
        "--share",
        type=float,
        metavar="SHARE",
        help="of the peak that the arithmetic is taken to reach (default: 0.18 on GPUs, as the "
        "source's network did in bfloat16 on an H200, and 0.45 on CPUs)",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the communication that is hidden behind arithmetic (default: 0: the update waits "
        "for the gradients' norm)",
    )
    return run_command(_plan, parser, argv)


def _plan(arguments: argparse.Namespace) -> None:
    from jaxrain.config import load_config
    from jaxrain.planning.epoch import look_at_store
    from jaxrain.planning.machines import NAMES, REACHED
    from jaxrain.planning.outlook import look_ahead
    from jaxrain.planning.words import explain

    if arguments.device not in NAMES:
        raise InputError(f"--device {arguments.device}: expected one of {', '.join(NAMES)}")
    share = REACHED[arguments.device] if arguments.share is None else arguments.share
    if not 0 < share <= 1 or not 0 <= arguments.overlap <= 1:
        raise InputError(f"--share {share} --overlap {arguments.overlap}: expected shares, as 0.45")
    config = load_config(arguments.config, arguments.overrides)
    devices = config.train.devices or 1 if arguments.devices is None else arguments.devices
    if devices < 1:
        raise InputError(f"--devices {devices}: expected 1 or more")
    epoch = look_at_store(config)
    outlook = look_ahead(config, arguments.device, devices, share, arguments.overlap)
    print(explain(config, outlook, epoch, share))


if __name__ == "__main__":
    sys.exit(main())
