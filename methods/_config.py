"""Settings that every trained method shares: the optimiser, its schedule, and what is done to training images."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from methods.layers.crf import CrfSettings
from raysearch.method import NameOrPath


def expect(condition: bool, name: str, found: Any, expected: str) -> None:
    """Raises ``ValueError("<name> is <found>: expected <expected>")`` unless `condition` holds."""
    if not condition:
        raise ValueError(f"{name} is {found!r}: expected {expected}")


def expect_in(name: str, found: Any, choices: Collection[Any]) -> None:
    expect(found in choices, name, found, "one of " + ", ".join(map(str, choices)))


def expect_range(name: str, found: float, low: float, high: float = math.inf, *, open_low: bool = False) -> None:
    """`found` within [low, high], or (low, high] if `open_low`; NaN never is."""
    inside = (low < found if open_low else low <= found) and found <= high
    left = f"({low:g}" if open_low else f"[{low:g}"
    expect(inside, name, found, f"a number in {left}, {'inf)' if math.isinf(high) else f'{high:g}]'}")


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """What is done to images before the network sees them; defaults are those of GlaS for the baselines in App. B.2 of
    *Min-max entropy for weakly supervised pointwise localization* (arXiv:1907.12934)."""

    normalize: Literal["half", "imagenet"] = "half"
    """Input scaling: mean 0.5 and deviation 0.5, or ImageNet's means and deviations."""
    batch: int = 32
    """Images a step, over all workers."""
    horizontal_flip: bool = True
    """Mirror training images left to right at random."""
    vertical_flip: bool = False
    """Mirror training images top to bottom at random."""
    rotation: float = 90.0
    """Largest random rotation in degrees, to either side; quarter turns if 90 or more."""
    crop: int = 416
    """Side of a random square training crop in pixels; 0, or a side that the image does not exceed, keeps it whole."""
    brightness: float = 0.5
    """Colour jitter: largest relative change of brightness."""
    contrast: float = 0.5
    """Colour jitter: largest relative change of contrast."""
    saturation: float = 0.5
    """Colour jitter: largest relative change of saturation; colour images only."""
    hue: float = 0.05
    """Colour jitter: largest shift of hue as a fraction of the circle, at most 0.5; colour images only."""

    def __post_init__(self) -> None:
        expect_in("normalize", self.normalize, ("half", "imagenet"))
        expect_range("batch", self.batch, 2)
        expect_range("rotation", self.rotation, 0, 180)
        expect_range("crop", self.crop, 0)
        for name in ("brightness", "contrast", "saturation"):
            expect_range(name, getattr(self, name), 0, 1)
        expect_range("hue", self.hue, 0, 0.5)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(ImageConfig):
    """SGD with Nesterov momentum and a step schedule; defaults as those of `ImageConfig`."""

    lr: float = 0.01
    """Learning rate of the first epoch."""
    momentum: float = 0.9
    """Nesterov momentum, above 0 and below 1."""
    weight_decay: float = 1e-4
    """L2 penalty on weights; biases and batch-norm parameters have none."""
    lr_step: int = 80
    """The learning rate is multiplied by `lr_decay` each time this many epochs are done."""
    lr_decay: float = 0.1
    """Factor of the learning rate at a step, in (0, 1]."""
    lr_floor: float = 1e-7
    """The learning rate never falls below this."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("lr", self.lr, 0, open_low=True)
        expect(0 < self.momentum < 1, "momentum", self.momentum, "a number above 0 and below 1")
        expect_range("weight_decay", self.weight_decay, 0)
        expect_range("lr_step", self.lr_step, 1)
        expect_range("lr_decay", self.lr_decay, 0, 1, open_low=True)
        expect_range("lr_floor", self.lr_floor, 0)
        expect(self.lr_floor <= self.lr, "lr_floor", self.lr_floor, f"at most lr, which is {self.lr:g}")


@dataclass(frozen=True, kw_only=True)
class AdamConfig(ImageConfig):
    """Adam with a learning rate that decays exponentially; defaults are those of *Localization with limited
    annotation* (section 4, Training Details) where it has them."""

    lr: float = 1e-3
    """Learning rate of the first epoch of a stage."""
    lr_decay: float = 0.95
    """Factor of the learning rate from one epoch to the next, in (0, 1]; not published."""
    weight_decay: float = 0.01
    """Decay of weights; biases and batch-norm parameters have none."""
    decoupled: bool = False
    """Weight decay apart from the gradient, as in AdamW, instead of as an L2 penalty."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("lr", self.lr, 0, open_low=True)
        expect_range("lr_decay", self.lr_decay, 0, 1, open_low=True)
        expect_range("weight_decay", self.weight_decay, 0)


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(ImageConfig):
    """The residual network that a method is built on."""

    backbone: str = "resnet18"
    """Any ResNet of timm (``resnet18``, ``timm/resnet50``) or torchvision (``torchvision/resnet50``), or
    ``resnet10_slim`` or ``resnetv2_10_slim``, small ones for laptops."""
    weights: NameOrPath = "imagenet"
    """``random``, ``imagenet`` (downloaded by timm or torchvision), or the path of a .pth or .safetensors file."""
    output_stride: int = 32
    """Pixels of the image a cell of the feature map: 8, 16 or 32."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect(bool(self.backbone), "backbone", self.backbone, "the name of a ResNet")
        expect(bool(self.weights), "weights", self.weights, "random, imagenet, or a file")
        expect_in("output_stride", self.output_stride, (8, 16, 32))


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(NetworkConfig, TrainingConfig):
    """Settings of a method on top of a residual network, trained by SGD."""


@dataclass(frozen=True, kw_only=True)
class CrfConfig(ImageConfig):
    """A dense CRF after the network (arXiv:1907.12934, App. B.3.3, values for GlaS); training does not depend on it."""

    postprocess: Literal["none", "crf"] = "none"
    """``crf`` refines the mask with a dense CRF (App. B.3.3); only the map that `predict` returns is altered."""
    crf_iterations: int = 2
    """Mean-field steps."""
    crf_theta_alpha: float = 13.0
    """Bilateral kernel: deviation of positions in pixels."""
    crf_theta_beta: float = 3.0
    """Bilateral kernel: deviation of intensities, on the scale 0 to 255."""
    crf_theta_gamma: float = 3.0
    """Smoothness kernel: deviation of positions in pixels."""
    crf_weight_bilateral: float = 1.0
    """Weight of the bilateral kernel, w(1)."""
    crf_weight_gaussian: float = 1.0
    """Weight of the smoothness kernel, w(2)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_in("postprocess", self.postprocess, ("none", "crf"))
        expect_range("crf_iterations", self.crf_iterations, 1)
        for name in ("crf_theta_alpha", "crf_theta_beta", "crf_theta_gamma"):
            expect_range(name, getattr(self, name), 0, open_low=True)
        for name in ("crf_weight_bilateral", "crf_weight_gaussian"):
            expect_range(name, getattr(self, name), 0)

    def crf_settings(self) -> CrfSettings:
        """The settings of the CRF itself."""
        return CrfSettings(
            iterations=self.crf_iterations,
            theta_alpha=self.crf_theta_alpha,
            theta_beta=self.crf_theta_beta,
            theta_gamma=self.crf_theta_gamma,
            weight_bilateral=self.crf_weight_bilateral,
            weight_gaussian=self.crf_weight_gaussian,
        )


@dataclass(frozen=True, kw_only=True)
class MapClassifierConfig(BackboneConfig, CrfConfig):
    """Settings of a classifier with a map a class."""


@dataclass(frozen=True, kw_only=True)
class WildcatConfig(BackboneConfig):
    """Settings of WILDCAT pooling (Durand et al., CVPR 2017)."""

    modalities: int = 5
    """Feature maps a class, averaged into its class map."""
    kmax: float = 0.09
    """Highest cells of a class map that make its score: a count if 1 or more and whole (``1``), a fraction if below 1;
    ``1.0`` is all."""
    kmin: float = 0.09
    """Lowest cells that enter the score, as `kmax`; without effect if `alpha` is 0."""
    alpha: float = 0.0
    """Weight of the lowest cells in the score; 0 leaves them out."""
    dropout: float = 0.75
    """Dropout on the chosen cells before they are averaged, while training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("modalities", self.modalities, 1)
        expect_range("kmax", self.kmax, 0, open_low=True)
        expect_range("kmin", self.kmin, 0)
        expect_range("alpha", self.alpha, 0, 1)
        expect(0 <= self.dropout < 1, "dropout", self.dropout, "a number in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class PatchConfig(NetworkConfig, AdamConfig):
    """Settings of a method that scores a grid of patches and learns from few regions and many image labels; defaults
    are those of *Localization with limited annotation* (sections 3.1 and 4)."""

    backbone: str = "resnetv2_50"
    """A ResNet of timm or torchvision by name, pre-activated as ``resnetv2_50`` in the paper, or ``resnetv2_10_slim``,
    a small one for laptops."""
    batch: int = 48
    """Images a step, over all workers."""
    patches: int = 20
    """Patches along a side of the image, P."""
    hidden: int = 512
    """Channels between the two convolutions of the head; not published."""
    lambda_ann: float = 70.0
    """Weight of annotated pairs (image, class) against the others (eq. 3, 12)."""
    cell_rule: Literal["any", "centre", "half"] = "any"
    """Patches that a region covers: those of which it has some area, the centre, or half the area. The last two may
    leave a small region without a patch."""
    geometry: Literal["exact", "grid"] = "exact"
    """What masks of patches are compared with when they are scored: the region itself, or the patches that it covers
    (``grid``, where a perfect answer is possible). The paper leaves it open."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("patches", self.patches, 2, 64)
        expect_range("hidden", self.hidden, 1)
        expect_range("lambda_ann", self.lambda_ann, 0, open_low=True)
        expect_in("cell_rule", self.cell_rule, ("any", "centre", "half"))
        expect_in("geometry", self.geometry, ("exact", "grid"))
