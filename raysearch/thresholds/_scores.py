"""Metrics of class scores. Labels are (N,) class indices, or (N, K) in {1 present, 0 absent, -1 unknown}."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def classification_error(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of wrong answers, in [0, 1].

    Single-label view: of images whose highest score (the first one on ties) is not their class. Multi-label view: of
    known labels on whose side of 0.5 the score is not.

    Args:
        scores: (N, K) in [0, 1].
        labels: (N,) or (N, K).

    Raises:
        ValueError: shapes do not fit, or no label is known.
    """
    _check(scores, labels)
    if labels.ndim == 1:
        return float(np.mean(scores.argmax(axis=1) != labels))
    known = labels >= 0
    return float(np.mean(((scores >= 0.5) != (labels > 0))[known]))


def auc_by_class(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Area under the ROC curve of each class against the rest, (K,) in [0, 1]; NaN for a class with one label only.

    Args and errors as `classification_error`.
    """
    # a second of import that no command needs before it has scores
    from sklearn.metrics import roc_auc_score

    _check(scores, labels)
    classes = scores.shape[1]
    truth = (labels[:, None] == np.arange(classes)).astype(np.int8) if labels.ndim == 1 else labels
    areas = np.full(classes, np.nan)
    for k in range(classes):
        known = truth[:, k] >= 0
        if len(np.unique(truth[known, k])) == 2:
            areas[k] = roc_auc_score(truth[known, k] > 0, scores[known, k])
    return areas


def auc(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Mean of `auc_by_class` over the classes that have both labels; 0.5, chance, if none has."""
    areas = auc_by_class(scores, labels)
    return 0.5 if np.isnan(areas).all() else float(np.nanmean(areas))


def _check(scores: NDArray[Any], labels: NDArray[Any]) -> None:
    if scores.ndim != 2 or labels.shape not in (scores.shape[:1], scores.shape):
        raise ValueError(
            f"expected scores (N, K) and labels (N,) or (N, K), got scores {scores.shape} and labels {labels.shape}"
        )
    if not (labels >= 0).any():
        raise ValueError("no label is known: class scores cannot be judged")
