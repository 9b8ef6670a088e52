"""Pixel-wise training on the images whose region truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from methods._augmentation import augmentation
from methods._optim import single_stage
from methods.layers.images import Normalize
from methods.layers.inside import own_mean
from methods.layers.mode import evaluating
from methods.layers.regions import masks_and_truth
from methods.layers.workers import mean_over_known
from methods.unet._config import UNetConfig
from methods.unet.network import UNetNetwork
from raysearch.method import Augmentation, Batch, Method, Prediction, Stage, Step


def foreground_target(masks: Tensor, truth: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The image's region, whatever its class, and whether it is known.

    Args:
        masks: (M, H, W) in {0, 1}, of the M pairs whose truth is 1, in their order.
        truth: (N, K) 1 present, 0 absent, -1 unknown.
        labels: (N,) int64, the class of the image's object.

    Returns:
        (N, 1, H, W) union of the present regions, and (N,) bool: an image holds exactly one class's object, so the
        pair (image, label) decides.
    """
    known = truth.gather(1, labels[:, None])[:, 0] >= 0
    owner = (truth == 1).nonzero()[:, 0]
    regions = masks.new_zeros(len(truth), *masks.shape[1:]).index_add(0, owner, masks)
    return regions.clamp(max=1)[:, None], known


def pixel_loss(logits: Tensor, target: Tensor, inside: Tensor | None = None) -> Tensor:
    """Binary cross-entropy per image, mean over its pixels, `inside` (N, H, W) if given: two (N, 1, H, W) to (N,)."""
    return own_mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none"), inside)


class UNet(Method):
    """One foreground map from masks, and class scores from image labels."""

    name: ClassVar[str] = "unet"
    title: ClassVar[str] = "U-Net with full supervision (Ronneberger et al., MICCAI 2015)"
    Config = UNetConfig
    view: ClassVar[Literal["single", "multi"]] = "single"
    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "pixel"
    config: UNetConfig

    def build(self) -> nn.Module:
        channels = self.task.channels
        normalize = Normalize(self.config.normalize, channels)
        return UNetNetwork(
            normalize, channels, len(self.task.classes), width=self.config.width, depth=self.config.depth
        )

    def stages(self, epochs: int) -> Sequence[Stage]:
        return single_stage(self.config, epochs)

    def augmentation(self) -> Augmentation:
        return augmentation(self.config, self.task.size)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        masks, truth = masks_and_truth(batch, self.name)
        scores, logits = model(batch.images)
        target, known = foreground_target(masks, truth, batch.labels)
        if batch.inside is not None:
            known = known & batch.inside.flatten(1).any(1)  # a crop may hold padding alone
        pixel = mean_over_known(pixel_loss(logits, target, batch.inside), known, batch.share)
        label = F.cross_entropy(scores, batch.labels)
        loss = pixel + label
        step.backward(loss)
        return {"loss": loss.detach(), "loss_pixel": pixel.detach(), "loss_label": label.detach()}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        with evaluating(model):
            scores, logits = model(images)
            return Prediction(scores=scores.softmax(1), maps=logits.sigmoid())
