"""The `data` section of a config: which files make which pairs, and how they are scaled."""

import fnmatch
import warnings
from dataclasses import field
from typing import Any, Literal, get_args

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from jaxrain.errors import InputError
from jaxrain.weather.npy_layout import NpyFolders

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Region:
    """A box in degrees; west may exceed east where it crosses the date line."""

    north: float
    south: float
    west: float
    east: float

    @model_validator(mode="after")
    def _upright(self) -> "Region":
        if not -90 <= self.south < self.north <= 90:
            raise ValueError(
                f"south {self.south} and north {self.north}: expected -90 <= south < north <= 90"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Selection:
    """Hours of a split: those of files that match and that lie in the period.

    Attributes:
      files: glob for the fine files' names (not paths).
      period: 'START/END', ISO times in UTC, both ends included to their precision: in
        '2020-01/2020-03' March is in, in '2022-10-18T00/2022-10-18T15' so is 15:50. One time
        alone is the period it names. None takes all times.
    """

    files: str = "*"
    period: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_period(cls, value: Any) -> Any:
        # YAML makes numbers and dates of `2020` and `2020-01-01`; both are meant as periods.
        if isinstance(value, dict) or hasattr(value, "kwargs"):
            return value
        return {"period": str(value)}

    @field_validator("period", mode="before")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        if value is None:
            return None
        parse_period(str(value))
        return str(value)

    def matches(self, file_name: str, times: np.ndarray) -> np.ndarray:
        """Which hours of a file are in: bool [T] for datetime64 [T]."""
        if not fnmatch.fnmatch(file_name, self.files):
            return np.zeros(len(times), bool)
        if self.period is None:
            return np.ones(len(times), bool)
        start, stop = parse_period(self.period)
        return (times >= start) & (times < stop)


def parse_period(text: str) -> tuple[np.datetime64, np.datetime64]:
    """'START/END' or one time -> (first instant in, first instant out).

    Raises:
      ValueError: not ISO times, or the end lies before the start.
    """
    first, _, last = text.partition("/")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a time with a zone
            start, end = np.datetime64(first.strip()), np.datetime64((last or first).strip())
    except (ValueError, OverflowError, Warning) as error:
        raise ValueError(
            f"period '{text}': expected ISO times as in '2020-01-01/2020-01-31'"
        ) from error
    stop = (end + np.timedelta64(1)).astype("datetime64[s]")
    start = start.astype("datetime64[s]")
    if np.isnat(start) or np.isnat(stop) or stop <= start:
        raise ValueError(f"period '{text}': expected START/END with END not before START")
    return start, stop


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Splits:
    """Hours by purpose, never overlapping; an hour in none is left out."""

    train: list[Selection] = field(default_factory=list)
    validation: list[Selection] = field(default_factory=list)
    test: list[Selection] = field(default_factory=list)


SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Window:
    """A fixed square of the test hours.

    Attributes:
      file: the fine file's name.
      time: valid time, ISO, UTC.
      y: first row in the area's fine grid.
      x: first column in the area's fine grid.
      size: points along a side.
    """

    file: str
    time: str
    y: int = Field(ge=0)
    x: int = Field(ge=0)
    size: int = Field(gt=0)

    @field_validator("time", mode="before")
    @classmethod
    def _iso(cls, value: Any) -> str:
        text = value.isoformat() if hasattr(value, "isoformat") else str(value)
        text = text.removesuffix("Z").removesuffix("+00:00")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                np.datetime64(text)
            except UserWarning:
                raise ValueError(
                    f"'{text[:40]}' names a zone: times are UTC, leave it out"
                ) from None
        return text

    @property
    def where(self) -> str:
        """Place and hour, for messages."""
        return f"window at ({self.y}, {self.x}) of {self.file} at {self.time}"

    def check_inside(self, shape: tuple[int, int]) -> None:
        """Makes sure that an area of H x W fine points holds the window.

        Raises:
          InputError: it does not.
        """
        height, width = shape
        if self.y + self.size > height or self.x + self.size > width:
            raise InputError(
                f"{self.where}: {self.size} points leave the area of {height} x {width}; move it "
                "inside, in data.windows"
            )


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class StaticField:
    """A field that does not change with time, a further predictor: terrain, a land mask.

    Attributes:
      file: NetCDF or GRIB, a path that starts from `data.root`.
      name: what we call it.
      variable: its name in the file; None takes the only one.
      fill: value of points that the file lacks, in the file's units, as 0 for the sea in a terrain;
        None refuses a file that lacks points of an area.
      scale: 'range' makes the range over the areas of training hours 0 to 1, 'none' keeps the
        values; None takes 'none' where they all lie in 0 to 1, as a mask's do, else 'range'.
    """

    file: str
    name: str = Field(pattern="^[a-z][a-z0-9_]*$")
    variable: str | None = None
    fill: float | None = None
    scale: Literal["range", "none"] | None = None


_DIRECTED = ("u", "v", "z")  # wind, and what knows on which side of a low it blows

# In the order in which the network sees them: of the place first, then of the time.
Encoding = Literal["latitude", "longitude", "hour_of_day", "day_of_year"]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class DataConfig:
    """From files to training pairs.

    Attributes:
      root: folder that `fine`, `coarse` and `exclude` start from.
      fine: globs of files with hourly rain on the fine grid.
      coarse: globs of files with the predictors; empty where `coarsen` makes them.
      exclude: globs of file names (or paths under root) that are left out, by name.
      demo: writes the embedded demo weather under root where no file is there.
      coarsen: side of the block of fine points whose mean is the coarse rain; None reads
        `coarse` files instead.
      variables: predictors, by the names of `jaxrain.weather.variables`.
      levels: pressure levels of those on levels, hPa.
      interpolate_levels: makes a missing level from its neighbours, linear in log(pressure).
      derive_humidity: makes relative humidity from the specific humidity (q) and temperature of a
        coarse file that holds no r.
      region: box that both sides are cropped to, degrees; None keeps all.
      fine_variable: name of the rain in the fine files; None takes the only one.
      fine_utc_offset_hours: how far the fine files' times run ahead of UTC: 8 for files that are
        named in Beijing time. Splits and all else stay in UTC.
      npy: grid, channels and units of .npy files among `fine` and `coarse`;
        `jaxrain.weather.npy_layout`.
      splits: hours of training, validation and test.
      store: folder of the store.
      target: 'difference' learns fine minus interpolated coarse rain, 'direct' the rain itself,
        'regression' what a regression network of the same size, which is trained first, leaves.
      rain_scaling: how rain is bent before it is scaled to [0, 1] by the fine rain's training
        minimum and maximum: not (linear), by the root (sqrt), by log(1 + mm / rain_scale_mm)
        (log1p), or by the training hours' quantiles to a normal distribution (normal_score).
      rain_scale_mm: rain below this is about linear under log1p, mm.
      standardize: divides the target, and the rain predictors with it, by the target's training
        standard deviation.
      interpolations: how predictors come to the fine grid; each adds one set of channels.
      static: fields that do not change with time, each one channel after the predictors.
      encodings: latitude, longitude, hour_of_day, day_of_year, each as sine and cosine: two
        channels after the static fields, in this order.
      patch: side of a training patch, fine points.
      wet_fraction: share of patches that are drawn where it rains, 0..1.
      balance_days: how far days with few hours are drawn as often as those with many, 0 (hours are
        drawn alike) to 1 (days are).
      augment: turns and mirrors each training patch by one of the eight symmetries of the square,
        drawn by lot; only where no predictor has a direction.
      augment_amounts: multiplies the rain of each training patch, fine and coarse, by a factor
        drawn by lot between its inverse and it, evenly in the logarithm; 1: not. Only where rain
        is the only predictor.
      augment_contrast: raises the rain of each training patch to a power drawn by lot between its
        inverse and it, evenly in the logarithm, times what keeps the mean over the coarse cells
        that the patch takes, and makes the coarse rain of it anew; 1: not. Only where `coarsen`
        makes the coarse rain.
      max_missing: largest share of missing points in a patch, 0..1.
      windows: fixed test windows; empty scores whole areas.
    """

    root: str = "."
    fine: list[str] = field(default_factory=lambda: ["cmpa/*"])
    coarse: list[str] = field(default_factory=lambda: ["era5/*"])
    exclude: list[str] = field(default_factory=list)
    demo: bool = False
    coarsen: int | None = Field(default=None, ge=2)
    variables: list[str] = field(default_factory=lambda: ["u", "v", "t", "r", "z", "tp"])
    levels: list[int] = field(default_factory=lambda: [850, 700, 500, 300])
    interpolate_levels: bool = False
    derive_humidity: bool = False
    region: Region | None = None
    fine_variable: str | None = None
    fine_utc_offset_hours: float = Field(default=0.0, ge=-14, le=14)
    npy: NpyFolders = field(default_factory=NpyFolders)
    splits: Splits = field(default_factory=Splits)
    store: str = "data/store"
    target: Literal["difference", "direct", "regression"] = "difference"
    rain_scaling: Literal["linear", "sqrt", "log1p", "normal_score"] = "linear"
    rain_scale_mm: float = Field(default=0.5, gt=0)
    standardize: bool = False
    interpolations: list[Literal["bilinear", "nearest"]] = field(
        default_factory=lambda: ["bilinear"]
    )
    static: list[StaticField] = field(default_factory=list)
    encodings: list[Encoding] = field(default_factory=list)
    patch: int = Field(default=128, ge=8)
    wet_fraction: float = Field(default=0.0, ge=0, le=1)
    balance_days: float = Field(default=0.0, ge=0, le=1)
    augment: bool = False
    augment_amounts: float = Field(default=1.0, ge=1, allow_inf_nan=False)
    augment_contrast: float = Field(default=1.0, ge=1, allow_inf_nan=False)
    max_missing: float = Field(default=0.3, ge=0, lt=1)
    windows: list[Window] = field(default_factory=list)

    @field_validator("encodings")
    @classmethod
    def _in_order(cls, names: list[Encoding]) -> list[Encoding]:
        return sorted(names, key=get_args(Encoding).index)

    @property
    def measured_from(self) -> Literal["difference", "direct"]:
        """The target of a single network, and of the regression network of target=regression."""
        if self.target != "regression":
            return self.target
        return "difference" if "tp" in self.variables else "direct"

    @model_validator(mode="after")
    def _sound(self) -> "DataConfig":
        if not self.variables:
            raise ValueError("variables is empty: name at least one predictor")
        if self.target == "difference" and "tp" not in self.variables:
            raise ValueError(
                "target=difference needs rain among the predictors, for it is the fine rain minus "
                f"the coarse; variables are {self.variables}: add tp, or set target=direct"
            )
        if self.coarsen is not None and self.variables != ["tp"]:
            raise ValueError(
                f"coarsen={self.coarsen} makes coarse rain alone, variables are {self.variables}: "
                "set variables=[tp], or name coarse files and unset coarsen"
            )
        directed = [name for name in self.variables if name in _DIRECTED] + list(self.encodings)
        if self.augment and directed:
            raise ValueError(
                f"augment=true turns and mirrors patches, and {', '.join(directed)} would not turn "
                "with them: set augment=false"
            )
        if self.augment_amounts > 1 and self.variables != ["tp"]:
            raise ValueError(
                f"augment_amounts={self.augment_amounts} multiplies rain, with which others of "
                f"variables={self.variables} would not change: set augment_amounts=1"
            )
        if self.augment_contrast > 1 and self.coarsen is None:
            raise ValueError(
                f"augment_contrast={self.augment_contrast} makes the coarse rain anew from the "
                "fine, and these predictors come from files: set augment_contrast=1, or coarsen"
            )
        repeatable = {
            **{key: getattr(self, key) for key in ("variables", "levels", "interpolations")},
            "encodings": self.encodings,
            "names in static": [each.name for each in self.static],
        }
        for name, values in repeatable.items():
            if len(set(values)) != len(values):
                raise ValueError(f"{name}={values} names something twice")
        if not self.interpolations:
            raise ValueError("interpolations is empty: expected bilinear, nearest or both")
        return self


# What shapes the arrays of a store: a store that differs in one of these is another store.
ARRAY_KEYS = (
    "fine",
    "coarse",
    "exclude",
    "coarsen",
    "variables",
    "levels",
    "interpolate_levels",
    "derive_humidity",
    "region",
    "fine_variable",
    "fine_utc_offset_hours",
    "npy",
    "splits",
)
# What shapes only the statistics: `prepare` renews them without touching the arrays.
STATISTICS_KEYS = ("target", "rain_scaling", "rain_scale_mm")
# What is beside the weather: likewise renewed by `prepare`. Kept only where something is set.
BESIDE_KEYS = ("static", "encodings")
