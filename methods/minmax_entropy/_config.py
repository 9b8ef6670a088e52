"""Settings of min-max entropy; defaults are the paper's (App. B.2, GlaS where data sets differ)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from methods._config import CrfConfig, WildcatConfig, expect_in, expect_range

Erasing = Literal["default", "literal", "released"]
MapNormalization = Literal["sample", "batch", "none"]


@dataclass(frozen=True, kw_only=True)
class MinMaxEntropyConfig(WildcatConfig, CrfConfig):
    """Section 3 and appendices A and B.2 of arXiv:1907.12934."""

    backbone: str = "resnet101s"
    """As in the authors' code, a ResNet-101 with a stem of three convolutions (64, 64, 128); `resnet10_slim` is a small
    one for laptops."""
    batch: int = 8
    """Images a step, over all workers."""
    lr: float = 1e-3
    """Learning rate of the first epoch."""
    weight_decay: float = 1e-5
    """L2 penalty on weights; biases and batch-norm parameters have none."""
    lr_step: int = 40
    """The learning rate is multiplied by `lr_decay` each time this many epochs are done."""
    vertical_flip: bool = True
    """Mirror training images top to bottom at random."""
    crop: int = 480
    """Side of a random square training crop in pixels; 0, or a side that the image does not exceed, keeps it whole."""
    omega: float = 8.0
    """Steepness of the mask's sigmoid (eq. 9)."""
    sigma_prime: float = 0.5
    """Level of the map at which the mask is 0.5 (eq. 9)."""
    u: int = 4
    """Largest depth of the recursive erasing (Alg. 1); 0 looks once."""
    sigma: float = 10.0
    """Decay of the trust with the depth, exp(-t / sigma) (eq. 11)."""
    erasing: Erasing = "default"
    """``default``, ``literal`` (Algorithm 1 to the letter) or ``released`` (as the authors' code)."""
    erasing_start: int = 1
    """First epoch, counted from 0, that erases; the ones before look once. Ignored by ``literal``."""
    classifier_scale: float = 0.5
    """Factor by which the masked images are shrunk for the classifier."""
    map_normalization: MapNormalization = "sample"
    """Min-max scaling of the localization map to [0, 1] before eq. 9: per image, over the batch (per image in
    evaluation, where an image must not depend on others), or none."""
    batch_norm: Literal["split", "shared"] = "split"
    """Running statistics: one set for whole images and one for masked ones, or one for all that passes the backbone, as
    in the authors' code, where the heads are evaluated with statistics that they were not trained with."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("omega", self.omega, 0, open_low=True)
        expect_range("sigma_prime", self.sigma_prime, 0, 1)
        expect_range("u", self.u, 0)
        expect_range("sigma", self.sigma, 0, open_low=True)
        expect_in("erasing", self.erasing, ("default", "literal", "released"))
        expect_range("erasing_start", self.erasing_start, 0)
        expect_range("classifier_scale", self.classifier_scale, 0, 1, open_low=True)
        expect_in("map_normalization", self.map_normalization, ("sample", "batch", "none"))
        expect_in("batch_norm", self.batch_norm, ("split", "shared"))
