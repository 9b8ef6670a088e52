from __future__ import annotations

from typing import Any

import pytest
from chexseg_images import config

from methods.chexseg import CheXseg, CheXsegConfig
from raysearch.space import load_space


@pytest.mark.parametrize(
    "wrong",
    [
        {"p": 1.1},
        {"supervision": "none"},
        {"labels": "cam"},
        {"seed_background": 0.4},
        {"seed_cleaning": "dense"},
        {"irnet_width": 12},
        {"walk_background": 1.0},
        {"threshold_rule": "best"},
        {"cam_threshold": -0.1},
        {"cam_threshold": 1.1},
        {"classifier_batch": 1},
        {"classifier_stride": 4},
        {"dilation": 0},
        {"irnet_radius": 1},
        {"irnet_decay": -0.1},
        {"encoder_classifier_weights": ""},
    ],
)
def test_values_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is .*: expected"):
        config(**wrong)


@pytest.mark.parametrize("name", ["resnet51", "torchvision/densenet120", "", "resnets/resnet18"])
def test_an_unknown_classifier_is_refused_by_its_own_name(name: str) -> None:
    """Not as another network than that of IRNet, which has the classifier's weights."""
    with pytest.raises(
        ValueError, match=f"classifier_backbone is '{name}': expected the name of a network of timm or "
    ):
        config(classifier_backbone=name)


@pytest.mark.parametrize("name", ["timm/resnet18.a1_in1k", "torchvision/densenet121", "densenet_slim", "resnet10_slim"])
def test_known_classifiers(name: str) -> None:
    assert config(classifier_backbone=name, irnet_weights="random").classifier_backbone == name


def test_thresholds_of_maps_over_their_maximum_are_at_most_1() -> None:
    assert config(cam_threshold=7.0, cam_scale="raw").cam_threshold == 7
    with pytest.raises(ValueError, match=r"cam_threshold is 7.0: expected at most 1, since .* with cam_scale=max"):
        config(cam_threshold={"a": 1.0, "b": 7.0})


def test_irnet_has_the_classifiers_weights_only_as_the_same_network() -> None:
    with pytest.raises(ValueError, match="irnet_backbone is 'resnet18': expected the classifier's, resnet10_slim"):
        config(irnet_backbone="resnet18")


def test_thresholds_of_maps_are_searched_where_they_are_not_tuned() -> None:
    space = load_space(CheXseg, "paper")
    assert "cam_threshold" not in space.searched
    assert "cam_threshold" in space.override(fixes=("threshold_rule=fixed",)).searched


def test_defaults_are_the_papers() -> None:
    paper = {"classifier_lr": 1e-4, "classifier_batch": 16, "classifier_epochs": 3, "p": 0.9, "batch": 8, "lr": 1e-3}
    paper |= {"seed_foreground": 0.3, "seed_background": 0.05, "irnet_lr": 0.1, "irnet_batch": 16, "irnet_radius": 10}
    paper |= {"width": 256, "detail": 48, "dilation": 12, "output_stride": 16, "dropout": 0.5, "weak_maps": 100}
    found = CheXsegConfig()
    assert {name: getattr(found, name) for name in paper} == paper
