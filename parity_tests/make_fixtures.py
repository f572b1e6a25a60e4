"""Makes the fixtures from fixed seeds: `python -m parity_tests.make_fixtures [FOLDER]`."""

import argparse
from pathlib import Path

import numpy as np
import torch

from parity_tests.cases import CASES, FIXTURES, Case
from parity_tests.frameworks import fresh_torch_network, pin_numerics, run_torch


def make(case: Case) -> dict[str, np.ndarray]:
    """The case's arrays by part; see `parity_tests.cases.fixture`."""
    torch.manual_seed(case.seed)
    network = fresh_torch_network(case)
    with torch.no_grad():
        # Fresh biases are 0 and scales 1, which would hide a mistake in either.
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape))
    batch, height, width = case.shape
    x = torch.randn(batch, case.in_channels, height, width).numpy()
    s = torch.rand(batch, 1).numpy()
    weights = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    output = run_torch(network.double().eval(), x, s)
    return {"weights": weights.numpy(), "input": x, "level": s, "output": output}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FIXTURES)
    folder: Path = parser.parse_args().folder
    pin_numerics()
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    for case in CASES:
        for part, array in make(case).items():
            path = folder / f"{case.name}.{part}.npy"
            np.save(path, array)
            total += path.stat().st_size
    print(f"{len(CASES)} networks, {total / 1e6:.1f} MB in {folder}")


if __name__ == "__main__":
    main()
