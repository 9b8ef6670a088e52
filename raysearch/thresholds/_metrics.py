"""Metrics of masks, as functions of tp, fp, fn, tn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import numpy as np

from raysearch.thresholds._confusion import MaskSweep
from raysearch.thresholds._evidence import Evidence
from raysearch.thresholds._sweep import Average, Counted, Floats, Sweep, SweepMetric


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


def ior(tp: Counted, fp: Counted, fn: Counted, tn: Counted) -> Floats:
    """Intersection over the detected region, ``tp / (tp + fp)``, also called IoBB; of an empty mask 0 (paper 000, spec
    0.6). `precision` differs for an empty mask of an empty truth alone."""
    return _ratio(tp, tp + fp, empty=0)


def reaches(share: Callable[..., Floats], least: float, *pixels: Counted) -> Floats:
    """1 where a share is at least `least` (closed, as in paper 000), else 0."""
    return (share(*pixels) >= least).astype(np.float64)


def _ratio(over: Counted, under: Counted, empty: float) -> Floats:
    with np.errstate(invalid="ignore"):  # one division of all is faster than one of those that are defined
        out = np.asarray(np.true_divide(over, under))
    out[np.asarray(under) == 0] = empty
    return out


@dataclass(frozen=True, kw_only=True)
class MaskMetric(SweepMetric):
    """A metric of masks, of any `function` of tp, fp, fn, tn: arrays of pixel counts of one shape in, the same out.

    Absolute thresholds need evidence of kind ``counts``; percentile rules can be judged by ``ranks`` in its place.
    """

    evidence: ClassVar[str] = "counts"

    def judges(self, evidence: Evidence) -> bool:
        return isinstance(evidence, MaskSweep)

    def statistics(self, evidence: Sweep) -> tuple[Counted, ...]:
        if not isinstance(evidence, MaskSweep):
            raise ValueError(f"{self.name} needs evidence of kind counts or ranks, got {evidence.kind}")
        return tuple(evidence.confusion())


@dataclass(frozen=True, kw_only=True)
class DrawnIou(MaskMetric):
    """The IoU of each image, averaged over those images of a class in which truth or mask has a pixel.

    Which these are depends on the level: the sum and the number of images are pooled, and `function` divides them.
    """

    pairs: Literal["present", "absent", "known"] = "known"
    average: Average = "classes"
    pooled: bool = True

    def statistics(self, evidence: Sweep) -> tuple[Counted, ...]:
        tp, fp, fn, _ = super().statistics(evidence)
        either = tp + fp + fn
        return _ratio(tp, either, empty=0), (either > 0).astype(np.float64)


def mean_of(total: Counted, count: Counted) -> Floats:
    """``total / count``; 0 of nothing."""
    return _ratio(total, count, empty=0)


def iou_accuracy(least: float, name: str) -> MaskMetric:
    """Share of pairs whose IoU is at least `least`, in (0, 1]: localization accuracy, 0.1 in paper 000."""
    return MaskMetric(
        name=name, title=f"IoU accuracy (share of pairs with IoU >= {least:g})", function=partial(reaches, iou, least)
    )


def ior_accuracy(least: float, name: str) -> MaskMetric:
    """Share of pairs whose IoR is at least `least`, in (0, 1]: the other localization accuracy of paper 000."""
    return MaskMetric(
        name=name,
        title=f"IoR accuracy (share of pairs with IoR >= {least:g})",
        function=partial(reaches, ior, least),
        one_sided="a mask of the one surest pixel wins",
    )


MASK_METRICS = (
    MaskMetric(name="f1_plus", title="F1+ (Dice of the foreground, mean over images)", function=f1_plus),
    MaskMetric(
        name="f1_minus",
        title="F1- (Dice of the background, mean over images)",
        function=f1_minus,
        one_sided="an empty mask scores well on small objects",
    ),
    MaskMetric(name="iou", title="IoU (mean over images)", function=iou),
    MaskMetric(
        name="iou_pooled:classes",
        title="mIoU (pixels pooled over the images of a class, mean over classes)",
        function=iou,
        pairs="known",
        average="classes",
        pooled=True,
    ),
    DrawnIou(
        name="iou_per_image:classes",
        title="mIoU by image (mean over the images of a class but those without region and mask, mean over classes)",
        function=mean_of,
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
    iou_accuracy(0.1, "iou_accuracy"),
    ior_accuracy(0.1, "ior_accuracy"),
)
