"""Forecasts beside gauges: rain at the stations, summed over 1, 6 and 24 hours."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jaxrain.errors import InputError
from jaxrain.grids.places import places_on, values_at
from jaxrain.verification.baselines import Baseline
from jaxrain.verification.forecast import Case, Forecast
from jaxrain.verification.gauge_scores import (
    THRESHOLDS_MM,
    Ended,
    GaugeScores,
    conclude,
    gauge_sums,
)
from jaxrain.verification.scoring import read_systems
from jaxrain.verification.sequences import consecutive
from jaxrain.verification.stations import Report
from jaxrain.verification.truth import Truth

GRID_TRUTH = "truth"
"""The gridded truth at the gauges, scored as if it were a forecast."""

_HOUR = np.timedelta64(3600, "s")
# Sums made of hourly reports end at these hours of the day, UTC: 00 is 08 in Beijing.
_REGULAR_ENDS = {6: (0, 6, 12, 18), 24: (0,)}


def verify_gauges(
    forecast: Forecast,
    truth: Truth,
    baselines: dict[str, Baseline],
    reports: Sequence[Report],
) -> list[GaugeScores]:
    """Scores an ensemble, its baselines and the gridded truth against gauges.

    Rain is interpolated bilinearly to the station, hour by hour, then summed; only sums whose hours
    are all there count. Hourly reports are summed to 6 hours that end at 00, 06, 12, 18 UTC and to
    24 that end at 00 UTC too, unless the station reports that sum itself. A station in several
    cases at the same time counts once. Holds 24 hours of all members, at the stations only.

    Args:
      forecast: what is verified.
      truth: what came on the grid.
      baselines: as for `scoring.verify`.
      reports: from `stations.read_stations`.

    Returns:
      One for each period that has a sum.

    Raises:
      InputError: no grid's latitudes and longitudes are known, two reports of one sum of a station
        differ, or no report ends at an hour of the forecast inside one of its areas.
    """
    ended: dict[int, list[Ended]] = {hours: [] for hours in THRESHOLDS_MM}
    seen: set[tuple[int, str, np.datetime64]] = set()
    cases = [case for case in forecast.cases if _can_place(case)]
    if not cases:
        raise InputError(
            f"--stations: the grids of {forecast.path} are projections without latitudes and "
            "longitudes, so that stations have no place on them; leave --stations out"
        )
    _require_one_amount(reports)
    for case in cases:
        gauges = _gauges_of(case, reports)
        for each in _ended(case, gauges, truth, baselines, seen):
            ended[each.hours].append(each)
    if not any(ended.values()):
        ends = [report.end for report in reports]
        span = f" ({min(ends)} to {max(ends)})" if ends else ""
        raise InputError(
            f"--stations: none of the {len(reports)} reports{span} ends at an hour of "
            f"{forecast.path} inside its area; give reports of its hours (UTC: see --station-zone)"
        )
    return [conclude(found) for found in ended.values() if found]


def without_gauges(forecast: Forecast) -> list[str]:
    """A line for the cases in which stations have no place, if there are any."""
    names = [case.name for case in forecast.cases if not _can_place(case)]
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return [
        f"no gauges in {len(names)} of {len(forecast.cases)} cases, whose projections are without "
        f"latitudes and longitudes: {shown}"
    ]


def _can_place(case: Case) -> bool:
    grid = case.grid
    return not grid.projected or (grid.latitude is not None and grid.longitude is not None)


def _require_one_amount(reports: Sequence[Report]) -> None:
    known: dict[tuple[str, np.datetime64, int], Report] = {}
    for each in reports:
        first = known.setdefault((each.station, each.end, each.hours), each)
        if first.rain_mm != each.rain_mm:
            said = " and ".join(
                f"{one.rain_mm:.10g} mm" + f" ({one.origin})" * bool(one.origin)
                for one in (first, each)
            )
            raise InputError(
                f"--stations: station {each.station} has two reports of the {each.hours} h that "
                f"end at {each.end}, {said}; expected one amount: remove what is wrong"
            )


@dataclass(frozen=True, eq=False)
class _Gauges:
    """The gauges inside a case.

    Attributes:
      names: ids of the S gauges.
      places: rows and columns, shape [S, 2].
      sums: what they measured, by (hours, end), shape [S] [mm], NaN where there is no report.
    """

    names: list[str]
    places: np.ndarray
    sums: dict[tuple[int, np.datetime64], np.ndarray]


def _gauges_of(case: Case, reports: Sequence[Report]) -> _Gauges:
    sites = sorted({(each.station, each.longitude, each.latitude) for each in reports})
    degrees = np.array([site[1:] for site in sites]).reshape(-1, 2)
    places = places_on(case.grid, degrees[:, 0], degrees[:, 1])
    inside = np.flatnonzero(np.isfinite(places).all(1))
    column = {sites[site]: number for number, site in enumerate(inside)}
    sums: dict[tuple[int, np.datetime64], np.ndarray] = {}
    for each in reports:
        number = column.get((each.station, each.longitude, each.latitude))
        if number is not None:
            key = each.hours, each.end
            sums.setdefault(key, np.full(len(inside), np.nan))[number] = each.rain_mm
    for (hours, end), rain in _sums_of_hours(sums).items():
        own = sums.get((hours, end), rain)
        sums[hours, end] = np.where(np.isfinite(own), own, rain)
    return _Gauges([sites[site][0] for site in inside], places[inside], sums)


def _sums_of_hours(
    sums: dict[tuple[int, np.datetime64], np.ndarray],
) -> dict[tuple[int, np.datetime64], np.ndarray]:
    """Longer sums from hourly reports that are all there."""
    found = {}
    hourly = {end: rain for (hours, end), rain in sums.items() if hours == 1}
    for end in hourly:
        of_day = (end - end.astype("datetime64[D]")) / _HOUR
        for hours, regular in _REGULAR_ENDS.items():
            parts = [hourly.get(end - n * _HOUR) for n in range(hours)]
            known = [part for part in parts if part is not None]
            if of_day in regular and len(known) == hours:
                found[hours, end] = np.sum(known, 0)
    return found


def _ended(
    case: Case,
    gauges: _Gauges,
    truth: Truth,
    baselines: dict[str, Baseline],
    seen: set[tuple[int, str, np.datetime64]],
) -> Iterator[Ended]:
    needed = {end - n * _HOUR for hours, end in gauges.sums for n in range(hours)}
    recent: deque[dict[str, np.ndarray]] = deque(maxlen=max(THRESHOLDS_MM))
    for hour, time in enumerate(case.hours):
        if not consecutive(case.hours, hour):
            recent.clear()
        if time not in needed:
            # Of two sums that both need an hour's rain none lies across one that neither needs.
            recent.clear()
            continue
        systems = read_systems(case, hour, baselines) | {GRID_TRUTH: truth(case, hour)[None]}
        recent.append({name: values_at(rain, gauges.places) for name, rain in systems.items()})
        for hours in THRESHOLDS_MM:
            measured = gauges.sums.get((hours, time))
            if measured is None or len(recent) < hours:
                continue
            last = list(recent)[-hours:]
            rain = {name: np.sum([one[name] for one in last], 0) for name in systems}
            fresh = [(hours, name, time) not in seen for name in gauges.names]
            known = np.isfinite(measured) & fresh
            for each in rain.values():
                known &= np.isfinite(each).all(0)
            if known.any():
                stations = [gauges.names[number] for number in np.flatnonzero(known)]
                seen.update((hours, station, time) for station in stations)
                sums = {
                    name: gauge_sums(each[:, known], measured[known], THRESHOLDS_MM[hours])
                    for name, each in rain.items()
                }
                yield Ended(hours, time, stations, sums)
