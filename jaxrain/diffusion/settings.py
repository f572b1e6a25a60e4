"""The settings of the network and of the diffusion process. Imports nothing heavy.

Apart from both, for what only reads a config, as `prepare` does, need not wait for JAX.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from jaxrain.diffusion.schedules import SCHEDULES

Initialisation = Literal["kaiming", "normal", "orthogonal"]
Prediction = Literal["eps", "v", "x0"]
Scalar = Literal["level", "log_snr"]
Upsampling = Literal["nearest", "bicubic"]

SAMPLER_NAMES = ("ddpm", "ddim", "dpmpp_2m", "heun")  # `jaxrain.diffusion.samplers` has them

Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class UNetConfig:
    """Shape of the network. Channels and image size come from the data, not from here.

    Attributes:
      inner_channel: width of the first level, and of the noise embedding; even.
      channel_mults: width of each level as a multiple of inner_channel.
      res_blocks: residual blocks per level going down; one more going up.
      norm_groups: groups of every normalisation; divides the width of every level.
      attn_res: attention at levels where (image size / patchify) / 2^level is in this list. The
        first middle block always has attention.
      dropout: probability, in [0, 1), before each residual block's second convolution.
      dropout_kind: drop single elements (SR3) or whole channels.
      upsample: nearest (SR3) or bicubic, as PyTorch does it.
      init: kaiming, normal or orthogonal weights; biases start at 0.
      patchify: factor of space-to-depth at the input and depth-to-space at the output. 1 is the SR3
        network; 2 costs a quarter per level.
      embedding: scalar that tells the noise level: level (s = sqrt(alpha_bar)) or log_snr.
    """

    inner_channel: Positive = 64
    channel_mults: tuple[Positive, ...] = (1, 2, 4, 8)
    res_blocks: Positive = 2
    norm_groups: Positive = 32
    attn_res: tuple[Positive, ...] = (16,)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dropout_kind: Literal["element", "channel"] = "element"
    upsample: Upsampling = "nearest"
    init: Initialisation = "kaiming"
    patchify: Positive = 1
    embedding: Scalar = "level"

    @model_validator(mode="after")
    def _widths_fit(self) -> "UNetConfig":
        if not self.channel_mults:
            raise ValueError("channel_mults is empty, expected at least one level")
        if self.inner_channel % 2 or self.inner_channel % self.norm_groups:
            raise ValueError(
                f"inner_channel {self.inner_channel} must be even and a multiple of "
                f"norm_groups {self.norm_groups}"
            )
        return self

    @property
    def divisor(self) -> int:
        """Height and width of an input must be multiples of this."""
        return self.patchify * 2 ** (len(self.channel_mults) - 1)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class DiffusionConfig:
    """The process that is trained and sampled.

    Attributes:
      schedule: linear, quad, const, jsd, warmup10, warmup50 or cosine.
      steps: T, steps of the schedule.
      start: beta of the first step (linear, quad, warmup).
      end: beta of the last step (linear, quad, const, warmup).
      prediction: what the network outputs: eps (the noise), v (s eps - sqrt(1 - s^2) x0; Salimans
        and Ho 2022, arXiv:2202.00512, eq. after 10) or x0. Of a target of unit variance
        (data.standardize) v is EDM's preconditioning and weight (Karras et al. 2022,
        arXiv:2206.00364, table 1, sigma_data = 1), with lognormal its levels too.
      loss: l2 or l1.
      objective: what the network is asked for. denoising; regression: x0 at once, without noise,
        which l2 makes the mean of what can be and l1 the median; crps: a member at once, from
        pure noise, two of them scored by `jaxrain.diffusion.one_step`. Levels and weighting are
        not heeded by the last two.
      crps_increments: with crps, weight of the differences between neighbouring points and blocks
        beside points and blocks themselves: members as rough as truth is.
      crps_amounts: with crps, weight per mm of the same score of rain in mm, beside that of the
        scaled target, in which heavy rain counts little.
      noise_levels: levels drawn in training: continuous (uniform t, then s uniform within its
        step; Chen et al. 2020, arXiv:2009.00713) or lognormal (ln sigma normal; EDM).
      p_mean: mean of ln(sigma) for lognormal, sigma relative to the scaled target.
      p_std: standard deviation of ln(sigma) for lognormal.
      weighting: weight per noise level: none or min_snr (arXiv:2303.09556).
      min_snr_gamma: where min_snr caps the signal-to-noise ratio.
    """

    schedule: str = "cosine"
    steps: Annotated[int, Field(ge=1)] = 2000
    start: Annotated[float, Field(gt=0, le=1)] = 1e-4
    end: Annotated[float, Field(gt=0, le=1)] = 2e-2
    prediction: Prediction = "eps"
    loss: Literal["l1", "l2"] = "l2"
    objective: Literal["denoising", "regression", "crps"] = "denoising"
    crps_increments: Weight = 0.0
    crps_amounts: Weight = 0.0
    noise_levels: Literal["continuous", "lognormal"] = "continuous"
    p_mean: float = -1.2
    p_std: Annotated[float, Field(gt=0)] = 1.2
    weighting: Literal["none", "min_snr"] = "none"
    min_snr_gamma: Annotated[float, Field(gt=0)] = 5.0

    @field_validator("schedule")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SCHEDULES:
            raise ValueError(f"unknown schedule {name!r}, expected one of {', '.join(SCHEDULES)}")
        return name

    @model_validator(mode="after")
    def _noise_tells_of_x0(self) -> "DiffusionConfig":
        if self.objective == "crps" and self.prediction == "eps":
            raise ValueError(
                "objective=crps draws members from pure noise, where a prediction of eps says "
                "nothing of them: set prediction=v or prediction=x0"
            )
        return self
