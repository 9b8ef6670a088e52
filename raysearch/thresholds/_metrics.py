"""Metrics of masks, as functions of tp, fp, fn, tn, and the table of all metrics by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from raysearch.errors import UserError, nearest
from raysearch.thresholds._scores import auc, classification_error

Counted = NDArray[Any]
Floats = NDArray[np.float64]
Direction = Literal["maximize", "minimize"]


def f1_plus(tp: Counted, fp: Counted, fn: Counted, tn: Counted) -> Floats:
    """Dice index of the foreground, ``2 tp / (2 tp + fp + fn)``, in [0, 1]; 1 if truth and mask are both empty.

    As all functions of this table: pixel counts of any one shape in, the same shape out. F1+ of the min-max entropy
    paper, section 4.
    """
    both = 2 * tp
    return _ratio(both, both + fp + fn, empty=1)


def f1_minus(tp: Counted, fp: Counted, fn: Counted, tn: Counted) -> Floats:
    """Dice index of the background, ``2 tn / (2 tn + fp + fn)``; 1 if neither has any. F1- of the same paper."""
    both = 2 * tn
    return _ratio(both, both + fp + fn, empty=1)


def iou(tp: Counted, fp: Counted, fn: Counted, tn: Counted) -> Floats:
    """Jaccard index of the foreground, ``tp / (tp + fp + fn)``; 1 if truth and mask are both empty."""
    return _ratio(tp, tp + fp + fn, empty=1)


def precision(tp: Counted, fp: Counted, fn: Counted, tn: Counted) -> Floats:
    """``tp / (tp + fp)``; of an empty mask 0, or 1 if the truth is empty too."""
    return np.where(tp + fp > 0, _ratio(tp, tp + fp, empty=0), fn == 0)


def recall(tp: Counted, fp: Counted, fn: Counted, tn: Counted) -> Floats:
    """``tp / (tp + fn)``; 1 if the truth is empty."""
    return _ratio(tp, tp + fn, empty=1)


def false_positive_area(tp: Counted, fp: Counted, fn: Counted, tn: Counted) -> Floats:
    """Share of the background that the mask covers, ``fp / (fp + tn)``, in [0, 1]; 0 without a background."""
    return _ratio(fp, fp + tn, empty=0)


def _ratio(over: Counted, under: Counted, empty: float) -> Floats:
    out = np.full(np.shape(under), empty, np.float64)
    np.divide(over, under, out=out, where=np.asarray(under) > 0)
    return out


@dataclass(frozen=True, kw_only=True)
class MaskMetric:
    """A metric of masks, whose threshold can be solved for.

    Attributes:
        name: on the command line.
        title: with the unit, for tables.
        function: of tp, fp, fn, tn.
        direction: which way is better.
        pairs: the pairs that it is a mean over: ``present`` (GT-known localization), ``absent``, or ``known``, both.
        pooled: pixels are added up over the images of a class before the function is applied, and the mean is over
            classes that have a present pair; otherwise the function is applied to each pair and the mean is over pairs.
        one_sided: why it cannot be a study's only objective; empty if it can.
    """

    kind: ClassVar[Literal["mask"]] = "mask"
    name: str
    title: str
    function: Callable[[Counted, Counted, Counted, Counted], Floats]
    direction: Direction = "maximize"
    pairs: Literal["present", "absent", "known"] = "present"
    pooled: bool = False
    one_sided: str = ""

    @property
    def needs(self) -> Literal["present", "absent"]:
        """The pairs without which the metric has no value."""
        return "absent" if self.pairs == "absent" else "present"


@dataclass(frozen=True, kw_only=True)
class ScoreMetric:
    """A metric of class scores: no threshold to solve for.

    Attributes:
        function: of scores (N, K) in [0, 1] and labels, (N,) class indices or (N, K) in {1, 0, -1 unknown}.
    """

    kind: ClassVar[Literal["scores"]] = "scores"
    name: str
    title: str
    function: Callable[[NDArray[Any], NDArray[Any]], float]
    direction: Direction


Metric = MaskMetric | ScoreMetric

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        MaskMetric(name="f1_plus", title="F1+ (Dice of the foreground, mean over images)", function=f1_plus),
        MaskMetric(
            name="f1_minus",
            title="F1- (Dice of the background, mean over images)",
            function=f1_minus,
            one_sided="an empty mask scores well on small objects",
        ),
        MaskMetric(name="iou", title="IoU (mean over images)", function=iou),
        MaskMetric(
            name="iou_pooled",
            title="mIoU (pixels pooled over the images of a class, mean over classes)",
            function=iou,
            pairs="known",
            pooled=True,
        ),
        MaskMetric(
            name="precision",
            title="Precision of pixels (mean over images)",
            function=precision,
            one_sided="a mask of the one surest pixel wins",
        ),
        MaskMetric(
            name="recall",
            title="Recall of pixels (mean over images)",
            function=recall,
            one_sided="a mask of the whole image wins",
        ),
        MaskMetric(
            name="false_positive_area",
            title="False-positive area (share of the image, mean over images without the class)",
            function=false_positive_area,
            direction="minimize",
            pairs="absent",
            one_sided="an empty mask wins",
        ),
        ScoreMetric(
            name="classification_error",
            title="Classification error (share of images; of known labels in the multi-label view)",
            function=classification_error,
            direction="minimize",
        ),
        ScoreMetric(
            name="auc", title="AUC (area under the ROC curve, mean over classes)", function=auc, direction="maximize"
        ),
    )
}


def find_metric(name: str) -> Metric:
    """The metric of that name; UserError with the nearest name if there is none."""
    if name not in METRICS:
        raise UserError(f"--metric {name}: unknown metric; {nearest(name, METRICS)}")
    return METRICS[name]


def mask_metric(name: str) -> MaskMetric:
    """`find_metric` for a metric of masks; UserError for one of class scores, which says nothing about thresholds."""
    metric = find_metric(name)
    if not isinstance(metric, MaskMetric):
        masks = ", ".join(key for key, other in METRICS.items() if other.kind == "mask" and not other.one_sided)
        raise UserError(f"--metric {name}: thresholds do not change it; choose them by one of {masks}")
    return metric


def objective(name: str) -> Metric:
    """The metric of that name, if it may be a study's only objective.

    Raises:
        UserError: unknown (with the nearest name), or one-sided (with the reason).
    """
    metric = find_metric(name)
    if isinstance(metric, MaskMetric) and metric.one_sided:
        fit = ", ".join(key for key, other in METRICS.items() if not (other.kind == "mask" and other.one_sided))
        raise UserError(
            f"--metric {name}: cannot be the only objective, because {metric.one_sided}; "
            f"it is reported beside any of {fit}"
        )
    return metric
