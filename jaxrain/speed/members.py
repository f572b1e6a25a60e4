"""Seconds of a whole member of a run, beside the 250-step DDIM of the source in PyTorch.

Both chains draw the window that training validates on. What they are worth is what `tune` measured:
its fastest chain within 1 % of the CRPS of DDIM in 250 steps is timed.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxrain.config import load_config
from jaxrain.diffusion.operations import forward_operations
from jaxrain.errors import InputError
from jaxrain.pairs.store import read_manifest
from jaxrain.pairs.surroundings import condition_channels
from jaxrain.speed.rows import Row

SOURCE = ("ddim", 250)
TOLERANCE = 0.01  # share of the CRPS


@dataclass(frozen=True)
class OfRun:
    """What is timed for a run.

    Attributes:
      jobs: one.
      chosen: of tune's trials, the chain that jaxrain draws.
      reference: of tune's trials, the source's chain.
    """

    jobs: list[dict[str, Any]]
    chosen: Row
    reference: Row

    def says(self, rows: list[Row]) -> str:
        """The ratio of seconds beside the CRPS of both."""
        seconds = {
            row["system"]: row["seconds"]
            for row in sorted(rows, key=lambda row: -row["seconds"])
            if row["task"] == "member"
        }
        chain = f"{self.chosen['sampler']} in {self.chosen['steps']} steps"
        text = f"member: {chain} has CRPS {self.chosen['crps_mm']:.4g} mm, "
        text += f"DDIM in 250 has {self.reference['crps_mm']:.4g}"
        if "torch" not in seconds:
            return text
        times = seconds["torch"] / seconds["jaxrain"]
        return f"{text}; {times:.1f} times as fast as PyTorch's 250"


def member_jobs(run: str | Path) -> OfRun:
    """What to time for a run.

    Raises:
      InputError: it is no run, or `tune` has not compared its chains with the source's.
    """
    path = Path(run)
    file = path / "report" / "tune.json"
    chains = "dpmpp_2m:8 dpmpp_2m:14 dpmpp_2m:20 ddim:250"
    remedy = f"python -m jaxrain.tune {path} --chains {chains}"
    if not (path / "config.yaml").is_file():
        raise InputError(f"--run {path}: not a run; expected a folder that training made")
    if not file.is_file():
        raise InputError(f"--run {path}: its chains have no CRPS yet; first {remedy}")
    trials = json.loads(file.read_text(encoding="utf-8"))["trials"]
    reference = next((t for t in trials if (t["sampler"], t["steps"]) == SOURCE), None)
    if reference is None:
        raise InputError(f"--run {path}: tune has not tried DDIM in 250 steps; first {remedy}")
    good = [t for t in trials if t["crps_mm"] <= (1 + TOLERANCE) * reference["crps_mm"]]
    chosen = min(good, key=lambda trial: trial["steps"])
    config = load_config(path / "config.yaml")
    edge = config.train.validation_size or config.data.patch
    predictors = len(read_manifest(path)["channels"])
    channels = condition_channels(config.data, predictors) + 1
    job = {
        "task": "member",
        "network": path.name,
        "run": str(path),
        "model": dataclasses.asdict(config.model),
        "in_channels": channels,
        "image_size": edge,
        "batch": config.sample.batch,
        "members": config.sample.batch,  # that one step draws
        "sampler": chosen["sampler"],
        "steps": chosen["steps"],
        "source_steps": SOURCE[1],
    }
    once = forward_operations(config.model, in_channels=channels, image_size=edge)
    return OfRun([job | {"operations": once * chosen["steps"]}], chosen, reference)
