"""Metrics of boxes, as functions of their overlap and union with the truth boxes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from raysearch.thresholds._boxes import Connectivity
from raysearch.thresholds._components import BoxAreas, Components
from raysearch.thresholds._cross_fit import cross_fit
from raysearch.thresholds._evidence import Evidence
from raysearch.thresholds._sweep import Counted, Floats, PlainMetric, Sweep, SweepMetric, present_pairs

V2_SHARES = (0.3, 0.5, 0.7)
"""The IoUs of MaxBoxAccV2 (Choe et al. 2020)."""


_ROUNDING = 1e-6
"""Share of an IoU that is asked for by which one may be below it: areas between pixels are rounded."""


def box_iou(overlap: Counted, either: Counted) -> Floats:
    """IoU of boxes, in [0, 1]; 0 without a box, and where truth and mask are both empty."""
    out = np.zeros(np.shape(either), np.float64)
    np.divide(overlap, either, out=out, where=np.asarray(either) > 0)
    return out


def box_iou_reaches(least: float, overlap: Counted, either: Counted) -> Floats:
    """1 where the IoU of boxes is at least `least` (closed), else 0."""
    return (box_iou(overlap, either) >= least * (1 - _ROUNDING)).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class BoxMetric(SweepMetric):
    """A metric of boxes, of any `function` of (overlap, either) in pixels; the mean is over PRESENT pairs (GT-known
    localization: the class is given).

    Attributes:
        rule: one of `SWEPT`, by which masks become boxes; None for the one that the evidence's method has.
        connectivity: of the components, 4 or 8.
    """

    evidence: ClassVar[str] = "components"
    rule: str | None = None
    connectivity: Connectivity = 8

    def judges(self, evidence: Evidence) -> bool:
        return isinstance(evidence, BoxAreas)

    def statistics(self, evidence: Sweep) -> tuple[Counted, ...]:
        if not isinstance(evidence, BoxAreas):
            raise ValueError(f"{self.name} needs evidence of kind components, got {evidence.kind}")
        return evidence.areas(self.rule, self.connectivity)


def box_accuracy(least: float, name: str, rule: str | None = None) -> BoxMetric:
    """Share of pairs whose box has an IoU of at least `least`, in (0, 1]: 0.5 is the GT-known localization of the
    field; on `top_one` evidence the same metric is top-1 localization."""
    return BoxMetric(
        name=name,
        title=f"Box accuracy (share of pairs whose box has IoU >= {least:g})",
        function=partial(box_iou_reaches, least),
        rule=rule,
    )


def max_box_acc_v2(components: Components, weights: Floats, label: int | None = None) -> Floats:
    """MaxBoxAccV2 of Choe et al. 2020, (B,) in [0, 1] under (B, R) weightings of the pairs; NaN where none has weight.

    The mean over IoU 0.3, 0.5 and 0.7 of the box accuracy, each at the threshold that is best for it, where all boxes
    of a mask (8-connected) are compared with all truth boxes and the two that fit best count (`best_match`). It chooses
    its thresholds, and its boxes, on the very images that it scores, as published figures do: it is optimistic, and for
    reports only; `cross_fitted_box_acc_v2` chooses thresholds on other patients. Thresholds are the 257 levels of the
    map's own scale; divide maps by their maximum to have the paper's.

    Args:
        label: of this class alone.
    """
    rows = np.arange(len(components)) if label is None else np.flatnonzero(components.label == label)
    part, total = weights[:, rows], weights[:, rows].sum(axis=1)
    areas = components.select(rows).areas("best_match", 8)
    best = np.mean([(part @ box_iou_reaches(least, *areas)).max(axis=1, initial=0) for least in V2_SHARES], axis=0)
    out = np.full(len(weights), np.nan)
    np.divide(best, total, out=out, where=total > 0)
    return out


def cross_fitted_box_acc_v2(components: Components, *, repeats: int = 10, seed: int = 0) -> float:
    """`max_box_acc_v2` with each threshold chosen on one half of the patients and scored on the other.

    Boxes are still matched with the truth, as the metric demands. Arguments and errors of `cross_fit`.
    """
    accuracies = [box_accuracy(least, f"box_accuracy@{least:g}", "best_match") for least in V2_SHARES]
    return float(np.mean([cross_fit(components, each, repeats=repeats, seed=seed).value for each in accuracies]))


BOX_METRICS = (
    BoxMetric(name="box_iou", title="Box IoU (mean over images)", function=box_iou),
    box_accuracy(0.5, "box_accuracy"),
    PlainMetric(
        name="max_box_acc_v2",
        title="MaxBoxAccV2 (IoU 0.3, 0.5, 0.7; thresholds chosen on what they score)",
        evidence=Components.kind,
        function=max_box_acc_v2,
        enters=present_pairs,
        one_sided="it chooses its thresholds on the very images that it scores",
    ),
)
