"""The predictors and the rain, each fact once: names, units, ranges."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jaxrain.errors import InputError

# Standard gravity, m s-2 (CGPM 1901; the constant behind geopotential height in gpm).
STANDARD_GRAVITY = 9.80665

# The pressure levels of ERA5, hPa.
ERA5_LEVELS = (
    *(1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 125, 150, 175, 200, 225, 250, 300, 350, 400, 450),
    *(500, 550, 600, 650, 700, 750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000),
)


@dataclass(frozen=True, kw_only=True)
class Variable:
    """What is known of one variable.

    Attributes:
      name: ours, which is ECMWF's short name.
      long_name: for people.
      standard_name: of the CF table.
      units: canonical, in the spelling of CF.
      factors: from a file's units, spelt as `spell_units` does, to canonical ones.
      aliases: what else files call it; the first is the Climate Data Store's.
      on_levels: whether it lives on pressure levels.
      signed: whether it is scaled to [-1, 1]; else to [0, 1].
      plausible: smallest and largest value that the atmosphere shows, canonical units.
      cell_methods: how it is meant in time, in CF's words.
    """

    name: str
    long_name: str
    standard_name: str
    units: str
    factors: dict[str, float]
    aliases: tuple[str, ...]
    on_levels: bool = True
    signed: bool = False
    plausible: tuple[float, float]
    cell_methods: str = "time: point"


_RAIN_FACTORS = {
    "m": 1000.0,
    "mofwaterequivalent": 1000.0,
    "mm": 1.0,
    "mm/h": 1.0,
    "mmh-1": 1.0,
    "kgm-2": 1.0,
}

VARIABLES: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable(
            name="u",
            long_name="eastward wind",
            standard_name="eastward_wind",
            units="m s-1",
            factors={"ms-1": 1.0, "m/s": 1.0},
            aliases=("u_component_of_wind", "eastward_wind", "ua", "UGRD", "var131"),
            signed=True,
            plausible=(-150.0, 150.0),
        ),
        Variable(
            name="v",
            long_name="northward wind",
            standard_name="northward_wind",
            units="m s-1",
            factors={"ms-1": 1.0, "m/s": 1.0},
            aliases=("v_component_of_wind", "northward_wind", "va", "VGRD", "var132"),
            signed=True,
            plausible=(-150.0, 150.0),
        ),
        Variable(
            name="t",
            long_name="air temperature",
            standard_name="air_temperature",
            units="K",
            factors={"K": 1.0},
            aliases=("temperature", "air_temperature", "ta", "TMP", "var130"),
            plausible=(150.0, 340.0),
        ),
        Variable(
            name="r",
            long_name="relative humidity",
            standard_name="relative_humidity",
            units="%",
            factors={"%": 1.0, "1": 100.0},
            aliases=("relative_humidity", "rh", "hur", "RH", "var157"),
            plausible=(-20.0, 180.0),  # ERA5 overshoots where the air is very cold
        ),
        Variable(
            name="q",
            long_name="specific humidity",
            standard_name="specific_humidity",
            units="kg kg-1",
            factors={"kgkg-1": 1.0, "kg/kg": 1.0, "1": 1.0, "gkg-1": 1e-3, "g/kg": 1e-3},
            aliases=("specific_humidity", "hus", "SPFH", "var133"),
            plausible=(-1e-3, 0.06),  # packing and advection leave it a hair below zero
        ),
        Variable(
            name="z",
            long_name="geopotential",
            standard_name="geopotential",
            units="m2 s-2",
            factors={
                "m2s-2": 1.0,
                "m2/s2": 1.0,
                "gpm": STANDARD_GRAVITY,
                "m": STANDARD_GRAVITY,
            },
            aliases=("geopotential", "gh", "geopotential_height", "zg", "HGT", "var129"),
            plausible=(-10_000.0, 500_000.0),
        ),
        Variable(
            name="tp",
            long_name="precipitation of the hour that ends at the time",
            standard_name="lwe_thickness_of_precipitation_amount",
            units="mm",
            factors=_RAIN_FACTORS,
            aliases=("total_precipitation", "var228"),
            on_levels=False,
            plausible=(0.0, 200.0),
            cell_methods="time: sum",
        ),
        Variable(
            name="rain",
            long_name="precipitation of the hour that ends at the time",
            standard_name="lwe_thickness_of_precipitation_amount",
            units="mm",
            # What a local parameter or a bare NetCDF leaves unsaid is millimetres: rain is
            # published so, and metres would be called m.
            factors={**_RAIN_FACTORS, "unknown": 1.0, "": 1.0, "~": 1.0},
            aliases=("unknown", "tp", "PRE", "PRE_1h", "precip", "precipitation"),
            on_levels=False,
            plausible=(0.0, 305.0),  # Holt, Missouri, 22 June 1947: 305 mm in 42 minutes
            cell_methods="time: sum",
        ),
    )
}

PREDICTORS = tuple(name for name in VARIABLES if name != "rain")


def canonical_name(name: str) -> str | None:
    """Our name of the predictor that a file calls `name`, or None where it is none of ours."""
    for predictor in PREDICTORS:
        variable = VARIABLES[predictor]
        if name == predictor or name in variable.aliases:
            return predictor
    return None


def spell_units(units: str) -> str:
    """One spelling for units: 'm**2 s**-2', 'm^2 s^-2' and 'm2 s-2' are all 'm2s-2'."""
    return units.replace("**", "").replace("^", "").replace(" ", "")


def to_canonical(name: str, values: np.ndarray, units: str, source: str) -> np.ndarray:
    """Turns a file's values into canonical units.

    Args:
      name: a key of VARIABLES.
      values: any shape, in `units`.
      units: the file's.
      source: names the file in an error.

    Returns:
      float32, the same shape.

    Raises:
      InputError: the units are none that the variable comes in.
    """
    variable = VARIABLES[name]
    factor = variable.factors.get(spell_units(units))
    if factor is None:
        raise InputError(
            f"{source}: {name} has units '{units}', expected {variable.units} or one of "
            f"{sorted(variable.factors)}; convert the file"
        )
    if factor == 1.0:
        return np.asarray(values, np.float32)
    return (np.asarray(values, np.float64) * factor).astype(np.float32)


def check_predictors(variables: Iterable[str]) -> None:
    """Makes sure that all are predictors.

    Raises:
      InputError: one is not; names those that are.
    """
    for name in variables:
        if name not in PREDICTORS:
            raise InputError(
                f"variable '{name}' is no predictor, expected some of {', '.join(PREDICTORS)}"
            )


def split_channel(channel: str) -> tuple[str, int | None]:
    """Variable and level [hPa] of a channel: 'u850' -> ('u', 850), 'tp' -> ('tp', None)."""
    name = channel.rstrip("0123456789")
    return name, int(channel[len(name) :]) if len(name) < len(channel) else None


def plausible_range(channel: str) -> tuple[float, float]:
    """Smallest and largest value that the atmosphere shows in a channel, canonical units.

    Temperature and geopotential are held against the standard atmosphere at their level, widely
    enough for polar night, heat low and typhoon, and closely enough that a level or a unit taken
    for another shows.

    Args:
      channel: as of `channel_names`, or a variable without level.

    References:
      ISO 2533:1975, Standard atmosphere (to 32 km; above, the variable's own range counts).
    """
    name, level = split_channel(channel)
    low, high = VARIABLES[name].plausible
    if name not in ("t", "z") or level is None or level < 10:
        return low, high
    temperature, height = _standard_atmosphere(float(level))
    if name == "t":
        return max(low, temperature - 70.0), min(high, temperature + 60.0)
    return (
        max(low, STANDARD_GRAVITY * (0.85 * height - 900.0)),
        min(high, STANDARD_GRAVITY * (1.12 * height + 800.0)),
    )


def _standard_atmosphere(pressure_hpa: float) -> tuple[float, float]:
    """Temperature [K] and height [gpm] of a pressure level, up to 32 km."""
    # Base height [gpm], temperature [K], pressure [hPa] and lapse rate [K gpm-1] of each layer.
    layers = (
        (0.0, 288.15, 1013.25, -0.0065),
        (11_000.0, 216.65, 226.321, 0.0),
        (20_000.0, 216.65, 54.7489, 0.001),
    )
    above = [layer for layer in layers[1:] if pressure_hpa <= layer[2]]
    base, warmth, bottom, lapse = above[-1] if above else layers[0]
    gas = 287.05287  # J kg-1 K-1
    if lapse == 0.0:
        return warmth, base + gas * warmth / STANDARD_GRAVITY * math.log(bottom / pressure_hpa)
    temperature = warmth * (pressure_hpa / bottom) ** (-gas * lapse / STANDARD_GRAVITY)
    return temperature, base + (temperature - warmth) / lapse


def cf_attributes(name: str) -> dict[str, str]:
    """CF attributes of a variable by our name."""
    variable = VARIABLES[name]
    return {
        "standard_name": variable.standard_name,
        "long_name": variable.long_name,
        "units": variable.units,
        "cell_methods": variable.cell_methods,
    }


def channel_names(variables: Iterable[str], levels: Iterable[int]) -> list[str]:
    """Names of the predictor channels: variables in order, each over the levels in order."""
    levels = list(levels)
    return [
        channel
        for name in variables
        for channel in ([f"{name}{level}" for level in levels] if on_levels(name) else [name])
    ]


def on_levels(name: str) -> bool:
    """Whether the predictor lives on pressure levels."""
    return VARIABLES[name].on_levels
