"""Evidence of kind ``logits``: class scores and image labels, and the metrics of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raysearch.thresholds._evidence import Column, Evidence
from raysearch.thresholds._sweep import Floats
from raysearch.thresholds._values import check_truth


@dataclass(frozen=True, kw_only=True)
class Logits(Evidence):
    """Class scores of R images, in the order of `image`.

    Attributes:
        view: ``single`` if each image holds exactly one class, else ``multi``.
        scores: (R, K) float32 class probabilities; NaN is refused.
        labels: (R, K) int8 image labels, 1 present, 0 absent, -1 unknown. In the single-label view an image has one 1,
            or is unknown in all classes.
    """

    kind: ClassVar[str] = "logits"
    columns: ClassVar[dict[str, Column]] = {
        **Evidence.columns,
        "scores": (np.float32, (None,)),
        "labels": (np.int8, (None,)),
    }

    view: Literal["single", "multi"]
    scores: NDArray[np.float32]
    labels: NDArray[np.int8]

    def check(self) -> None:
        classes = len(self.classes)
        if not self.scores.shape[1] == self.labels.shape[1] == classes:
            raise ValueError(
                f"expected scores and labels of {classes} classes, got {self.scores.shape} and {self.labels.shape}"
            )
        if self.view not in ("single", "multi"):
            raise ValueError(f"a view is single or multi, got {self.view}")
        check_truth("labels", self.labels)
        if not np.isfinite(self.scores).all():
            raise ValueError("class scores must be finite numbers, found NaN or infinity")

    @classmethod
    def from_scores(
        cls,
        scores: NDArray[Any],
        labels: NDArray[np.int8],
        rows: ArrayLike,
        patients: ArrayLike,
        classes: Sequence[str],
        view: Literal["single", "multi"],
    ) -> Logits:
        """Of N images: (N, K) scores and labels, their (N,) rows in the collection and (N,) patients.

        Raises:
            ValueError: shapes do not fit, a score is not finite, or a label is none of 1, 0 and -1.
        """
        return cls(
            classes=tuple(classes),
            view=view,
            image=np.asarray(rows, np.int64),
            patient=np.asarray(patients, np.str_),
            scores=np.asarray(scores, np.float32),
            labels=_int8(labels),
        )


def _int8(labels: NDArray[Any]) -> NDArray[np.int8]:
    """Checked before the cast, which would make anything of NaN and 255."""
    check_truth("labels", np.asarray(labels))
    return np.asarray(labels, np.int8)


def labelled(logits: Logits) -> NDArray[np.bool_]:
    """(R,) images of which a label is known."""
    return np.asarray((logits.labels >= 0).any(axis=1))


def labelled_in_both(logits: Logits) -> NDArray[np.bool_]:
    """(R,) images of which a label is known of a class that has both: of others `auc` takes no notice."""
    both = (logits.labels > 0).any(axis=0) & (logits.labels == 0).any(axis=0)
    return np.asarray((logits.labels[:, both] >= 0).any(axis=1))


def classification_error(logits: Logits, weights: Floats, label: int | None = None) -> Floats:
    """Share of wrong answers, in [0, 1], under (B, R) weightings of the images; (B,), NaN where no label is known.

    Single-label view: of images whose highest score (the first one on ties) is not their class. Multi-label view: of
    known labels on whose side of 0.5 the score is not.

    Args:
        label: of this class alone (single-label view: of its images).
    """
    known, present = logits.labels >= 0, logits.labels > 0
    if logits.view == "single":
        known = present
        wrong = logits.scores.argmax(axis=1)[:, None] != np.arange(len(logits.classes))
    else:
        wrong = (logits.scores >= 0.5) != present
    columns = slice(None) if label is None else slice(label, label + 1)
    errors = weights @ (wrong & known)[:, columns].sum(axis=1)
    return _share(errors, weights @ known[:, columns].sum(axis=1))


def accuracy(logits: Logits, weights: Floats, label: int | None = None) -> Floats:
    """Share of right answers, ``1 - classification_error``."""
    return 1 - classification_error(logits, weights, label)


def f1_score(logits: Logits, weights: Floats, label: int | None = None) -> Floats:
    """F1 of each class taken as positive, ``2 TP / (2 TP + FP + FN)`` over images, in [0, 1], under (B, R) weightings;
    (B,). F1-N and F1-P of paper 003 are those of its two classes.

    An image is taken for the class of its highest score (the first one on ties) in the single-label view, and for every
    class whose score is at least 0.5 in the other. 1 for a class that no image has and none is taken for, as Dice of
    two empty masks. The mean is over classes of which a label is known; NaN without any.

    Args:
        label: of this class alone; NaN if none of its labels is known.
    """
    if logits.view == "single":
        taken = logits.scores.argmax(axis=1)[:, None] == np.arange(len(logits.classes))
    else:
        taken = logits.scores >= 0.5
    columns = slice(None) if label is None else slice(label, label + 1)
    known, present, taken = (each[:, columns] for each in (logits.labels >= 0, logits.labels > 0, taken))
    right = 2 * weights @ (taken & present)
    all_of = weights @ (taken & known) + weights @ present
    scores = np.ones_like(right)
    np.divide(right, all_of, out=scores, where=all_of > 0)
    defined = weights @ known > 0
    return _share(np.where(defined, scores, 0).sum(axis=1), defined.sum(axis=1).astype(np.float64))


def auc(logits: Logits, weights: Floats, label: int | None = None) -> Floats:
    """Area under the ROC curve of each class against the rest, in [0, 1], under (B, R) weightings; (B,).

    The mean is over classes that have both labels: one with a single label is skipped (`one_label`). 0.5, chance, if
    no class of the evidence has both; NaN where no label is known, and for weightings that leave no class with both.

    Args:
        label: of this class alone; NaN if it does not have both labels.
    """
    if label is not None:
        return _area(logits, weights, label)
    areas = np.stack([_area(logits, weights, k) for k in range(len(logits.classes))])
    defined = ~np.isnan(areas)
    mean = np.where(defined, areas, 0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
    known = weights @ labelled(logits) > 0
    both = ((logits.labels > 0).any(axis=0) & (logits.labels == 0).any(axis=0)).any()
    return np.where(known, np.where(defined.any(axis=0), mean, np.nan if both else 0.5), np.nan)


def one_label(logits: Logits) -> list[str]:
    """Classes whose known labels are all present or all absent: those that `auc` skips, and without a ROC curve. A
    class of which no label is known is none of them."""
    present, absent = (logits.labels > 0).any(axis=0), (logits.labels == 0).any(axis=0)
    return [logits.classes[k] for k in np.flatnonzero(present != absent)]


def _area(logits: Logits, weights: Floats, k: int) -> Floats:
    known = np.flatnonzero(logits.labels[:, k] >= 0)
    if not len(known):
        return np.full(len(weights), np.nan)
    order = known[np.argsort(logits.scores[known, k], kind="stable")]
    _, first = np.unique(logits.scores[order, k], return_index=True)
    ordered, present = weights[:, order], logits.labels[order, k] > 0
    positive, negative = (np.add.reduceat(ordered * side, first, axis=1) for side in (present, ~present))
    # a tie counts half
    below = np.cumsum(negative, axis=1) - negative / 2
    return _share((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))


def _share(part: Floats, whole: Floats) -> Floats:
    out = np.full(len(part), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
