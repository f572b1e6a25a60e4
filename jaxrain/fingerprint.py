"""What an ensemble is made from: an interrupted one goes on only where all of it is the same."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from jaxrain import __version__
from jaxrain.downscaler import Downscaler
from jaxrain.ensembles.canvas import FORM as padding_form
from jaxrain.ensembles.consistency import FORM as consistency_form
from jaxrain.ensembles.member_contrast import FORM as contrast_form
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.grids.tiling import Lattice
from jaxrain.pairs.cases import Case, hash_cases, hash_drifts
from jaxrain.pairs.recipe import DataConfig

# What may differ between two commands that draw the same members.
_FREE = ("members", "first_member", "batch", "products", "thresholds_mm", "first_guess")


def fingerprint(
    downscaler: Downscaler, cases: Sequence[Case], config: SampleConfig
) -> dict[str, str]:
    """All that defines the fields of a run's ensemble, by name, as text."""
    data = downscaler.config.data
    network = [
        dataclasses.asdict(downscaler.config.model),
        dataclasses.asdict(downscaler.config.diffusion),
        [data.target, data.rain_scaling, data.rain_scale_mm, data.standardize, data.patch],
        [data.interpolations, downscaler.config.train.precision, downscaler.manifest["statistics"]],
    ]
    tile, overlap = config.tiling(data.patch)
    settings = dataclasses.asdict(config) | {"tile": tile, "overlap": overlap}
    for name in ("contrast", "epsilon_scale", "spread_sums_hours"):
        if settings[name] == 1:  # as before there was such a setting
            del settings[name]
    lattices = [Lattice.anchored(c.fine_grid.shape, tile, overlap, c.origin) for c in cases]
    padded = any(lattice.canvas != lattice.shape for lattice in lattices)
    return {
        "version of jaxrain": __version__,
        "checkpoint": downscaler.checkpoint,
        **downscaler.beside.hashes(),
        **({"calibration": downscaler.calibration.sha256()} if downscaler.calibration else {}),
        "network": hashlib.sha256(json.dumps(network, sort_keys=True).encode()).hexdigest(),
        "input": hash_cases(cases),
        # As before there was a form of them, where all of the canvas is the field.
        **({"form of padding": str(padding_form)} if padded else {}),
        **_beside(data, downscaler.manifest),
        **({"steering wind": hash_drifts(cases)} if config.noise_correlation else {}),
        **{name: str(value) for name, value in settings.items() if name not in _FREE},
        **({"form of contrast": str(contrast_form)} if config.contrast != 1.0 else {}),
        **({"form of consistency": str(consistency_form)} if config.consistency != "off" else {}),
        **({"most rain": f"{downscaler.most_mm:.9g}"} if config.multiplies else {}),
    }


def _beside(data: DataConfig, manifest: dict[str, Any]) -> dict[str, str]:
    """What a fingerprint says of static fields and encodings; nothing where there are none."""
    static = json.dumps(manifest.get("static", []), sort_keys=True)
    known = {
        "static fields": hashlib.sha256(static.encode()).hexdigest() if data.static else "",
        "encodings": ", ".join(data.encodings),
    }
    return {name: text for name, text in known.items() if text}
