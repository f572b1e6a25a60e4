"""Every tolerance of the parity tests, with its reason. Errors are relative to the largest
magnitude of the reference unless the row says otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """One row.

    Attributes:
      what: what is compared, in words.
      limit: largest error allowed.
      reason: why this much and no less.
    """

    what: str
    limit: float
    reason: str


_ROUNDING = "both sum the same terms in another order; some 50 layers of float64 rounding (1e-16)"

TOLERANCES = {
    "forward_float64": Tolerance("network, float64", 1e-12, _ROUNDING),
    "forward_rounded": Tolerance(
        "network, float64 rounded to float32: unequal values",
        0,
        "an error of 1e-15 crosses a float32 rounding boundary about once in 1e7 values",
    ),
    "forward_float32": Tolerance(
        "network, float32, CPU",
        5e-6,
        "either framework is about 1e-6 from its own float64; convolutions block their sums",
    ),
    "forward_float32_gpu": Tolerance(
        "network, float32, GPU",
        2e-5,
        "cuDNN picks Winograd and FFT kernels, which round more than direct sums",
    ),
    "loss_float64": Tolerance("loss and global gradient norm, float64", 1e-12, _ROUNDING),
    "loss_float32": Tolerance(
        "loss and global gradient norm, float32", 1e-5, "forward and backward float32 rounding"
    ),
    "gradient_float64": Tolerance(
        "each parameter's gradient, float64, relative to the largest of all", 1e-12, _ROUNDING
    ),
    "step_float64": Tolerance(
        "parameters and EMA after one AdamW step, float64",
        1e-12,
        "Adam divides by sqrt(v) + 1e-8, so gradients near 1e-8 magnify their rounding a little",
    ),
    "training_float64": Tolerance(
        "parameters and EMA after 100 steps, float64",
        1e-9,
        "rounding grows with the steps through the loss's curvature",
    ),
    "schedule": Tolerance(
        "seven schedules, all twelve buffers, float64: unequal values",
        0,
        "both are the same numpy formulas",
    ),
    "schedule_formula": Tolerance(
        "schedules against their formulas in extended precision",
        1e-12,
        "alpha_bar is a product of 2000 rounded factors; betas are taken relative to the largest",
    ),
    "process": Tolerance("q_sample and posterior, float64", 1e-14, "a few float64 operations"),
    "chain_float64": Tolerance(
        "whole DDPM (2000 steps), DDIM (250), DPM-Solver++ and Heun chains, float64",
        1e-9,
        "rounding passes through up to 2000 network calls; clipping x0 keeps it from growing",
    ),
    "chain_float32": Tolerance(
        "the same chains in float32",
        1e-3,
        "at the noisy end x0_hat divides by s = 2e-5; the error is damped from there on",
    ),
    "full_float64": Tolerance("full-size network, 128 x 128, float64", 1e-12, _ROUNDING),
    "full_float32": Tolerance(
        "full-size network, 128 x 128, float32, CPU", 5e-6, "sums over up to 9 x 1024 terms"
    ),
    "resume_float64": Tolerance(
        "20 steps here, conversion, 20 steps there against 40 steps, float64",
        1e-9,
        "as for 100 steps; the conversion itself is exact",
    ),
}


def limit(name: str) -> float:
    """The tolerance of a row."""
    return TOLERANCES[name].limit
