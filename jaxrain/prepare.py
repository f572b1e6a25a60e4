"""`python -m jaxrain.prepare`: files to the store, with an audit at the end."""

import argparse
from collections.abc import Sequence

from jaxrain.command import add_config_arguments, run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain prepare",
        description="GRIB, NetCDF or .npy files -> NetCDF -> the .npy store, with an audit. "
        "Run again, it goes on where it was and does not redo what is finished.",
    )
    add_config_arguments(parser, default="configs/demo.yaml")
    return run_command(_run, parser, argv)


def _run(arguments: argparse.Namespace) -> None:
    from jaxrain.config import load_config
    from jaxrain.pairs.build import prepare

    config = load_config(arguments.config, arguments.overrides)
    store = prepare(config.data)
    print(f"the store is {store}")


if __name__ == "__main__":
    raise SystemExit(main())
