"""Weather made from equations: smooth coarse fields, and rain at 1 km that depends on them.

The coarse fields are sums of travelling waves. The rain is a Gaussian field of cells, correlated
from 2 to 25 km and carried by the wind, cut at a threshold: what the coarse fields and a hidden
terrain say (moisture, convergence, flow over slopes, ascent) moves threshold and intensity, while
the places of the cells are chance. A network can learn the first and the cells' distribution.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Weights of what drives rain, all normalised to about unit variance.
_MOISTURE, _CONVERGENCE, _ASCENT, _SLOPE, _SUN = 0.55, 0.55, 0.3, 0.4, 0.25
# Drive levels off here, so that no hour lies far from all the others.
_DRIVE_LIMIT = 1.3
# The cells: outer scale and smallest scale, km, and the exponent of their 2-D spectral density.
_OUTER_KM, _INNER_KM, _EXPONENT = 6.0, 0.5, 2.9
# From cells g and drive D to rain: h = max(g + 0.8 D - 0.35, 0), rain = e^(0.35 D) (e^h - 1)
_DRIVE, _THRESHOLD, _AMOUNT_MM, _GROWTH, _STEEPNESS = 0.8, 0.35, 1.0, 0.35, 1.0
# Where the heaviest rain levels off, mm.
_CEILING_MM = 85.0
# Standard deviation of the coarse rain's error, of its logarithm.
_RAIN_ERROR = 0.12
_POINTS = 25  # fine points along a coarse cell
_MARGIN = 1  # coarse cells around the fine grid's


@dataclass(frozen=True)
class Domain:
    """Both grids; degrees; latitude descends, longitude ascends.

    Attributes:
      fine_latitude: shape [N], 0.01 degree apart.
      fine_longitude: shape [N].
      coarse_latitude: shape [n], 0.25 degree apart, at least one cell around the fine grid.
      coarse_longitude: shape [n].
      offset: first row and column of the fine grid in the wide one, which fills the coarse cells:
        25 n x 25 n points.
    """

    fine_latitude: np.ndarray
    fine_longitude: np.ndarray
    coarse_latitude: np.ndarray
    coarse_longitude: np.ndarray
    offset: tuple[int, int]


def make_domain(size: int, latitude: int = 23, longitude: int = 113) -> Domain:
    """A square of size x size fine points around a place in South China."""
    # In hundredths of a degree, so that decimals are exact and blocks hold 25 points.
    first = -((size - 1) // 2)
    fine = np.arange(first, first + size)
    low = (fine[0] // _POINTS - _MARGIN) * _POINTS
    high = (-(-fine[-1] // _POINTS) + _MARGIN) * _POINTS
    coarse = np.arange(low, high + 1, _POINTS)
    start = int(fine[0] - (coarse[0] - _POINTS // 2))
    stop = int((coarse[-1] + _POINTS // 2) - fine[-1])
    return Domain(
        fine_latitude=(100 * latitude + fine[::-1]) / 100,
        fine_longitude=(100 * longitude + fine) / 100,
        coarse_latitude=(100 * latitude + coarse[::-1]) / 100,
        coarse_longitude=(100 * longitude + coarse) / 100,
        offset=(stop, start),
    )


@dataclass(frozen=True)
class Waves:
    """A field as a sum of travelling waves, of unit variance.

    Attributes:
      amplitude: shape [M].
      k: eastward and northward wavenumber, shape [2, M], radians per km.
      omega: shape [M], radians per hour.
      phase: shape [M].
    """

    amplitude: np.ndarray
    k: np.ndarray
    omega: np.ndarray
    phase: np.ndarray

    def angle(self, x_km: np.ndarray, y_km: np.ndarray, hour: float) -> np.ndarray:
        """Phases at points x [n], y [n] on a mesh: shape [M, n, n] (wave, y, x)."""
        kx, ky = self.k[0][:, None, None], self.k[1][:, None, None]
        turned = (self.phase - self.omega * hour)[:, None, None]
        return kx * x_km[None, None, :] + ky * y_km[None, :, None] + turned

    def value(self, angle: np.ndarray) -> np.ndarray:
        """The field: shape [n, n]."""
        return np.tensordot(self.amplitude, np.cos(angle), 1)

    def gradient(self, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Its eastward and northward derivative, of about unit variance together."""
        scale = self.amplitude / np.sqrt(np.mean((self.k**2).sum(axis=0)))
        slope = -np.sin(angle)
        east = np.tensordot(scale * self.k[0], slope, 1)
        return east, np.tensordot(scale * self.k[1], slope, 1)


def _waves(rng: np.random.Generator, count: int = 14) -> Waves:
    length = np.exp(rng.uniform(np.log(220.0), np.log(800.0), count))  # km
    heading = rng.normal(0.35, 0.7, count)  # radians from east: they travel east-north-east
    speed = rng.uniform(20.0, 45.0, count)  # km per hour
    number = 2 * np.pi / length
    return Waves(
        amplitude=np.full(count, np.sqrt(2.0 / count)),
        k=number * np.stack([np.cos(heading), np.sin(heading)]),
        omega=number * speed,
        phase=rng.uniform(0, 2 * np.pi, count),
    )


@dataclass(frozen=True)
class Hour:
    """The weather of one hour.

    Attributes:
      fields: by variable, u, v, t, r, z in SI units and %, shape [levels, n, n].
      coarse_rain_mm: shape [n, n].
      fine_rain_mm: shape [N, N].
    """

    fields: dict[str, np.ndarray]
    coarse_rain_mm: np.ndarray
    fine_rain_mm: np.ndarray


# Means and spreads by level, as in the early summer monsoon of South China.
_CLIMATE: dict[int, dict[str, tuple[float, float]]] = {
    850: {"u": (3, 4), "v": (4, 4), "t": (291, 1.6), "r": (78, 11), "z": (14600, 160)},
    700: {"u": (6, 4.5), "v": (3, 4), "t": (283, 1.4), "r": (68, 14), "z": (30800, 170)},
    500: {"u": (8, 5.5), "v": (1, 4.5), "t": (268, 1.3), "r": (55, 17), "z": (57500, 200)},
    300: {"u": (12, 8), "v": (-2, 6), "t": (243, 1.5), "r": (45, 18), "z": (95000, 280)},
}
LEVELS = tuple(_CLIMATE)
_MEMBERS = ("low_flow", "high_flow", "divergence", "moisture", "dry_air", "warmth")


def simulate(domain: Domain, hours: np.ndarray, *, seed: int, stream: int) -> Iterator[Hour]:
    """The weather of consecutive hours.

    Args:
      domain: both grids.
      hours: hours since the start of the world, consecutive, shape [T].
      seed: of the world: waves and terrain.
      stream: of the chance in these hours: the cells and the coarse rain's error.
    """
    waves = {
        name: _waves(np.random.default_rng([seed, index])) for index, name in enumerate(_MEMBERS)
    }
    slopes = _terrain_slopes(domain, np.random.default_rng([seed, len(_MEMBERS)]))
    rng = np.random.default_rng([seed, len(_MEMBERS) + 1, stream])
    x = (domain.coarse_longitude - domain.coarse_longitude[0]) * 100.0
    y = (domain.coarse_latitude - domain.coarse_latitude[0]) * 100.0
    spread = _bilinear(len(x))
    cells = _Cells(len(x) * _POINTS, rng)
    for hour in hours:
        fields, drive, wind = _coarse_fields(waves, x, y, float(hour), spread, slopes)
        cells.advance(wind)
        rain = _rain(drive, cells.field())
        blocks = rain.reshape(len(y), _POINTS, len(x), _POINTS).mean(axis=(1, 3))
        error = np.exp(_RAIN_ERROR * _smooth_noise(rng, blocks.shape))
        row, column = domain.offset
        size = len(domain.fine_latitude)
        yield Hour(fields, blocks * error, rain[row : row + size, column : column + size])


def _coarse_fields(
    waves: dict[str, Waves],
    x: np.ndarray,
    y: np.ndarray,
    hour: float,
    spread: np.ndarray,
    slopes: tuple[np.ndarray, np.ndarray],
) -> tuple[dict[str, np.ndarray], np.ndarray, tuple[float, float]]:
    angles = {name: each.angle(x, y, hour) for name, each in waves.items()}
    value = {name: waves[name].value(angles[name]) for name in waves}
    sun = np.cos(2 * np.pi * (hour - 7.0) / 24.0)  # warmest at 15 local time, 07 UTC
    fields: dict[str, list[np.ndarray]] = {name: [] for name in ("u", "v", "t", "r", "z")}
    for index, climate in enumerate(_CLIMATE.values()):
        height = index / (len(_CLIMATE) - 1)  # 0 at the lowest level, 1 at the highest
        low, high = np.cos(height * np.pi / 2), np.sin(height * np.pi / 2)
        # Rotational flow from a stream function, divergent from a potential that turns over aloft.
        low_x, low_y = waves["low_flow"].gradient(angles["low_flow"])
        high_x, high_y = waves["high_flow"].gradient(angles["high_flow"])
        out_x, out_y = waves["divergence"].gradient(angles["divergence"])
        turn = 0.8 * (1.0 - 2.0 * height)
        shape = {
            "u": -(low * low_y + high * high_y) + turn * out_x,
            "v": low * low_x + high * high_x + turn * out_y,
            "t": 0.9 * value["warmth"] + 0.35 * (1 - height) * sun - 0.3 * value["moisture"],
            "r": low * value["moisture"] + high * value["dry_air"] + 0.35 * value["divergence"],
            "z": low * value["low_flow"]
            + high * value["high_flow"]
            + 0.5 * height * value["warmth"],
        }
        for name, field in shape.items():
            mean, spread_of = climate[name]
            fields[name].append(mean + spread_of * field)
    stacked = {name: np.stack(levels) for name, levels in fields.items()}
    stacked["r"] = np.clip(stacked["r"], 5.0, 103.0)

    def fine(field: np.ndarray) -> np.ndarray:
        return spread @ field @ spread.T

    # The potential's ridges are where air streams together: -lap cos = k^2 cos.
    drive = fine(
        _MOISTURE * (stacked["r"][0] - 78.0) / 11.0
        + _CONVERGENCE * value["divergence"]
        + _ASCENT * (stacked["r"][2] - 55.0) / 17.0
        + _SUN * sun
    )
    uphill = fine(stacked["u"][0]) * slopes[0] + fine(stacked["v"][0]) * slopes[1]
    wind = float(stacked["u"][1].mean()) * 3.6, float(stacked["v"][1].mean()) * 3.6  # km per hour
    drive = _DRIVE_LIMIT * np.tanh((drive + _SLOPE * uphill) / _DRIVE_LIMIT)
    return stacked, drive, wind


def _rain(drive: np.ndarray, cells: np.ndarray) -> np.ndarray:
    above = np.maximum(cells + _DRIVE * drive - _THRESHOLD, 0.0)
    rain = _AMOUNT_MM * np.exp(_GROWTH * drive) * np.expm1(_STEEPNESS * above)
    return np.round(_CEILING_MM * np.tanh(rain / _CEILING_MM), 2)


def _bilinear(count: int) -> np.ndarray:
    """From coarse points to the fine points of their cells: shape [25 n, n], ends held."""
    place = (np.arange(count * _POINTS) - _POINTS // 2) / _POINTS
    low = np.clip(np.floor(place), 0, count - 2).astype(int)
    share = np.clip(place - low, 0.0, 1.0)
    matrix = np.zeros((len(place), count))
    matrix[np.arange(len(place)), low] = 1.0 - share
    matrix[np.arange(len(place)), low + 1] += share
    return matrix


def _terrain_slopes(domain: Domain, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Eastward and northward slope of hidden hills, for a flow of 5 m/s to matter by 1."""
    side = len(domain.coarse_latitude) * _POINTS
    k = _wavenumbers(side)
    density = np.exp(-((k * 4.0) ** 2) / 2) / (1.0 / 60.0 + k) ** 2.4
    height = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * density, (side, side))
    south, east = np.gradient(height)
    scale = 5.0 * np.hypot(south, east).std() * 1.6
    return east / scale, -south / scale


class _Cells:
    """A Gaussian field of unit variance, carried by the wind, renewed within hours."""

    def __init__(self, side: int, rng: np.random.Generator) -> None:
        # A torus with room to spare, so that what leaves at one edge isn't seen at the other.
        self._side, self._torus, self._rng = side, side + 31, rng
        k = _wavenumbers(self._torus)
        density = np.exp(-((k * _INNER_KM) ** 2)) / (1.0 / _OUTER_KM**2 + k**2) ** (_EXPONENT / 2)
        density[0, 0] = 0.0
        variance = _mean_power(density, self._torus)
        self._shape = np.sqrt(density / variance)
        self._kept = 0.9 * np.exp(-k * 4.0)  # large cells live longer
        self._state = self._white()

    def _white(self) -> np.ndarray:
        return np.fft.rfft2(self._rng.standard_normal((self._torus, self._torus)))

    def advance(self, wind_km: tuple[float, float]) -> None:
        """One hour on: moved by the wind (eastward, northward), partly renewed."""
        east, south = wind_km[0], -wind_km[1]
        rows = np.exp(-2j * np.pi * np.fft.fftfreq(self._torus) * south)
        columns = np.exp(-2j * np.pi * np.fft.rfftfreq(self._torus) * east)
        moved = self._state * rows[:, None] * columns[None, :]
        self._state = self._kept * moved + np.sqrt(1.0 - self._kept**2) * self._white()

    def field(self) -> np.ndarray:
        """Shape [side, side]."""
        whole = np.fft.irfft2(self._state * self._shape, (self._torus, self._torus))
        return whole[: self._side, : self._side]


def _wavenumbers(side: int) -> np.ndarray:
    """Radians per km on a torus of `side` km, as rfft2 orders them."""
    return 2 * np.pi * np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])


def _mean_power(density: np.ndarray, side: int) -> float:
    """Variance of white noise filtered by sqrt(density): its mean over the whole spectrum."""
    twice = np.full(density.shape[1], 2.0)
    twice[0] = 1.0
    if side % 2 == 0:
        twice[-1] = 1.0
    return float((density * twice).sum() / side**2)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    white = np.pad(rng.standard_normal(shape), 1, mode="reflect")
    summed = sum(
        white[1 + i : 1 + i + shape[0], 1 + j : 1 + j + shape[1]]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    )
    return np.asarray(summed) / 3.0
