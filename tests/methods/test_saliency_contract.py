"""The shipped contract over the settings of `saliency_proposals`."""

from __future__ import annotations

from typing import ClassVar

from methods.saliency_proposals import SaliencyProposals
from raysearch.testing import MethodContract

SMALL = {
    "backbone": "densenet_slim",
    "weights": "random",
    "pyramid_channels": 16,
    "head_channels": 8,
    "anchor_size": 0.25,
    "anchor_levels": 2,
    "roi_size": 3,
    "proposal_channels": 8,
    "crop_backbone": "resnet10_slim",
    "crop_weights": "random",
    "crop_size": 16,
    "crop_dropout": 0.0,
    "batch": 4,
    "lr": 0.02,
    "detection_lr": 0.005,
    "joint_lr": 0.005,
}


class TestSaliencyProposals(MethodContract):
    method = SaliencyProposals
    config: ClassVar = SMALL
    # two pixels that change places change their percentiles by one in a thousand
    tolerance = 0.01


class TestSaliencyProposalsSal(MethodContract):
    method = SaliencyProposals
    config: ClassVar = {**SMALL, "map": "sal", "scale": "absolute", "lse_learned": False, "lse_r0": 2.0}


class TestSaliencyProposalsReleased(MethodContract):
    """As the authors' code reads the paper, where it differs."""

    method = SaliencyProposals
    config: ClassVar = {
        **SMALL,
        "balance": "occurrences",
        "loss_scale": 10.0,
        "beta2": 0.99,
        "eps": 0.01,
        "freeze_norms": False,
        "joint_loss": True,
        "add_image_logit": True,
        "crop_kernel": "gaussian",
        "temperature_schedule": "constant",
        "map": "det",
        "scale": "absolute",
        "rpn_map": "sum",
        "confidence": "linear",
        "component": "union",
    }


class TestSaliencyProposalsMixAbsolute(MethodContract):
    method = SaliencyProposals
    config: ClassVar = {
        **SMALL,
        "leaky_slope": 0.0,
        "detection_share": 0.5,
        "joint_share": 0.0,
        "temperature_schedule": "cosine",
        "temperature_stages": "detection",
        "gumbel_noise": 0.0,
        "crop_dropout": 0.2,
        "decoupled": True,
        "scale": "absolute",
        "rpn_map": "norm",
        "confidence": "softmax",
        "component": "most_active",
    }
