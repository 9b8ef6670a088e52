"""The shipped contract, over the conditions of CheXseg."""

from __future__ import annotations

from typing import ClassVar

from methods.chexseg import CheXseg
from raysearch.testing import MethodContract

SMALL = {
    "backbone": "resnet10_slim",
    "classifier_backbone": "resnet10_slim",
    "classifier_weights": "random",
    "encoder_classifier_weights": "random",
    "classifier_stride": 8,
    "classifier_lr": 3e-3,
    "classifier_batch": 6,
    "irnet_backbone": "resnet10_slim",
    "irnet_weights": "classifier",
    "irnet_width": 8,
    "irnet_batch": 4,
    "irnet_radius": 4,
    "output_stride": 8,
    "width": 16,
    "detail": 8,
    "dilation": 1,
    "batch": 6,
    "lr": 0.01,
}


class TestSemi(MethodContract):
    method = CheXseg
    config: ClassVar = SMALL


class TestSemiWithIrNet(MethodContract):
    method = CheXseg
    config: ClassVar = {**SMALL, "labels": "irnet", "sampling": "released", "p": 0.5}


class TestWeak(MethodContract):
    method = CheXseg
    config: ClassVar = {
        **SMALL,
        "supervision": "weak",
        "threshold_rule": "otsu",
        "classifier_backbone": "densenet_slim",
        "classifier_stride": 32,
        "irnet_weights": "random",
    }


class TestWeakWithIrNet(MethodContract):
    method = CheXseg
    config: ClassVar = {
        **SMALL,
        "supervision": "weak",
        "labels": "irnet",
        "reduction": "sum",
        "seed_cleaning": "crf",
        "irnet_total": "released",
    }


class TestFull(MethodContract):
    method = CheXseg
    config: ClassVar = {**SMALL, "supervision": "full", "weights": "random", "output_stride": 16}
