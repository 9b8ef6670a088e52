"""Settings of MultiMix and its baselines; defaults are the paper's (section 3.2) where it has them.

A baseline has the settings of what it is made of, so that the classes below build on each other as the models do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from methods._config import expect, expect_in, expect_range
from raysearch.method import PerClass

Unlabelled = Literal["rest", "all"]


@dataclass(frozen=True, kw_only=True)
class MultiMixUNetConfig:
    """The network of appendix A and its training, section 3.2 of *Generalized Multi-Task Learning from Substantially
    Unlabeled Multi-Source Medical Image Data* (MELBA 2021); all that the segmenting baseline has."""

    normalize: Literal["half", "imagenet"] = "half"
    """Input scaling, mean 0.5 and deviation 0.5, or ImageNet's means and deviations; of images of both sources alike,
    while the released code leaves augmented classification images as they are."""
    batch: int = 10
    """Images a step of each stream, over all workers: m."""
    width: int = 16
    """Channels of the first block; each of the four blocks after it has twice as many (tables 4 and 5)."""
    dropout: float = 0.25
    """Dropout at the end of each block."""
    slope: float = 0.2
    """Negative slope of the leaky ReLU."""
    lr: float = 1e-4
    """Learning rate of Adam in the first epoch."""
    lr_step: int = 8
    """The learning rate is multiplied by `lr_decay` each time this many epochs are done."""
    lr_decay: float = 0.1
    """Factor of the learning rate at a step, in (0, 1]."""

    def __post_init__(self) -> None:
        expect_in("normalize", self.normalize, ("half", "imagenet"))
        expect_range("batch", self.batch, 1)
        expect_range("width", self.width, 1)
        expect(0 <= self.dropout < 1, "dropout", self.dropout, "a number in [0, 1)")
        expect_range("slope", self.slope, 0, 1)
        expect_range("lr", self.lr, 0, open_low=True)
        expect_range("lr_step", self.lr_step, 1)
        expect_range("lr_decay", self.lr_decay, 0, 1, open_low=True)


@dataclass(frozen=True, kw_only=True)
class EncConfig(MultiMixUNetConfig):
    """A classifier: its images are augmented weakly (section 2.1)."""

    horizontal_flip: bool = True
    """Mirror images of the classification source left to right at random."""
    pad: int = 32
    """Pixels by which they are reflected at every side before a random window of the old size is taken; 0 is none. The
    paper says "32x32 crop"; this is what the released code does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("pad", self.pad, 0)


@dataclass(frozen=True, kw_only=True)
class UnlabelledConfig(EncConfig):
    """With images whose labels are not used (section 2)."""

    unlabelled: Unlabelled = "rest"
    """Which images these are: those without a label, or all, as they are drawn from p(X). Where every label is known
    there are no others. With masks in place of labels the same holds for the images without a mask of `MultiMix`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_in("unlabelled", self.unlabelled, ("rest", "all"))


@dataclass(frozen=True, kw_only=True)
class EncSslConfig(UnlabelledConfig):
    """Pseudo-labels of unlabelled images, strongly augmented (section 2.1, eq. 1)."""

    t: PerClass = 0.7
    """Confidence that the prediction for the weakly augmented image needs, at least, to become its label."""
    lambda_u: float = 0.25
    """Weight of the loss of unlabelled images, lambda (eq. 1)."""
    strong_pad: int = 4
    """As `pad`, of the strong augmentation; 4 in the released code."""
    operations: int = 2
    """Operations of RandAugment in the strong augmentation, each done with probability a half, as in the released code;
    "any number" in the paper."""
    magnitude: int = 10
    """Magnitudes of these operations are drawn from 1 to `magnitude` - 1, of 10, as in the released code."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for number in self.t.values() if isinstance(self.t, Mapping) else [self.t]:
            expect_range("t", number, 0, 1)
        expect_range("lambda_u", self.lambda_u, 0)
        expect_range("strong_pad", self.strong_pad, 0)
        expect_range("operations", self.operations, 0)
        expect_range("magnitude", self.magnitude, 2, 11)


@dataclass(frozen=True, kw_only=True)
class EncMmConfig(UnlabelledConfig):
    """MixMatch (Berthelot et al., NeurIPS 2019) with two views of each unlabelled image. The paper gives none of its
    values: defaults are MixMatch's own, `lambda_u` that for CIFAR-10."""

    temperature: float = 0.5
    """By which guessed labels are sharpened, T; below 1 makes them surer."""
    mixing: float = 0.75
    """Both parameters of the Beta distribution that MixUp draws from, alpha."""
    lambda_u: float = 75.0
    """Weight of the loss of unlabelled images once it has grown, lambda_U."""
    ramp: int = 16
    """Epochs in which that weight grows from 0, in equal steps; 0 has it at once. MixMatch has 16,000 steps, which are
    16 epochs as its code counts them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("temperature", self.temperature, 0, open_low=True)
        expect_range("mixing", self.mixing, 0, open_low=True)
        expect_range("lambda_u", self.lambda_u, 0)
        expect_range("ramp", self.ramp, 0)


@dataclass(frozen=True, kw_only=True)
class UmtlConfig(EncConfig):
    """Classification and segmentation by one network."""

    alpha: float = 5.0
    """Weight of the Dice loss (eq. 2); the paper's value "for smaller" sets of masks, no other is published."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("alpha", self.alpha, 0, open_low=True)


@dataclass(frozen=True, kw_only=True)
class UmtlSConfig(UmtlConfig):
    """With the saliency bridge (section 2.3)."""

    saliency_sign: Literal["absolute", "signed"] = "absolute"
    """Whether the bridge takes the gradient's absolute value, as in the released code, or the gradient, as the paper
    can be read."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_in("saliency_sign", self.saliency_sign, ("absolute", "signed"))


@dataclass(frozen=True, kw_only=True)
class UmtlSslConfig(UmtlConfig, EncSslConfig):
    """With pseudo-labels."""


@dataclass(frozen=True, kw_only=True)
class UmtlSslSConfig(UmtlSslConfig, UmtlSConfig):
    """With pseudo-labels and the saliency bridge."""


@dataclass(frozen=True, kw_only=True)
class MultiMixConfig(UmtlSslSConfig):
    """With unlabelled images of the segmentation source too (section 2.2)."""

    beta: float = 0.01
    """Weight of the divergence between predictions for images with a mask and without (eq. 2)."""
    kl: Literal["bernoulli", "released"] = "bernoulli"
    """Its reading: of pixel-wise foreground probabilities, or as in the released code, whose softmax over the channel
    axis is 1 everywhere for one class of regions, so that it is 0 and has no gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("beta", self.beta, 0)
        expect_in("kl", self.kl, ("bernoulli", "released"))
