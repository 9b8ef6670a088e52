"""Proposer ``criterion``: thresholds of regions by the eq. 4 hit rate, thresholds of images by the Youden cut."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from raysearch.alternation._reach import Reach
from raysearch.thresholds import Regions

Floats = NDArray[np.float64]

TIE = 1e-12
"""Values closer than this are equal."""


def propose_by_hits(pairs: Regions, reach: Mapping[str, Reach], slack_weight: float) -> dict[str, float] | str:
    """``inside`` (tau) and ``outside`` (rho) of the best `best_pair` within reach; or why there is none."""
    best = best_pair(pairs.blob, pairs.positive_outside, reach["inside"], reach["outside"], slack_weight)
    if best is None:
        return "no annotated region holds eq. 4 at any threshold within reach"
    return dict(zip(("inside", "outside"), best, strict=True))


def best_pair(
    blob: Floats, outside: Floats, taus: Reach, rhos: Reach, slack_weight: float
) -> tuple[float, float] | None:
    """(tau, rho) that maximises the share of pairs with ``blob >= tau`` and ``outside <= rho``, plus slack_weight
    (tau - rho): eq. 4 of paper 000, which alone would be best at tau = 0 and rho = 1.

    The maximum over all of `taus` and `rhos` is at a value of the evidence or at an end of these, so that is where it
    is looked for; at pairs of thresholds that no pair (image, class) holds it says nothing, and they do not count. A
    blob of no cell is none, so it holds no threshold. Of equally good pairs the middle one in order of tau, then rho:
    the slackest would begin to drift, the strictest leans on one image.

    Args:
        blob: (A,) share of the region in its largest blob.
        outside: (A,) share of positive cells outside it.
        taus, rhos: where to look.
        slack_weight: mu, above 0.

    Returns:
        None if no pair of thresholds in reach is held by any pair.
    """
    tau, rho = _values_within(blob, taus), _values_within(outside, rhos)
    best, tied = -math.inf, []
    for first, hits in _hits(blob, outside, tau, rho):
        gain = hits / len(blob) + slack_weight * (tau - rho[first : first + len(hits), None])
        gain[hits == 0] = -math.inf
        best = max(best, gain.max())
        if best > -math.inf:
            rows, columns = np.nonzero(gain >= best - TIE)
            tied += [(g, tau[i], rho[first + j]) for g, i, j in zip(gain[rows, columns], columns, rows, strict=True)]
    middle = sorted((float(t), float(r)) for gain, t, r in tied if gain >= best - TIE)
    return middle[(len(middle) - 1) // 2] if middle else None


_BLOCK = 1_000_000
"""Numbers held at once."""


def _hits(blob: Floats, outside: Floats, tau: Floats, rho: Floats) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """How many pairs hold each (rho, tau), (B, T), in blocks of B successive rho, with the place of the first."""
    held = np.where(blob > 0, np.searchsorted(tau, blob, side="right"), 0)  # the first `held` tau
    least = np.searchsorted(rho, outside, side="left")  # of all rho from there on
    before = np.zeros((1, len(tau)), np.int64)
    size = max(1, _BLOCK // len(tau))
    for first in range(0, len(rho), size):
        width, rows = len(tau) + 1, min(size, len(rho) - first)
        enters = (least >= first) & (least < first + rows)
        table = np.bincount((least[enters] - first) * width + held[enters], minlength=rows * width)
        at_least = table.reshape(rows, width)[:, :0:-1].cumsum(axis=1)[:, ::-1]
        hits = before + at_least.cumsum(axis=0)
        before = hits[-1:]
        yield first, hits


def _values_within(values: Floats, reach: Reach) -> Floats:
    """The distinct values in reach, and its ends, in ascending order."""
    return np.unique(np.concatenate([values[(values > reach.low) & (values < reach.high)], reach]))


def propose_by_cut(pairs: Regions, reach: Mapping[str, Reach]) -> dict[str, float] | str:
    """``present`` (tau_hat) and ``absent`` (rho_hat) of `youden_cut`, clipped to reach; or why there is none."""
    cut = youden_cut(pairs.total[pairs.present], pairs.total[~pairs.present])
    if cut is None:
        return "the region sum does not tell present from absent"
    return {bound: reach[bound].clip(value) for bound, value in zip(("absent", "present"), cut, strict=True)}


def youden_cut(present: Floats, absent: Floats) -> tuple[float, float] | None:
    """The values of the evidence just below and just above the cut that maximises the share of `present` above it
    minus the share of `absent` above it (Youden's J); of equally good cuts the one in the widest gap between values.

    They are the strictest bounds that every pair on the right side of the cut holds: the least sum of those above it,
    and the greatest of those below. The lower is strictly below the upper one, so that not both can go to their slack
    ends.

    Args:
        present: (A,) total of pairs that are present.
        absent: (B,) of pairs that are absent.

    Returns:
        (below, above); None if J is not above what chance exceeds once in 20 times (J is the one-sided
        Kolmogorov-Smirnov statistic; its asymptotic critical value), or a part is empty.
    """
    if not len(present) or not len(absent):
        return None
    values = np.unique(np.concatenate([present, absent]))
    # J of the cut between each value and the next
    above = [1 - np.searchsorted(np.sort(part), values[:-1], side="right") / len(part) for part in (present, absent)]
    youden = above[0] - above[1]
    chance = math.sqrt(-math.log(0.05) / 2 * (1 / len(present) + 1 / len(absent)))
    if not len(youden) or youden.max() <= chance:
        return None
    best = np.flatnonzero(youden >= youden.max() - TIE)
    at = best[np.argmax(np.diff(values)[best])]
    return float(values[at]), float(values[at + 1])
