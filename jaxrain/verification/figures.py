"""Pictures of scores: spectra, ranks, frequency bias and skill by scale."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxrain.pages.palette import system_colour, system_line
from jaxrain.pages.pictures import new_figure, tidy
from jaxrain.verification import spectra
from jaxrain.verification.fractions import WINDOWS_KM
from jaxrain.verification.points import THRESHOLDS_MM
from jaxrain.verification.scoring import MODEL, Verification

_SKILL_MM = (1.0, 5.0)


def spectrum_figure(found: Verification) -> Figure:
    """Power spectra of truth, members, ensemble mean and baselines, and their distance in dB."""
    figure = new_figure(9.6, 3.9)
    power, distance = figure.subplots(1, 2)
    waves, model = found.wavelengths_km, found.sums[MODEL]
    if not len(waves):
        power.set_title("No wave fits in the narrowest case", fontsize=10)
        for ax in (power, distance):
            ax.set_axis_off()
        return figure
    count = model["spectrum_squares"]
    lines = {"truth": model["truth_spectrum"], "members": model["spectrum"]}
    lines["ensemble mean"] = model["mean_spectrum"]
    lines |= {name: sums["spectrum"] for name, sums in found.sums.items() if name != MODEL}
    for name, line in lines.items():
        colour = system_colour(MODEL if name == "members" else name, found.systems)
        style = {"color": colour, "label": name, "lw": 2.2 if name in ("truth", "members") else 1.4}
        style["ls"] = system_line(name, found.systems)
        if count > 0 and line.min() > 0:
            power.plot(waves, line / count, **style)
        if name != "truth" and count > 0:
            distance.plot(waves, spectra.decibels(line, lines["truth"]), **style)
    distance.axhspan(-3, 3, color="#e8e8e8", zorder=0, label="within 3 dB")
    distance.axhline(0, color="black", lw=1)
    distance.set_ylim(-25, 10)
    for ax, label in (
        (power, "power spectral density [mm² km²]"),
        (distance, "distance from the truth [dB]"),
    ):
        ax.set_xlim(waves[0] * 1.1, waves[-1] * 0.9)
        ax.set_xscale("log")
        ax.axvline(spectra.SHORTEST_KM, color="grey", ls=":", lw=1)
        ax.set_xlabel("wavelength [km]")
        ax.set_ylabel(label)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        ax.set_xticks([w for w in (2, 4, 8, 16, 32, 64, 128, 256) if w <= waves[0] * 1.01])
        tidy(ax)
    if power.get_legend_handles_labels()[1]:
        power.set_yscale("log")
        power.legend(fontsize=8, frameon=False)
    else:
        power.set_title("No rain, or no square complete enough", fontsize=10)
    return figure


def rank_figure(found: Verification) -> Figure:
    """Rank histogram."""
    figure = new_figure(5.4, 3.2)
    _ranks(figure.subplots(), found)
    return figure


def _ranks(ax: Axes, found: Verification) -> None:
    ranks = found.sums[MODEL]["ranks"]
    share = ranks / max(ranks.sum(), 1)
    ax.bar(range(len(ranks)), share * len(ranks), color=system_colour(MODEL), width=0.85)
    ax.axhline(1, color="black", lw=1, ls="--")
    ax.set_xlabel("place of the truth among the members")
    ax.set_ylabel("relative to a perfect ensemble")
    ax.set_title("Rank histogram", fontsize=10)
    tidy(ax)


def skill_figure(found: Verification) -> Figure:
    """Frequency bias by threshold, and fractions skill score by window at two thresholds."""
    figure = new_figure(9.6, 3.5)
    bias, *skill = figure.subplots(1, 1 + len(_SKILL_MM))
    for label, system, prefix in _curves(found):
        colour = system_colour(MODEL if label == "members" else label, found.systems)
        style = {"color": colour, "label": label, "marker": "o", "ms": 4}
        style["ls"] = "-" if system == MODEL else "--"
        _plot(bias, found, system, f"{prefix}frequency_bias_{{:g}}mm", THRESHOLDS_MM, style)
        for ax, threshold in zip(skill, _SKILL_MM, strict=True):
            # The mean of an ensemble has no probability: its place is taken by the members'.
            if label == "ensemble mean":
                continue
            named = style | ({"label": "ensemble's probability"} if system == MODEL else {})
            _plot(ax, found, system, f"fss_{threshold:g}mm_{{:g}}km", WINDOWS_KM, named)
    bias.axhline(1, color="black", lw=1)
    # Limits are set, for where nothing is known a logarithmic axis finds none.
    bias.set_xlim(0.08, 25)
    bias.set_ylim(0.02, 5)
    bias.set_xscale("log")
    bias.set_yscale("log")
    bias.set_xlabel("threshold [mm in the hour]")
    bias.set_title("Frequency bias (1 is perfect)", fontsize=10)
    bias.set_xticks(THRESHOLDS_MM)
    bias.set_yticks([0.1, 0.5, 1, 2])
    for axis in (bias.xaxis, bias.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    for ax, threshold in zip(skill, _SKILL_MM, strict=True):
        ax.set_xlim(0.8, 80)
        ax.set_xscale("log")
        ax.set_xticks(WINDOWS_KM)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        ax.set_ylim(0, 1)
        ax.set_xlabel("window [km]")
        ax.set_title(f"Fractions skill score, {threshold:g} mm", fontsize=10)
    for ax in (bias, *skill):
        ax.legend(fontsize=7, frameon=False)
        tidy(ax)
    return figure


def _curves(found: Verification) -> list[tuple[str, str, str]]:
    """Label, system, and prefix of its scores' names."""
    baselines = [(name, name, "") for name in found.systems if name != MODEL]
    return [("members", MODEL, "member_"), ("ensemble mean", MODEL, ""), *baselines]


def _plot(
    ax: Axes,
    found: Verification,
    system: str,
    name: str,
    places: tuple[float, ...],
    style: dict[str, object],
) -> None:
    """A curve of one score over thresholds or windows, with bars for its intervals."""
    scores = [found.systems[system][name.format(place)] for place in places]
    table = np.array([[s["value"], s["low"], s["high"]] for s in scores], float)  # None -> NaN
    ax.plot(places, table[:, 0], **style)  # type: ignore[arg-type]
    ax.vlines(places, table[:, 1], table[:, 2], color=str(style["color"]), lw=1)
