"""How good a forecast's probabilities are: Brier's three parts, the ROC, the flatness of ranks.

All start from counts that add over hours: for how many points 0..M of M members said yes, and at
how many of those it came. So there are M + 1 probabilities, and nothing need be binned.
"""

import numpy as np


def brier_parts(
    forecasts: np.ndarray, events: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Murphy's decomposition: mean of (p - o)^2 = reliability - resolution + uncertainty.

    Args:
      forecasts: points at which 0..M members say yes, shape [..., M + 1].
      events: those of them where it came, shape [..., M + 1].

    Returns:
      Reliability (0 is perfect), resolution (more is better) and uncertainty (the weather's own),
      each of shape [...]; NaN where there is no point.

    References:
      Murphy, A. H. (1973). A new vector partition of the probability score. J. Appl. Meteorol.,
      12, 595-600.
    """
    said = _probabilities(forecasts)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = forecasts / forecasts.sum(-1, keepdims=True)
        base = events.sum(-1, keepdims=True) / forecasts.sum(-1, keepdims=True)
        came = np.where(forecasts > 0, events / forecasts, 0)
    reliability = (share * (said - came) ** 2).sum(-1)
    resolution = (share * (came - base) ** 2).sum(-1)
    return reliability, resolution, (base * (1 - base))[..., 0]


def roc_curve(forecasts: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False alarm rate and hit rate of 'at least k members say yes', k = M + 1 down to 0.

    Args:
      forecasts: shape [..., M + 1], see `brier_parts`.
      events: shape [..., M + 1].

    Returns:
      Both of shape [..., M + 2], from (0, 0) to (1, 1); NaN where it never came or always did.

    References:
      Mason, I. (1982). A model for assessment of weather forecasts. Aust. Met. Mag., 30, 291-303.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = [
            np.cumsum(count[..., ::-1], -1) / count.sum(-1, keepdims=True)
            for count in (forecasts - events, events)
        ]
    start = np.zeros_like(rates[0][..., :1])
    false_alarms, hits = (np.concatenate([start, rate], -1) for rate in rates)
    return false_alarms, hits


def roc_area(forecasts: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, its points joined by straight lines, shape [...].

    Args as in `roc_curve`. 1 is perfect, 0.5 no better than chance; NaN where not known.
    """
    false_alarms, hits = roc_curve(forecasts, events)
    return (np.diff(false_alarms) * (hits[..., 1:] + hits[..., :-1]) / 2).sum(-1)


def rank_flatness(ranks: np.ndarray) -> np.ndarray:
    """The share of a rank histogram that is out of place: 0 is flat.

    Half of Delle Monache's reliability index: the sum over ranks of |share - 1 / (M + 1)| / 2,
    which a histogram with all in one rank brings to M / (M + 1).

    Args:
      ranks: counts, shape [..., M + 1], M >= 2.

    Returns:
      Shape [...]; NaN where nothing was counted.

    References:
      Delle Monache, L. et al. (2006), J. Geophys. Res., 111, D24307, doi:10.1029/2005JD006917.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = ranks / ranks.sum(-1, keepdims=True)
    return np.abs(share - 1 / ranks.shape[-1]).sum(-1) / 2


def _probabilities(forecasts: np.ndarray) -> np.ndarray:
    return np.arange(forecasts.shape[-1]) / (forecasts.shape[-1] - 1)
