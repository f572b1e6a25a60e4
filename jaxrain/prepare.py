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
    parser.add_argument(
        "--stage",
        choices=["netcdf", "arrays"],
        help="netcdf: only files -> canonical NetCDF; arrays: only NetCDF -> store (default: both)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="reads and checks every file, says what would be made and what it would cost; "
        "writes nothing",
    )
    add_config_arguments(parser, default="configs/demo.yaml")
    return run_command(_run, parser, argv)


def _run(arguments: argparse.Namespace) -> None:
    if not any(
        word.startswith(("prepare.workers=0", "prepare.cluster=")) for word in arguments.overrides
    ):
        from jaxrain.pairs.preloading import expect_work

        expect_work()  # while this process reads the config
    from jaxrain.config import load_config
    from jaxrain.errors import InputError

    config = load_config(arguments.config, arguments.overrides)
    if arguments.dry_run:
        from jaxrain.pairs.rehearsal import rehearse

        if arguments.stage:
            raise InputError(f"--dry-run with --stage {arguments.stage}: give one of them")
        rehearse(config.data, work=config.prepare)
        return
    from jaxrain.pairs.build import prepare

    store = prepare(config.data, stage=arguments.stage, work=config.prepare)
    what = "the canonical NetCDF is under" if arguments.stage == "netcdf" else "the store is"
    print(f"{what} {store}")


if __name__ == "__main__":
    raise SystemExit(main())
