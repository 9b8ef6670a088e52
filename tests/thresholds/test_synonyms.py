"""Names that metrics have elsewhere are answered with the right one here, and what differs."""

from __future__ import annotations

import re

import pytest

from raysearch.errors import UserError
from raysearch.thresholds import METRICS, find_metric
from raysearch.thresholds._synonyms import SYNONYMS, what_it_is


def said(name: str) -> str:
    with pytest.raises(UserError) as refused:
        find_metric(name)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"--metric {name}: ")
    return line


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("dice", "the Dice of masks is f1_plus"),
        ("Dice", "the Dice of masks is f1_plus"),
        ("DSC", "f1_plus"),
        ("dice-score", "f1_plus"),
        ("dicee", "f1_plus"),
        ("dice:classes", "f1_plus"),
        ("f1", "f1_plus of pixels (the same as Dice), or f1_score of image labels"),
        ("F1+", "f1_plus"),
        ("F1-", "f1_minus"),
        ("jaccard", "it is iou ("),
        ("jaccard@0.5", "it is iou ("),
        ("miou", "iou_pooled:classes"),
        ("mIoU", "iou_per_image:classes"),
        ("mean iou", "iou_pooled:classes"),
        ("auroc", "it is auc ("),
        ("roc_auc", "it is auc ("),
        ("map", "pxap is the average precision of pixels"),
        ("mAP", "is none of them"),
        ("ap", "is none of them"),
        ("auprc", "is none of them"),
        ("hd95", "the 95th percentile is none of them"),
        ("sensitivity", "recall"),
        ("pixel_accuracy", "an empty mask"),
        ("corloc", "box_accuracy"),
        ("IoU", "did you mean 'iou'?"),
        ("AUC", "did you mean 'auc'?"),
        ("f1-plus", "did you mean 'f1_plus'?"),
        ("f1_pls", "did you mean 'f1_plus'?"),
        ("zzz", "known: "),
    ],
)
def test_the_right_name(name: str, right: str) -> None:
    assert right in said(name)
    if name.lower().startswith("dice"):
        assert "did you mean 'cdice'" not in said(name)


@pytest.mark.parametrize("name", SYNONYMS)
def test_each_names_a_metric_and_is_none(name: str) -> None:
    assert name not in METRICS
    assert name == name.lower()
    known = {key.partition(":")[0] for key in METRICS}
    assert known & set(re.findall(r"[a-z0-9_]+", SYNONYMS[name]))
    for word in re.findall(r"[a-z0-9]+_[a-z0-9_]+(?::classes)?", SYNONYMS[name]):
        assert word in METRICS, word
    assert what_it_is(name.upper(), list(METRICS)) == SYNONYMS[name]
