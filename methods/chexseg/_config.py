"""Settings of CheXseg; defaults are the paper's where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from methods._config import NetworkConfig, expect, expect_in, expect_range
from methods.layers.backbone import backbone_names
from methods.layers.features import network_names
from raysearch.method import NameOrPath, PerClass


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(NetworkConfig):
    """The classifier that the saliency maps are of (section 3.3.1)."""

    classifier_backbone: str = "densenet121"
    """The classifier's network, by name as `backbone`."""
    classifier_weights: NameOrPath = "imagenet"
    """What it starts from: ``random``, ``imagenet``, or the path of a .pth or .safetensors file."""
    encoder_classifier_weights: NameOrPath = "imagenet"
    """As `classifier_weights`, of the second classifier, whose network is the encoder; without effect where both are
    one network."""
    classifier_stride: int = 32
    """Pixels of the image a cell of its last feature map, and so of the saliency maps: 8, 16 or 32."""
    classifier_lr: float = 1e-4
    """Learning rate of Adam, fixed."""
    classifier_batch: int = 16
    """Images a step, over all workers."""
    classifier_epochs: int = 3
    """Epochs; the last one's weights are taken."""
    weak_maps: int = 100
    """Images that get pseudo-labels, of those with a positive label and without a known region; 0 is all of them, and
    so is a number that they do not exceed."""
    subset: int = 0
    """Which random subset of `weak_maps` images: 0, 1, 2, ...; without effect where all of them are taken."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = {*backbone_names(), *network_names()}
        name = self.classifier_backbone.removeprefix("timm/").partition(".")[0]
        if name not in known:
            close = (*get_close_matches(name, known, n=1), "densenet121")[0]
            expected = f"the name of a network of timm or torchvision, as {close}"
            expect(False, "classifier_backbone", self.classifier_backbone, expected)
        for name in ("classifier_weights", "encoder_classifier_weights"):
            expect(bool(getattr(self, name)), name, getattr(self, name), "random, imagenet or a file")
        expect_in("classifier_stride", self.classifier_stride, (8, 16, 32))
        expect_range("classifier_lr", self.classifier_lr, 0, open_low=True)
        expect_range("classifier_batch", self.classifier_batch, 2)
        expect_range("classifier_epochs", self.classifier_epochs, 1)
        expect_range("weak_maps", self.weak_maps, 0)
        expect_range("subset", self.subset, 0)


@dataclass(frozen=True, kw_only=True)
class PseudoLabelConfig(ClassifierConfig):
    """From saliency maps to pseudo-labels (appendix A, B)."""

    cam_scale: Literal["max", "raw"] = "max"
    """Saliency maps in units of their own maximum, or as they are; Otsu's rule takes them in units of their maximum."""
    threshold_rule: Literal["tuned", "fixed", "otsu"] = "tuned"
    """Saliency maps to masks: ``tuned``, a threshold a class, at which the class IoU on the training images with known
    regions is highest (`cam_threshold` if there are none); ``fixed``, those of `cam_threshold`; ``otsu``, one a map,
    holes filled, as in the released code."""
    cam_threshold: PerClass = 0.5
    """Thresholds of ``threshold_rule: fixed``, in the units of `cam_scale`, so at most 1 with ``max``; the mask is
    where the map reaches it. It, `cam_scale`, `threshold_rule` and `force_negative` are of ``labels: grad_cam``
    alone."""
    force_negative: PerClass = 0.0
    """A map whose maximum, as it is, falls below this makes an empty mask; 0 for none."""
    irnet_backbone: str = "resnet50"
    """The frozen network that IRNet's branches are on, a ResNet of timm."""
    irnet_weights: NameOrPath = "imagenet"
    """Its weights: ``classifier`` (those of the classifier, which must be the same network), or as `weights`."""
    irnet_width: int = 32
    """Channels of a branch for boundaries; those for displacements have 2 to 8 times as many."""
    irnet_lr: float = 0.1
    """Learning rate of SGD in the first epoch."""
    irnet_decay: float = 0.9
    """It falls as ``(1 - epoch / epochs)`` to this power; 0 for none, as in the released code."""
    irnet_displacement_rate: float = 1.0
    """Learning rate of the displacement branch over that of the other; 10 in the released code. No effect on
    pseudo-labels."""
    irnet_momentum: float = 0.0
    """Momentum of SGD; the released code has its weight decay in this place."""
    irnet_weight_decay: float = 1e-4
    """L2 penalty."""
    irnet_batch: int = 16
    """Images a step, over all workers."""
    irnet_epochs: int = 3
    """Epochs."""
    irnet_radius: int = 10
    """Pairs of cells are those less than this many cells apart; a cell is 4 pixels."""
    seed_foreground: float = 0.30
    """Cells with more than this share of their map's maximum are foreground."""
    seed_background: float = 0.05
    """Cells with less than this share are background; those between do not count."""
    seed_cleaning: Literal["none", "crf"] = "none"
    """``crf`` draws the seeds to the edges of the image by a dense CRF, as the released code does; the paper names
    none."""
    displacement_sign: Literal["released", "paper"] = "released"
    """Displacement of a pair (eq. 3): D(x_i) - D(x_j), which fields that point at a centre make right, or
    D(x_j) - D(x_i), which fields that point away make right. No effect on pseudo-labels."""
    reduction: Literal["mean", "sum"] = "mean"
    """Over the two coordinates of a displacement: the released code's mean, or the sum of the text. No effect on
    pseudo-labels."""
    irnet_total: Literal["paper", "released"] = "paper"
    """Sum of the losses (eq. 7), or half of it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_in("cam_scale", self.cam_scale, ("max", "raw"))
        expect_in("threshold_rule", self.threshold_rule, ("tuned", "fixed", "otsu"))
        for name in ("cam_threshold", "force_negative"):
            for number in _numbers(getattr(self, name)):
                expect_range(name, number, 0)
        for number in _numbers(self.cam_threshold):
            reached = number <= 1 or self.cam_scale == "raw"
            expect(reached, "cam_threshold", number, "at most 1, since no map is above that with cam_scale=max")
        expect(bool(self.irnet_backbone), "irnet_backbone", self.irnet_backbone, "the name of a ResNet")
        same = self.irnet_weights != "classifier" or self.irnet_backbone == self.classifier_backbone
        expect(
            same,
            "irnet_backbone",
            self.irnet_backbone,
            f"the classifier's, {self.classifier_backbone}, whose weights it is to have",
        )
        expect_range("irnet_width", self.irnet_width, 8)
        expect(self.irnet_width % 8 == 0, "irnet_width", self.irnet_width, "a multiple of 8")
        expect_range("irnet_lr", self.irnet_lr, 0, open_low=True)
        expect_range("irnet_decay", self.irnet_decay, 0)
        expect_range("irnet_displacement_rate", self.irnet_displacement_rate, 0, open_low=True)
        expect(0 <= self.irnet_momentum < 1, "irnet_momentum", self.irnet_momentum, "a number in [0, 1)")
        expect_range("irnet_weight_decay", self.irnet_weight_decay, 0)
        expect_range("irnet_batch", self.irnet_batch, 1)
        expect_range("irnet_epochs", self.irnet_epochs, 1)
        expect_range("irnet_radius", self.irnet_radius, 2)
        expect_range("seed_foreground", self.seed_foreground, 0, 1)
        ordered = 0 <= self.seed_background <= self.seed_foreground
        expect(
            ordered,
            "seed_background",
            self.seed_background,
            f"a number in [0, {self.seed_foreground:g}], up to seed_foreground",
        )
        expect_in("seed_cleaning", self.seed_cleaning, ("none", "crf"))
        expect_in("displacement_sign", self.displacement_sign, ("released", "paper"))
        expect_in("reduction", self.reduction, ("mean", "sum"))
        expect_in("irnet_total", self.irnet_total, ("paper", "released"))


@dataclass(frozen=True, kw_only=True)
class CheXsegConfig(PseudoLabelConfig):
    """Which masks the segmentation network learns from, and how (sections 3.2, 3.3.2 and 4)."""

    supervision: Literal["weak", "full", "semi"] = "semi"
    """Masks that it learns from: pseudo-labels alone, expert masks alone, or both."""
    labels: Literal["grad_cam", "irnet"] = "grad_cam"
    """Where pseudo-labels come from: thresholded saliency maps, or IRNet's walk from them."""
    p: float = 0.9
    """Probability that a place in a batch goes to an image with an expert mask; only where both are learned from."""
    sampling: Literal["bernoulli", "released"] = "bernoulli"
    """How that is drawn: exactly, or as in the released code, which rounds p to tenths and makes 0.5 of 0.6."""
    walk_beta: float = 5.0
    """Power of the affinities in IRNet's walk."""
    walk_times: int = 3
    """Times that the transition matrix is squared: the walk has ``2 ** walk_times`` steps."""
    walk_background: float = 0.6
    """Cells that end with more than this share of their map's maximum are in the mask."""
    walk_radius: int = 3
    """A step goes less than this many cells far."""
    backbone: str = "resnet18"
    """The encoder: a ResNet of timm by name, or ``resnet10_slim``, a small one for laptops."""
    weights: NameOrPath = "classifier"
    """What the encoder starts from: ``classifier`` (a classifier of this network, trained on the same image labels),
    ``imagenet``, ``random``, or the path of a .pth or .safetensors file, as of MoCo-CXR."""
    output_stride: int = 16
    """Pixels of the image a cell of the encoder's last features: 8, 16 or 32."""
    width: int = 256
    """Channels of the pyramid and the decoder of DeepLabV3+."""
    detail: int = 48
    """Channels that its features at stride 4 are brought to."""
    dilation: int = 12
    """The pyramid's dilations are once, twice and three times this."""
    dropout: float = 0.5
    """Dropout behind the pyramid."""
    lr: float = 1e-3
    """Learning rate of Adam, fixed: 1e-3 for a small set, 1e-4 for a large one."""
    batch: int = 8
    """Images a step, over all workers."""
    # the paper names no augmentation
    horizontal_flip: bool = False
    rotation: float = 0.0
    crop: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_in("supervision", self.supervision, ("weak", "full", "semi"))
        expect_in("labels", self.labels, ("grad_cam", "irnet"))
        expect_range("p", self.p, 0, 1)
        expect_in("sampling", self.sampling, ("bernoulli", "released"))
        expect_range("walk_beta", self.walk_beta, 0, open_low=True)
        expect_range("walk_times", self.walk_times, 0, 12)
        expect(0 <= self.walk_background < 1, "walk_background", self.walk_background, "a number in [0, 1)")
        expect_range("walk_radius", self.walk_radius, 2)
        expect_range("width", self.width, 1)
        expect_range("detail", self.detail, 1)
        expect_range("dilation", self.dilation, 1)
        expect(0 <= self.dropout < 1, "dropout", self.dropout, "a number in [0, 1)")
        expect_range("lr", self.lr, 0, open_low=True)

    @property
    def learns_from_pseudo_labels(self) -> bool:
        return self.supervision != "full"

    @property
    def expert_share(self) -> float:
        """Probability that a place in a batch goes to an image with an expert mask, whatever the supervision."""
        return {"weak": 0.0, "full": 1.0, "semi": self.p}[self.supervision]


def _numbers(value: PerClass) -> list[float]:
    return list(value.values()) if isinstance(value, Mapping) else [value]
