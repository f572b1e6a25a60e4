"""The settings of sampling. Imports nothing heavy."""

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from jaxrain.diffusion.settings import SAMPLER_NAMES
from jaxrain.ensembles.consistency import STRENGTHS
from jaxrain.ensembles.products import parse_products
from jaxrain.errors import InputError
from jaxrain.weather.accumulation import SPREAD_HOURS

SAMPLERS_FROM_A_GUESS = ("dpmpp_2m", "heun")  # whose chain begins at sigma_max
SAMPLERS_WITH_FRESH_NOISE = ("ddim", "heun")  # whose share of it is eta


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SampleConfig:
    """Section `sample`: how members are drawn and how a large domain is tiled.

    Attributes:
      sampler: ddpm, ddim, dpmpp_2m or heun.
      steps: denoising steps of a chain, each one evaluation of the network.
      eta: share of fresh noise in a step of ddim (of the ancestral) or heun (of the most churn), 0
        (deterministic) to 1.
      members: members of every hour.
      first_member: number of the first of them; those before it are drawn elsewhere.
      tile: edge of a tile [pixels]; None takes the training patch's.
      overlap: pixels shared by neighbouring tiles, less than the tile; None takes a quarter of it.
      batch: tiles that the network sees in one call. It bounds memory and changes no value
        beyond rounding.
      seed: of all noise; the same seed gives the same members.
      sigma_min: least noise over signal that a step of dpmpp_2m starts from, in units of the scaled
        target; None takes the sampler's own.
      sigma_max: likewise the most, where its chain begins.
      first_guess: folder of a run that draws in one step (objective crps or regression), from whose
        rain, under the noise sigma_max, the chain of dpmpp_2m or heun begins; None: pure noise.
      noise_scale: factor on the noise that stochastic samplers inject after the first draw;
        1 is what the sampler's theory asks for.
      epsilon_scale: what the noise that the network finds is divided by, at every step of dpmpp_2m
        or heun; 1 is what theory asks for. Above it, members of a chain from a first guess keep
        more of the finest scales, and dry points traces, which dry_below_mm takes away. A chain
        from pure noise keeps too much of all scales, unless it is very near 1.
      dry_below_mm: rain of an hour below it is written as none; 0.1 is what a gauge cannot see.
      calibrate: whether members go through RUN/calibration.json, where `tune --calibrate` made one.
      turn: whether members look at the weather from the eight sides of the square in turn, of a
        network that was trained with data.augment.
      contrast: for about a day, a power of its own between 1 / contrast and contrast gathers each
        member's rain inside coarse cells, or scatters it, in the first guess if there is one. Its
        total nearly stays; means of cells move unless consistency is hard. No point is multiplied
        by more than four, nor to more than the most rain of the training hours, times
        data.augment_amounts. 1 leaves it.
      noise_correlation: of an hour's noise with the next hour's along the steering wind, so that a
        sequence does not flicker; 0 draws every hour anew.
      noise_hours: hours that the noise remembers, more than 1 / (1 - noise_correlation).
      spread_sums_hours: longest window of rain [h] in files of a forecast (`sample --input`) whose
        mean may stand for each of its hours, where nothing says more of them: 1 (none), 3 or 6.
        Extremes of such hours are too weak. Training takes no such hours.
      consistency: how far a member's mean over each coarse cell is held to the coarse rain: off,
        soft (half the way) or hard (all of it). Points are multiplied within the same limits.
      products: written beside the members: mean, maximum, exceedance and quantiles q0 to q100.
      thresholds_mm: of the exceedance probabilities, increasing [mm].
    """

    sampler: str = "ddim"
    steps: int = Field(default=50, ge=1)
    eta: float = Field(default=0.0, ge=0, le=1)
    members: int = Field(default=16, ge=1)
    first_member: int = Field(default=0, ge=0, lt=2**31)
    tile: int | None = Field(default=None, ge=8)
    overlap: int | None = Field(default=None, ge=0)
    batch: int = Field(default=16, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    sigma_min: float | None = Field(default=None, gt=0)
    sigma_max: float | None = Field(default=None, gt=0)
    first_guess: str | None = None
    noise_scale: float = Field(default=1.0, ge=0)
    epsilon_scale: float = Field(default=1.0, ge=0.8, le=1.5)
    dry_below_mm: float = Field(default=0.0, ge=0)
    calibrate: bool = True
    turn: bool = False
    contrast: float = Field(default=1.0, ge=1, le=20)
    noise_correlation: float = Field(default=0.0, ge=0, lt=1)
    noise_hours: int = Field(default=12, ge=1, le=120)
    spread_sums_hours: int = 1
    consistency: str = "off"
    products: tuple[str, ...] = ("mean", "q10", "q50", "q90", "maximum", "exceedance")
    thresholds_mm: tuple[float, ...] = (0.1, 1.0, 5.0, 10.0, 20.0)

    @field_validator("sampler")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SAMPLER_NAMES:
            raise ValueError(f"unknown sampler '{name}'; there are {', '.join(SAMPLER_NAMES)}")
        return name

    @field_validator("spread_sums_hours")
    @classmethod
    def _steps(cls, hours: int) -> int:
        if hours not in SPREAD_HOURS:
            raise ValueError(
                f"{hours} hours: expected a step of forecasts, {', '.join(map(str, SPREAD_HOURS))} "
                "(1: no mean stands for an hour)"
            )
        return hours

    @field_validator("consistency", mode="before")
    @classmethod
    def _strength(cls, name: object) -> object:
        if name is False:  # what YAML makes of a bare `off`
            return "off"
        if not isinstance(name, str) or name not in STRENGTHS:
            raise ValueError(f"unknown consistency '{name}'; there are {', '.join(STRENGTHS)}")
        return name

    @model_validator(mode="after")
    def _keys_agree(self) -> "SampleConfig":
        parse_products(self.products, self.thresholds_mm)
        if self.first_member + self.members > 2**31:
            raise ValueError(
                f"first_member={self.first_member} and members={self.members} go beyond number "
                f"{2**31 - 1}: take smaller ones"
            )
        if self.first_guess is not None:
            if self.sampler not in SAMPLERS_FROM_A_GUESS:
                raise ValueError(
                    f"sampler={self.sampler} begins from pure noise: with first_guess take "
                    f"{' or '.join(SAMPLERS_FROM_A_GUESS)}"
                )
            if self.sigma_max is None:
                raise ValueError(
                    "first_guess takes sigma_max, the noise laid over the guess, for instance 1"
                )
        if self.epsilon_scale != 1.0 and self.sampler not in SAMPLERS_FROM_A_GUESS:
            raise ValueError(
                f"epsilon_scale={self.epsilon_scale:g} leaves too much of the noise that "
                f"sampler={self.sampler} begins from: take {' or '.join(SAMPLERS_FROM_A_GUESS)}, "
                "best with first_guess, or leave it at 1"
            )
        if self.noise_correlation:
            from jaxrain.ensembles.lasting_noise import hour_weights  # brings JAX, seldom needed

            hour_weights(self.noise_correlation, self.noise_hours)
        return self

    @property
    def numbers(self) -> range:
        """Numbers of the members; each is the same whichever others are drawn."""
        return range(self.first_member, self.first_member + self.members)

    @property
    def multiplies(self) -> bool:
        """Whether rain that the network draws is multiplied afterwards."""
        return self.contrast != 1.0 or self.consistency != "off"

    def check_heeded(self, *, sigma_max: bool, eta: bool = False) -> None:
        """Refuses a sampler that has no use for what was asked for by name.

        Args:
          sigma_max: whether it was.
          eta: likewise.

        Raises:
          InputError: the chain begins where the schedule does, or takes no fresh noise.
        """
        if sigma_max and self.sampler not in SAMPLERS_FROM_A_GUESS:
            raise InputError(
                f"--sigma-max: {self.sampler} begins at its schedule's most noise; take "
                f"{' or '.join(SAMPLERS_FROM_A_GUESS)}, or leave it out"
            )
        if eta and self.sampler not in SAMPLERS_WITH_FRESH_NOISE:
            raise InputError(
                f"--eta: {self.sampler} takes no share of fresh noise; take "
                f"{' or '.join(SAMPLERS_WITH_FRESH_NOISE)}, or leave it out"
            )

    def tiling(self, patch: int) -> tuple[int, int]:
        """Tile and overlap [pixels] of a network that was trained on patches of edge `patch`.

        Raises:
          InputError: the overlap leaves the tiles no way forward.
        """
        tile = patch if self.tile is None else self.tile
        overlap = tile // 4 if self.overlap is None else self.overlap
        if overlap >= tile:
            raise InputError(
                f"sample.overlap={overlap} leaves tiles of {tile} no way forward; expected less "
                f"than the tile, for instance {tile // 4}"
            )
        return tile, overlap
