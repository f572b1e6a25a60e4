"""`python -m parity_tests.table`: README's parity table, measured anew on this machine."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from parity_tests.cases import CASES, fixture
from parity_tests.frameworks import (
    jax_network,
    relative_error,
    run_jax,
    run_torch,
    torch_network,
)
from parity_tests.tolerances import limit


def main() -> None:
    """Prints one row a fixture: largest errors relative to the largest output."""
    jax.config.update("jax_enable_x64", True)
    print("| fixture | float64 | unequal once rounded to float32 | float32 |")
    print("| --- | --- | --- | --- |")
    for case in CASES:
        x, s, expected = (fixture(case, part) for part in ("input", "level", "output"))
        wide = run_jax(jax_network(case, torch_network(case, torch.float64), jnp.float64), x, s)
        unequal = int(np.sum(wide.astype(np.float32) != expected.astype(np.float32)))
        narrow = torch_network(case, torch.float32)
        single = relative_error(
            run_jax(jax_network(case, narrow, jnp.float32), x, s), run_torch(narrow, x, s)
        )
        print(
            f"| {case.name} | {relative_error(wide, expected):.1e} "
            f"| {unequal} of {wide.size} | {single:.1e} |"
        )
    print(
        f"| allowed | {limit('forward_float64'):.0e} | {limit('forward_rounded'):.0f} "
        f"| {limit('forward_float32'):.0e} |"
    )


if __name__ == "__main__":
    main()
