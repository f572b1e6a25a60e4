"""`python -m parity_tests.table [--slow]`: README's parity table, measured anew on this machine."""

import argparse

import jax
import torch

from parity_tests.measures import MEASURES
from parity_tests.tolerances import TOLERANCES


def main() -> None:
    """Prints one row a measure: what, error measured, error allowed, reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", action="store_true", help="whole chains and long trainings too")
    slow_too = parser.parse_args().slow
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)
    print("| what | measured | allowed |")
    print("| --- | --- | --- |")
    for name, (measure, slow) in MEASURES.items():
        row = TOLERANCES[name]
        if slow_too or not slow:
            print(f"| {row.what} | {measure():.2g} | {row.limit:g} |", flush=True)


if __name__ == "__main__":
    main()
