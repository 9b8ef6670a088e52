"""Settings of saliency and region proposals; defaults are the paper's (section 4.2) where it has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from methods._config import AdamConfig, expect, expect_in, expect_range
from methods.saliency_proposals.inference import Confidence, Reading
from methods.saliency_proposals.losses import Counted
from methods.saliency_proposals.schedule import Schedule
from raysearch.method import NameOrPath
from raysearch.thresholds import BoxRule


@dataclass(frozen=True, kw_only=True)
class ClassificationConfig(AdamConfig):
    """The classification module, its loss, and what is done to images."""

    normalize: Literal["half", "imagenet"] = "imagenet"
    """Input scaling: mean 0.5 and deviation 0.5, or ImageNet's means and deviations."""
    batch: int = 8
    """Images a step, over all workers."""
    rotation: float = 10.0
    """Largest random rotation in degrees, to either side; quarter turns if 90 or more."""
    zoom: float = 0.1
    """Largest random magnification, as a share of the side that is cut off."""
    shift: float = 50 / 512
    """Largest random displacement along each axis, to either side, as a share of the side; 50 of 512 pixels."""
    crop: int = 0
    """Side of a random square training crop in pixels; 0, or a side that the image does not exceed, keeps it whole."""
    brightness: float = 0.0
    """Colour jitter: largest relative change of brightness."""
    contrast: float = 0.0
    """Colour jitter: largest relative change of contrast."""
    saturation: float = 0.0
    """Colour jitter: largest relative change of saturation; colour images only."""
    hue: float = 0.0
    """Colour jitter: largest shift of hue as a fraction of the circle, at most 0.5; colour images only."""
    lr: float = 1e-3
    """Learning rate of the first epoch of the classification stage."""
    lr_decay: float = 1.0
    """Factor of the learning rates from one epoch of a stage to the next, in (0, 1]."""
    weight_decay: float = 1e-3
    """Decay of weights; biases and batch-norm parameters have none."""
    beta1: float = 0.9
    """Adam's decay of the mean of gradients."""
    beta2: float = 0.999
    """Adam's decay of the mean of their squares; 0.99 in the released code."""
    eps: float = 1e-8
    """Adam's addition to the denominator; 0.1 in the released code."""
    backbone: str = "torchvision/densenet121"
    """A network with features of strides 4 to 32, of torchvision (``torchvision/densenet121``) or timm (``resnet50``,
    ``timm/resnet50``), or ``densenet_slim``, a small one for laptops."""
    weights: NameOrPath = "imagenet"
    """``random``, ``imagenet`` (downloaded by timm or torchvision), or the path of a .pth or .safetensors file."""
    leaky_slope: float = 0.1
    """Slope below zero of the LeakyReLUs that stand for the ReLUs of both networks, which must have some (``nn.ReLU``);
    0 leaves all activations as they are."""
    pyramid_channels: int = 256
    """Channels of the feature pyramid, Q."""
    head_channels: int = 128
    """Channels of a class's own features, from which its saliency and its proposals come."""
    lse_r0: float = 0.0
    """Least sharpness of the log-sum-exp: class k's is r_k = lse_r0 + exp(beta_k)."""
    lse_learned: bool = True
    """Learn beta_k, from 0 on; else it stays 0, and r_k is lse_r0 + 1."""
    balance: Counted = "images"
    """What a class's positives are a share of in the losses' weights: training images (eq. 1), or label
    ``occurrences``, as in the released code."""
    loss_scale: float = 1.0
    """Factor of the loss of the classification stage; 10 in the released code."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("zoom", "shift"):
            expect(0 <= getattr(self, name) < 1, name, getattr(self, name), "a number in [0, 1)")
        for name in ("beta1", "beta2"):
            expect(0 <= getattr(self, name) < 1, name, getattr(self, name), "a number in [0, 1)")
        expect_range("eps", self.eps, 0, open_low=True)
        expect(bool(self.backbone), "backbone", self.backbone, "the name of a network")
        expect(bool(self.weights), "weights", self.weights, "random, imagenet, or a file")
        expect_range("leaky_slope", self.leaky_slope, 0, 1)
        expect_range("pyramid_channels", self.pyramid_channels, 1)
        expect_range("head_channels", self.head_channels, 1)
        expect_range("lse_r0", self.lse_r0, 0)
        expect_in("balance", self.balance, ("images", "occurrences"))
        expect_range("loss_scale", self.loss_scale, 0, open_low=True)


@dataclass(frozen=True, kw_only=True)
class DetectionConfig(ClassificationConfig):
    """The detection module and the stages that train it."""

    detection_share: float = 0.25
    """Share of the epochs that trains the detection module with the classification module frozen; at least one epoch.
    Not published."""
    joint_share: float = 0.25
    """Share of the epochs, at the end, that trains both; at least one epoch, or 0, which leaves the stage out. Not
    published."""
    detection_lr: float = 1e-3
    """Learning rate of the first epoch of the detection stage."""
    joint_lr: float = 3e-4
    """Learning rate of the first epoch of the joint stage."""
    freeze_norms: bool = True
    """Freeze the classification module's batch norms in the detection stage, statistics too, as all of it; the released
    code lets them train on."""
    joint_loss: bool = False
    """Let the classification loss count in the detection stage too, as in the released code; with all frozen it changes
    nothing but what is logged."""
    anchor_size: float = 0.125
    """Side of the smallest anchors, as a share of the image's shorter side; 64 of 512 pixels."""
    anchor_levels: int = 3
    """Sizes of anchors, each twice the one before; 64, 128 and 256 of 512 pixels."""
    anchor_stride: float = 0.5
    """Distance of anchors, as a share of their side; 8, 16 and 32 saliency cells, which makes 395 anchors."""
    roi_size: int = 5
    """Side of the grid of features under a proposal, in cells; not published, the released code's."""
    roi_sampling: int = 2
    """Points along a side of such a cell; the released code's."""
    proposal_channels: int = 64
    """Channels between the proposals' features and their confidence and box; the released code's."""
    temperature_schedule: Schedule = "exponential"
    """How the temperature of the Gumbel-softmax goes from start to end, epoch by epoch; the released code has
    ``constant``, which stays at the start."""
    temperature_start: float = 1.0
    """Temperature of the first epoch of the detection stage."""
    temperature_end: float = 0.001
    """Temperature of the last epoch of `temperature_stages`."""
    temperature_stages: Literal["detection", "both"] = "both"
    """Stages over which it goes: detection alone (joint training then stays at the end), or both."""
    gumbel_noise: float = 1.0
    """Factor of the Gumbel noise in training; 0 always takes the most confident proposal."""
    crop_size: int = 64
    """Side of the crops in pixels; not published, the released code's."""
    crop_kernel: Literal["bilinear", "gaussian"] = "bilinear"
    """How the image is read at a crop's points: ``gaussian`` is the released code's."""
    crop_backbone: str = "torchvision/resnet34"
    """A ResNet for the crops, by name as for the other methods; ``resnet10_slim`` for laptops."""
    crop_weights: NameOrPath = "imagenet"
    """Its weights: ``random``, ``imagenet``, or the path of a .pth or .safetensors file."""
    crop_dropout: float = 0.5
    """Dropout between the two layers of a class's head on the crops; the released code has it before both."""
    add_image_logit: bool = False
    """Add the logit of the whole image to that of the crop before the loss, as the released code does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect(0 < self.detection_share < 1, "detection_share", self.detection_share, "a number above 0 and below 1")
        rest = 1 - self.detection_share
        expect(0 <= self.joint_share < rest, "joint_share", self.joint_share, f"a number from 0 to below {rest:g}")
        expect_range("detection_lr", self.detection_lr, 0, open_low=True)
        expect_range("joint_lr", self.joint_lr, 0, open_low=True)
        expect_range("anchor_size", self.anchor_size, 0, 1, open_low=True)
        expect_range("anchor_levels", self.anchor_levels, 1, 8)
        expect_range("anchor_stride", self.anchor_stride, 0.05, 2)
        expect_range("roi_size", self.roi_size, 1)
        expect_range("roi_sampling", self.roi_sampling, 1)
        expect_range("proposal_channels", self.proposal_channels, 1)
        schedules = ("exponential", "linear", "cosine", "constant")
        expect_in("temperature_schedule", self.temperature_schedule, schedules)
        expect_range("temperature_start", self.temperature_start, 0, open_low=True)
        expect_range("temperature_end", self.temperature_end, 0, open_low=True)
        expect_in("temperature_stages", self.temperature_stages, ("detection", "both"))
        expect_range("gumbel_noise", self.gumbel_noise, 0)
        expect_range("crop_size", self.crop_size, 8)
        expect_in("crop_kernel", self.crop_kernel, ("bilinear", "gaussian"))
        expect(bool(self.crop_backbone), "crop_backbone", self.crop_backbone, "the name of a ResNet")
        expect(bool(self.crop_weights), "crop_weights", self.crop_weights, "random, imagenet, or a file")
        expect(0 <= self.crop_dropout < 1, "crop_dropout", self.crop_dropout, "a number in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class SaliencyProposalsConfig(DetectionConfig):
    """What is made of a trained network: none of these needs another training."""

    map: Literal["sal", "det", "mix"] = "mix"
    """The localization map: saliency (x_S), detection (x_RPN), or their product (x_FS)."""
    scale: Literal["percentile", "absolute"] = "percentile"
    """What the mask threshold is compared with: a pixel's percentile in its map, or its value, which for ``det`` and
    ``mix`` is scaled by the map's extrema. The released code has ``absolute`` for ``sal``. With ``percentile``, metrics
    of the map itself, as cDice, are of ranks."""
    rpn_map: Reading = "avg"
    """How the proposals make x_RPN: mean over all, over the sum of confidences (``norm``), or the ``sum`` at image
    resolution, as in the released code."""
    confidence: Confidence = "sigmoid"
    """What weighs a proposal in x_RPN; the paper leaves it open, the released code has ``linear``."""
    component: BoxRule = "largest"
    """Which boxes a mask makes: of the largest component, of the one with the map's highest value, or of each."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_in("map", self.map, ("sal", "det", "mix"))
        expect_in("scale", self.scale, ("percentile", "absolute"))
        expect_in("rpn_map", self.rpn_map, ("avg", "norm", "sum"))
        expect_in("confidence", self.confidence, ("sigmoid", "softmax", "linear"))
        positive = self.rpn_map != "norm" or self.confidence != "linear"
        expect(positive, "confidence", self.confidence, "sigmoid or softmax, since rpn_map is norm")
        expect_in("component", self.component, ("largest", "most_active", "union"))
