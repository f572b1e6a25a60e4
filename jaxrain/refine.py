"""`python -m jaxrain.refine OUT.nc RUN --output FINER.nc`: rain drawn anew inside small blocks."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxrain.allocator import keep_freed_memory
from jaxrain.command import add_drawing_arguments, check_output, run_command
from jaxrain.errors import InputError

SETTINGS = (
    *("sampler", "steps", "seed", "eta", "batch", "tile", "overlap", "contrast"),
    *("consistency", "sigma_max", "epsilon_scale", "calibrate"),
)
# What is not given is the run's own, but for what refining is about.
_UNLESS_GIVEN = {"contrast": "1", "consistency": "hard", "seed": "0"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain refine",
        description="Draws the rain of each member anew inside blocks of a few points, whose means "
        "are kept, with a run that was trained on such blocks (data.coarsen=5): the second half of "
        "a cascade. Blocks that an edge cuts, or with missing points, keep theirs about. "
        "Interrupted and started again, it goes on where it was. Settings not given are RUN's, but "
        "for contrast, consistency, seed and products.",
    )
    parser.add_argument("ensemble", metavar="OUT.nc", help="what `jaxrain sample` wrote")
    parser.add_argument("run", metavar="RUN", help="folder that training made")
    parser.add_argument(
        "--output", required=True, metavar="FINER.nc", help="NetCDF file or .zarr store to write"
    )
    add_drawing_arguments(parser)
    parser.add_argument("--seed", metavar="K", help="of the noise, beside the seed of OUT.nc (0)")
    parser.add_argument(
        "--calibrate",
        choices=("true", "false"),
        help="whether members are calibrated, where `tune --calibrate` was run for RUN (true)",
    )
    parser.add_argument(
        "--contrast",
        metavar="C",
        help="for about a day a power of its own, between 1/C and C, gathers each member's rain "
        "inside blocks or scatters it (1: none)",
    )
    parser.add_argument(
        "--consistency",
        metavar="NAME",
        help="how far the mean of each block is held: off, soft or hard (hard)",
    )
    parser.add_argument(
        "--epsilon-scale",
        metavar="L",
        help="divides the noise that the network finds at each step of a chain (1)",
    )
    parser.add_argument(
        "--products",
        metavar="NAME,...",
        help="beside the members: mean, maximum, exceedance, quantiles as q90; none for none "
        "(those of OUT.nc)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FINER.nc if it exists")
    return run_command(_refine, parser, argv)


def _refine(arguments: argparse.Namespace) -> None:
    output = Path(arguments.output)
    check_output(output, overwrite=arguments.overwrite)
    ensemble = Path(arguments.ensemble).resolve()
    if ensemble in (output.resolve(), *output.resolve().parents):
        raise InputError(f"--output {output} is the ensemble itself, or in it: choose another")
    from jaxrain.config import sample_overrides
    from jaxrain.downscaler import load
    from jaxrain.ensembles.products import parse_products
    from jaxrain.heeded import check_heeded
    from jaxrain.refinement import write_refined
    from jaxrain.training.mesh import keep_compiled_programs
    from jaxrain.verification.forecast import open_forecast

    with open_forecast(arguments.ensemble) as forecast:
        keep_compiled_programs()
        asked = {name: getattr(arguments, name) for name in SETTINGS}
        given = _UNLESS_GIVEN | {k: v for k, v in asked.items() if v is not None}
        words = sample_overrides(given, arguments.products)
        downscaler = load(arguments.run, words)
        check_heeded(downscaler, asked)
        if caveat := downscaler.caveat(downscaler.config.sample):
            print(f"warning: {caveat}", file=sys.stderr)
        settings = downscaler.config.sample
        products = (
            None
            if arguments.products is None
            else parse_products(settings.products, settings.thresholds_mm)
        )
        write_refined(downscaler, forecast, output, products, overwrite=arguments.overwrite)
    print(f"wrote {output}")


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
