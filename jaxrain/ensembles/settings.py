"""The settings of sampling. Imports nothing heavy."""

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SampleConfig:
    """Section `sample`: how members are drawn and how a large domain is tiled.

    Attributes:
      sampler: a name of `jaxrain.diffusion.samplers.SAMPLERS`.
      steps: denoising steps of a chain; a step of every sampler we have is one evaluation of the
        network.
      eta: share of the ancestral noise that a DDIM step injects, 0 (deterministic) to 1.
      members: members of every hour.
      tile: edge of a tile [pixels]; None takes the training patch's.
      overlap: pixels shared by neighbouring tiles; less than the tile.
      batch: tiles that the network sees in one call. It bounds memory and changes no value
        beyond rounding.
      seed: of all noise; the same seed gives the same members.
      noise_scale: factor on the noise that stochastic samplers inject after the first draw;
        1 is what the sampler's theory asks for.
    """

    sampler: str = "ddim"
    steps: int = Field(default=50, ge=1)
    eta: float = Field(default=0.0, ge=0, le=1)
    members: int = Field(default=16, ge=1)
    tile: int | None = Field(default=None, ge=8)
    overlap: int = Field(default=32, ge=0)
    batch: int = Field(default=16, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    noise_scale: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _tiles_advance(self) -> "SampleConfig":
        if self.tile is not None and self.overlap >= self.tile:
            raise ValueError(
                f"overlap {self.overlap} leaves tiles of {self.tile} no way forward; expected "
                "less, for instance a quarter of the tile"
            )
        return self
